"""A planted shift, effect sizes against the same by numpy, and what must not change them."""

from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatops_backend.analysis.comparison import (
    cliffs_delta,
    compare_series,
    effect_in_word,
    hodges_lehmann,
    in_order,
)
from chatops_protocol.analysis_resources import SeriesComparison

START = int(datetime(2026, 11, 10, 8, tzinfo=UTC).timestamp())
DAY_S, HOUR_S = 86_400, 3_600
SPANS = [(float(START - n * DAY_S), float(START - n * DAY_S + HOUR_S)) for n in range(8)]
VALUES = st.lists(st.integers(-50, 50), min_size=1, max_size=30)


def windows(shift: float = 0.0, missing: tuple[int, ...] = (), seed: int = 1) -> pl.DataFrame:
    """A minute each of an hour, on this day and on seven before it; this one lies `shift` higher."""
    chance = np.random.default_rng(seed)
    parts = []
    for number, (start, _) in enumerate(SPANS):
        if number not in missing:
            values = 40 + chance.normal(0, 2, 60) + (shift if number == 0 else 0)
            parts.append(pl.DataFrame({"time": int(start) + np.arange(60) * 60, "value": values}))
    return pl.concat(parts) if parts else pl.DataFrame(schema={"time": pl.Int64, "value": pl.Float64})


def compare(frame: pl.DataFrame) -> SeriesComparison:
    return compare_series(1, {}, frame, SPANS[0], SPANS[1:], "percent")


def test_a_planted_shift_is_found() -> None:
    found = compare(windows(5.0))
    assert (found.outcome, found.effect, found.outside) == ("higher", "large", True)
    assert found.shift == pytest.approx(5, abs=0.5)
    assert (found.points, found.points_before) == (60, 420)
    assert [one.points for one in found.windows] == [60] * 7
    assert "large difference, and beyond each" in found.explanation
    lower = compare(windows(-5.0))
    assert lower.outcome == "lower"
    assert lower.delta == pytest.approx(-1, abs=0.1)


def test_the_same_is_the_same() -> None:
    found = compare(windows())
    assert (found.outcome, found.effect) == ("same", "negligible")


def test_a_window_without_readings_is_unknown_and_the_others_count() -> None:
    found = compare(windows(5.0, missing=(1, 4)))
    assert found.outcome == "higher"
    assert [one.median is None for one in found.windows] == [True, False, False, True, False, False, False]


@pytest.mark.parametrize(("missing", "where"), [((0,), "this window"), (tuple(range(1, 8)), "the earlier windows")])
def test_too_little_is_an_answer_with_its_reason(missing: tuple[int, ...], where: str) -> None:
    found = compare(windows(missing=missing))
    assert found.outcome == "not_enough_data"
    assert where in found.explanation
    assert found.shift is found.delta is None


@settings(max_examples=50, deadline=None)
@given(now=VALUES, before=VALUES)
def test_effect_sizes_are_those_of_all_pairs(now: list[int], before: list[int]) -> None:
    differences = np.subtract.outer(np.array(now, dtype=float), np.array(before, dtype=float))
    left, right = pl.Series(now, dtype=pl.Float64), pl.Series(before, dtype=pl.Float64)
    assert hodges_lehmann(left, right) == pytest.approx(np.median(differences))
    assert cliffs_delta(left, right) == pytest.approx(np.sign(differences).mean())


@settings(max_examples=50, deadline=None)
@given(now=VALUES, before=VALUES, shift=st.integers(-100, 100), scale=st.sampled_from([0.5, 4.0]))
def test_delta_knows_no_unit_and_the_shift_takes_it(
    now: list[int], before: list[int], shift: int, scale: float
) -> None:
    plain = [pl.Series(values, dtype=pl.Float64) for values in (now, before)]
    other = [values * scale + shift for values in plain]
    assert cliffs_delta(*other) == pytest.approx(cliffs_delta(*plain))
    assert hodges_lehmann(*other) == pytest.approx(hodges_lehmann(*plain) * scale)
    # The other way round is the opposite.
    assert cliffs_delta(plain[1], plain[0]) == pytest.approx(-cliffs_delta(*plain))


@pytest.mark.parametrize(
    ("delta", "word"), [(0.1, "negligible"), (-0.2, "small"), (0.4, "medium"), (-0.474, "large"), (1.0, "large")]
)
def test_an_effect_in_a_word(delta: float, word: str) -> None:
    assert effect_in_word(delta) == word


def test_the_largest_effect_comes_first_and_the_unknown_last() -> None:
    found = [compare(windows(shift)) for shift in (0.0, -5.0)] + [compare(windows(missing=(0,)))]
    assert [one.outcome for one in in_order(found)] == ["lower", "same", "not_enough_data"]
