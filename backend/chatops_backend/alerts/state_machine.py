"""What a rule decides about one series, step by step. Pure: the evaluator and the backtest run this same code.

    ok ──breach──▶ pending ──held for `for_s`──▶ firing ──good for `clear_for_s`──▶ ok
                     └──good again──▶ ok            └──a higher level──▶ firing, raised

Between the clear bound and the level a firing alert stays as it is, and a pending one is cancelled: there the value is
no breach. While firing the level only rises, so that a value that swings around `critical` does not notify each time.
"""

from typing import Literal

from msgspec import Struct

from chatops_protocol.alert_resources import Bound, Comparison, Level, NoData, Threshold

Status = Literal["ok", "pending", "firing"]
TransitionKind = Literal["pending", "cancelled", "fired", "raised", "resolved"]
_RANK: dict[Level | None, int] = {None: 0, "warning": 1, "critical": 2}


class Bounds(Struct, frozen=True):
    """The part of a rule that decides; see `Threshold`. Times in seconds."""

    comparison: Comparison
    warning: Bound | None
    critical: Bound | None
    clear: Bound | None
    for_s: float
    clear_for_s: float
    no_data: NoData


class SeriesState(Struct, frozen=True):
    """Where one series stands. `since` is when the breach began, `good_since` since when a firing one is good again."""

    status: Status = "ok"
    level: Level | None = None
    since: float = 0.0
    good_since: float | None = None


class Transition(Struct, frozen=True):
    """`at` is Unix seconds; `started_at` when the breach began that led here."""

    kind: TransitionKind
    at: float
    level: Level
    value: float | None
    started_at: float


OK = SeriesState()


def bounds_of(threshold: Threshold) -> Bounds:
    return Bounds(
        threshold.comparison,
        threshold.warning,
        threshold.critical,
        threshold.clear,
        threshold.for_s,
        threshold.clear_for_s,
        threshold.no_data,
    )


def breached_level(bounds: Bounds, value: float) -> Level | None:
    """The highest level that `value` breaches."""
    if bounds.critical is not None and _breaches(bounds.comparison, value, bounds.critical):
        return "critical"
    if bounds.warning is not None and _breaches(bounds.comparison, value, bounds.warning):
        return "warning"
    return None


def is_good(bounds: Bounds, value: float) -> bool:
    """Whether `value` lets a firing alert end: on the good side of `clear`, or of the lowest level without one."""
    bound = bounds.clear
    if bound is None:
        bound = bounds.warning if bounds.warning is not None else bounds.critical
    return bound is not None and not _breaches(bounds.comparison, value, bound)


def step(bounds: Bounds, state: SeriesState, at: float, value: float | None) -> tuple[SeriesState, Transition | None]:
    """The state after the value of the window that ends at `at` (Unix seconds), None when there was no data."""
    level: Level | None
    if value is None:
        if bounds.no_data == "keep":
            return state, None
        level = (_highest(bounds)) if bounds.no_data == "fire" else None
        good = bounds.no_data == "ignore"
    else:
        level = breached_level(bounds, value)
        good = level is None and is_good(bounds, value)
    if state.status == "firing":
        return _while_firing(bounds, state, at, value, level, good)
    return _before_firing(bounds, state, at, value, level)


def _before_firing(
    bounds: Bounds, state: SeriesState, at: float, value: float | None, level: Level | None
) -> tuple[SeriesState, Transition | None]:
    if level is None:
        if state.status == "ok":
            return state, None
        return OK, Transition("cancelled", at, state.level or "warning", value, state.since)
    since = state.since if state.status == "pending" else at
    if at - since >= bounds.for_s:
        return SeriesState("firing", level, since), Transition("fired", at, level, value, since)
    pending = SeriesState("pending", level, since)
    return pending, None if state.status == "pending" else Transition("pending", at, level, value, since)


def _while_firing(
    bounds: Bounds, state: SeriesState, at: float, value: float | None, level: Level | None, good: bool
) -> tuple[SeriesState, Transition | None]:
    current = state.level or "warning"
    if good:
        good_since = state.good_since if state.good_since is not None else at
        if at - good_since >= bounds.clear_for_s:
            return OK, Transition("resolved", at, current, value, state.since)
        return SeriesState("firing", current, state.since, good_since), None
    if _RANK[level] > _RANK[current]:
        raised = SeriesState("firing", level, state.since)
        return raised, Transition("raised", at, level or current, value, state.since)
    return SeriesState("firing", current, state.since), None


def _breaches(comparison: Comparison, value: float, bound: Bound) -> bool:
    if isinstance(bound, tuple):
        return comparison == "outside" and not bound[0] <= value <= bound[1]
    if comparison == "gt":
        return value > bound
    if comparison == "gte":
        return value >= bound
    if comparison == "lt":
        return value < bound
    return comparison == "lte" and value <= bound


def _highest(bounds: Bounds) -> Level:
    return "critical" if bounds.critical is not None else "warning"
