"""Runs the state machine over one series' values, only where something can change. Pure; for backtest and suggestion.

`step` looks at nothing of a value but how it stands to the bounds. While that stays the same, it changes its state at
most twice: when it first sees it, and when the time runs out that it waits for. So a run of equal standing takes two
steps instead of thousands; the result is that of stepping every moment, which a property test holds.
"""

import math

import polars as pl

from chatops_backend.alerts.state_machine import OK, Bounds, SeriesState, Transition, step
from chatops_protocol.alert_resources import Bound, Comparison

# How a value stands to the bounds.
_NONE, _GOOD, _BETWEEN, _WARNING, _CRITICAL, _UNSEEN = range(6)


def replay(
    bounds: Bounds, first: int, step_s: int, values: pl.Series, last: int, unseen: pl.Series | None = None
) -> list[Transition]:
    """Transitions at the moments ``first, first + step_s, …`` up to `last`. Moments beyond `values` have no value; at
    those that `unseen` (one truth per moment) marks, nobody looks at the series."""
    missing = (last - first) // step_s + 1 - len(values)
    stood = standings(bounds, values)
    if unseen is not None:
        stood = stood.extend_constant(_NONE, missing).set(unseen, _UNSEEN)
    runs = [(run["len"], run["value"]) for run in stood.rle().to_list()]
    if missing > 0 and unseen is None:
        runs.append((missing, _NONE))
    state, place = OK, 0
    transitions: list[Transition] = []
    for length, standing in runs:
        looked_at = standing != _UNSEEN and (state.status != "ok" or _starts(bounds, standing))
        steps: int | None = 0 if looked_at else None
        while steps is not None and steps < length:
            value = values[place + steps] if place + steps < len(values) else None
            at = first + (place + steps) * step_s
            state, transition = step(bounds, state, at, value)
            if transition is not None:
                transitions.append(transition)
            steps = _steps_to_wait(bounds, state, first + place * step_s, step_s) if steps == 0 else None
        place += length
    return transitions


def standings(bounds: Bounds, values: pl.Series) -> pl.Series:
    """Per value what `breached_level` and `is_good` say of it, as a small number."""
    lowest = bounds.warning if bounds.warning is not None else bounds.critical
    value = pl.col("value")
    standing = pl.lit(_GOOD, dtype=pl.Int8)
    # The later ones come first.
    for bound, number in (
        (bounds.clear if bounds.clear is not None else lowest, _BETWEEN),
        (bounds.warning, _WARNING),
        (bounds.critical, _CRITICAL),
    ):
        if bound is not None:
            breached = _breaches(bounds.comparison, value, bound)
            standing = pl.when(breached).then(pl.lit(number, dtype=pl.Int8)).otherwise(standing)
    standing = pl.when(value.is_null()).then(pl.lit(_NONE, dtype=pl.Int8)).otherwise(standing)
    return pl.DataFrame({"value": values.cast(pl.Float64)}).select(standing=standing)["standing"]


def _starts(bounds: Bounds, standing: int) -> bool:
    """Whether a series that is ok does not stay so."""
    return standing >= _WARNING or (standing == _NONE and bounds.no_data == "fire")


def _steps_to_wait(bounds: Bounds, state: SeriesState, at: int, step_s: int) -> int | None:
    """How many steps after `at` the time is over that `state` waits for; None when it waits for nothing."""
    if state.status == "pending":
        until = state.since + bounds.for_s
    elif state.status == "firing" and state.good_since is not None:
        until = state.good_since + bounds.clear_for_s
    else:
        return None
    return max(1, math.ceil((until - at) / step_s))


def _breaches(comparison: Comparison, value: pl.Expr, bound: Bound) -> pl.Expr:
    if isinstance(bound, tuple):
        return (value < bound[0]) | (value > bound[1])
    if comparison == "gt":
        return value > bound
    if comparison == "gte":
        return value >= bound
    return value < bound if comparison == "lt" else value <= bound
