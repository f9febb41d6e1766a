"""What the state machine promises whatever values come; and that a replay takes the same steps with less work."""

from itertools import pairwise

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chatops_backend.alerts.replay import replay
from chatops_backend.alerts.state_machine import (
    OK,
    Bounds,
    SeriesState,
    Transition,
    breached_level,
    is_good,
    step,
)

STEP_S = 60
START = 1_800_000_000
RANK = {None: 0, "warning": 1, "critical": 2}

# Small numbers meet the bounds often, also exactly.
numbers = st.integers(-6, 6).map(float)
values = st.lists(st.one_of(st.none(), numbers), max_size=80)
durations = st.sampled_from([0.0, 30.0, 60.0, 90.0, 120.0, 300.0])


@st.composite
def all_bounds(draw: st.DrawFn, no_data: str | None = None) -> Bounds:
    comparison = draw(st.sampled_from(["gt", "gte", "lt", "lte", "outside"]))
    levels: list[object] = sorted(draw(st.lists(numbers, min_size=3, max_size=3)))
    if comparison in ("lt", "lte"):
        levels.reverse()
    if comparison == "outside":
        inner, between, outer = sorted(draw(st.lists(st.integers(1, 6), min_size=3, max_size=3)))
        levels = [(-float(inner), float(inner)), (-float(between), float(between)), (-float(outer), float(outer))]
    clear, warning, critical = levels
    without = draw(st.sampled_from(["nothing", "warning", "critical"]))
    return Bounds(
        comparison,
        None if without == "warning" else warning,
        None if without == "critical" else critical,
        draw(st.sampled_from([None, clear])),
        draw(durations),
        draw(durations),
        no_data or draw(st.sampled_from(["ignore", "keep", "fire"])),
    )


def run(bounds: Bounds, series: list[float | None]) -> tuple[list[Transition], list[SeriesState]]:
    """Every moment stepped: the transitions, and the state after each."""
    state, transitions, states = OK, [], []
    for number, value in enumerate(series):
        state, transition = step(bounds, state, START + number * STEP_S, value)
        states.append(state)
        if transition is not None:
            transitions.append(transition)
    return transitions, states


@given(all_bounds(), values)
@settings(max_examples=400, deadline=None)
@example(Bounds("gt", None, 1.0, None, 120.0, 60.0, "ignore"), [2.0, 2.0, 2.0, None, 0.0, 2.0])
def test_a_replay_takes_the_steps_of_every_moment(bounds: Bounds, series: list[float | None]) -> None:
    frame = pl.Series(series, dtype=pl.Float64)
    stepped, _ = run(bounds, series)
    assert replay(bounds, START, STEP_S, frame, START + (len(series) - 1) * STEP_S) == stepped


@given(all_bounds(), values, st.integers(0, 30))
@settings(max_examples=200, deadline=None)
def test_a_replay_goes_on_without_data_to_the_end_of_its_range(
    bounds: Bounds, series: list[float | None], after: int
) -> None:
    whole: list[float | None] = [*series, *[None] * after]
    frame = pl.Series(series, dtype=pl.Float64)
    stepped, _ = run(bounds, whole)
    assert replay(bounds, START, STEP_S, frame, START + (len(whole) - 1) * STEP_S) == stepped


@given(all_bounds(), st.lists(st.tuples(st.one_of(st.none(), numbers), st.booleans()), max_size=80), st.integers(0, 9))
@settings(max_examples=200, deadline=None)
def test_a_replay_passes_over_the_moments_at_which_nobody_looks(
    bounds: Bounds, series: list[tuple[float | None, bool]], after: int
) -> None:
    state, stepped = OK, []
    for number, (value, unseen) in enumerate([*series, *[(None, False)] * after]):
        if not unseen:
            state, transition = step(bounds, state, START + number * STEP_S, value)
            stepped += [transition] if transition is not None else []
    frame = pl.Series([value for value, _ in series], dtype=pl.Float64)
    mask = pl.Series([*(unseen for _, unseen in series), *[False] * after], dtype=pl.Boolean)
    assert replay(bounds, START, STEP_S, frame, START + (len(mask) - 1) * STEP_S, mask) == stepped


@given(all_bounds(), values)
@settings(deadline=None)
def test_an_alert_never_fires_twice_without_a_resolve_between(bounds: Bounds, series: list[float | None]) -> None:
    fired = [t.kind for t in run(bounds, series)[0] if t.kind in ("fired", "resolved")]
    assert all(one != next_one for one, next_one in pairwise(["resolved", *fired]))


@given(all_bounds(no_data="keep"), values)
@settings(deadline=None)
def test_nothing_changes_while_the_value_stays_between_clear_and_the_levels(
    bounds: Bounds, series: list[float | None]
) -> None:
    """No flapping: in the band neither a firing begins nor one ends."""
    between = [v for v in range(-6, 7) if breached_level(bounds, v) is None and not is_good(bounds, v)]
    kept = [v for v in series if v in between]
    for status in (OK, SeriesState("firing", "critical", START - 600.0)):
        state = status
        for number, value in enumerate(kept):
            state, transition = step(bounds, state, START + number * STEP_S, value)
            assert transition is None
        assert state.status == status.status


@given(all_bounds(), values)
@settings(deadline=None)
def test_a_firing_begins_only_after_the_condition_held_for_its_duration(
    bounds: Bounds, series: list[float | None]
) -> None:
    def breached(value: float | None) -> bool:
        return bounds.no_data == "fire" if value is None else breached_level(bounds, value) is not None

    for fired in (t for t in run(bounds, series)[0] if t.kind == "fired"):
        assert fired.at - fired.started_at >= bounds.for_s
        held = series[int(fired.started_at - START) // STEP_S : int(fired.at - START) // STEP_S + 1]
        assert all(breached(value) for value in held if value is not None or bounds.no_data != "keep")


@given(all_bounds(), values)
@settings(deadline=None)
def test_while_firing_the_level_only_rises(bounds: Bounds, series: list[float | None]) -> None:
    _, states = run(bounds, series)
    for before, after in pairwise(states):
        if before.status == after.status == "firing":
            assert RANK[after.level] >= RANK[before.level]


@given(all_bounds(), values)
@settings(deadline=None)
def test_an_end_comes_only_after_the_value_was_good_for_the_clear_duration(
    bounds: Bounds, series: list[float | None]
) -> None:
    for over in (t for t in run(bounds, series)[0] if t.kind == "resolved"):
        last = int(over.at - START) // STEP_S
        count = -int(-bounds.clear_for_s // STEP_S)
        seen = [v for v in series[: last + 1] if v is not None or bounds.no_data != "keep"]
        if bounds.no_data == "keep":
            count = min(count, 0)  # missing moments count as time, so how many were seen says nothing
        for value in seen[len(seen) - 1 - count :]:
            assert value is None or is_good(bounds, value)


@pytest.mark.parametrize(
    ("no_data", "kinds"),
    [("ignore", ["pending", "fired", "resolved"]), ("keep", ["pending", "fired"]), ("fire", ["pending", "fired"])],
)
def test_missing_data_ends_keeps_or_holds_a_firing(no_data: str, kinds: list[str]) -> None:
    bounds = Bounds("gt", None, 5.0, None, 60.0, 0.0, no_data)  # type: ignore[arg-type]
    assert [t.kind for t in run(bounds, [9.0, 9.0, None, None])[0]] == kinds


@pytest.mark.parametrize(("no_data", "kinds"), [("ignore", []), ("keep", []), ("fire", ["pending", "fired"])])
def test_missing_data_alone_fires_only_where_the_rule_says_so(no_data: str, kinds: list[str]) -> None:
    bounds = Bounds("gt", None, 5.0, None, 60.0, 0.0, no_data)  # type: ignore[arg-type]
    assert [t.kind for t in run(bounds, [1.0, None, None, None])[0]] == kinds
