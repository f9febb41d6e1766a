"""Rates: a spike that never happened is worse than a gap."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatops_agent.rates import SHORTEST_S, Rates, share, total


def rate_after(*readings: tuple[float, float | None]) -> float | None:
    """The rate that the last of these (time, counter) readings gives."""
    rates = Rates()
    result = None
    for at, value in readings:
        rates.start(at)
        result = rates.per_second("counter", value)
    return result


def test_the_first_reading_has_no_rate() -> None:
    assert rate_after((0, 1_000_000)) is None


def test_a_rate_is_growth_over_elapsed_time() -> None:
    assert rate_after((10, 100), (15, 600)) == 100.0
    assert rate_after((10, 100), (15, 100)) == 0.0


def test_a_counter_that_fell_gives_a_gap_and_then_rates_again() -> None:
    assert rate_after((0, 5_000_000), (5, 20)) is None
    assert rate_after((0, 2**32 - 10), (5, 490)) is None, "wrapped around"
    assert rate_after((0, 5_000_000), (5, 20), (10, 520)) == 100.0


def test_a_counter_that_was_not_readable_starts_anew() -> None:
    assert rate_after((0, 0), (5, None), (10, 1_000_000)) is None
    assert rate_after((0, 0), (5, None), (10, 1_000_000), (15, 1_000_050)) == 10.0


def test_a_clock_that_stands_still_gives_a_gap_and_loses_no_growth() -> None:
    assert rate_after((5, 0), (5, 1000)) is None
    assert rate_after((5, 0), (5, 1000), (5, 2000), (15, 3000)) == 300.0


def test_a_clock_that_steps_back_gives_a_gap() -> None:
    assert rate_after((100, 0), (50, 1000)) is None
    assert rate_after((100, 0), (50, 1000), (60, 2000)) == 100.0


def test_a_counter_born_since_the_last_reading_counts_from_zero() -> None:
    rates = Rates()
    rates.start(0)
    rates.per_second("old", 1)
    rates.start(10)
    rates.begin_at_zero("new")
    assert rates.per_second("new", 50) == 5.0


def test_a_counter_that_may_fall_stands_still_instead() -> None:
    rates = Rates()
    rates.start(0)
    rates.delta("iowait", 10, may_fall=True)
    rates.start(5)
    assert rates.delta("iowait", 9.99, may_fall=True) == 0.0


@given(
    st.lists(
        st.tuples(st.floats(0, 30), st.one_of(st.none(), st.integers(0, 1000), st.integers(-(10**9), 0))), max_size=30
    )
)
def test_no_rate_is_ever_negative_or_above_what_the_counter_grew(steps: list[tuple[float, int | None]]) -> None:
    """Growth of at most 1000 a reading, with resets, missing readings and stalls in between."""
    rates, at, counter, unreported = Rates(), 0.0, 10**6, 0
    for seconds, growth in steps:
        at += seconds
        counter = max(0, counter + (growth or 0))
        unreported += max(0, growth or 0)
        rates.start(at)
        rate = rates.per_second("counter", None if growth is None else counter)
        if rate is not None and rates.elapsed is not None:
            assert 0 <= rate <= unreported / SHORTEST_S
            assert rate * rates.elapsed <= unreported * 1.001
        if rates.elapsed is not None:
            unreported = 0 if rate is not None else unreported


@pytest.mark.parametrize(
    ("part", "whole", "percent"), [(1, 4, 25), (5, 4, 100), (-1, 4, 0), (1, 0, None), (None, 4, None)]
)
def test_a_share_lies_within_0_and_100_or_is_unknown(part: float | None, whole: float, percent: float | None) -> None:
    assert share(part, whole) == percent


def test_a_total_is_unknown_only_when_all_parts_are() -> None:
    assert total([None, 2.0, 3.0]) == 5.0
    assert total([None, None]) is None
