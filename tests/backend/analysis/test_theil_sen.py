"""The slope against numpy's of the same pairs, its interval against what is known of it, what must not change it."""

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatops_backend.analysis.theil_sen import theil_sen


def noisy_line(slope: float, noise: float, points: int = 60, seed: int = 1) -> tuple[pl.Series, pl.Series]:
    chance = np.random.default_rng(seed)
    x = np.arange(points, dtype=float)
    return pl.Series(x), pl.Series(10 + slope * x + chance.normal(0, noise, points))


def test_the_slope_is_the_median_over_all_pairs() -> None:
    x, y = noisy_line(0.3, 2.0)
    xs, ys = x.to_numpy(), y.to_numpy()
    i, j = np.triu_indices(len(xs), 1)
    assert theil_sen(x, y).slope == pytest.approx(np.median((ys[j] - ys[i]) / (xs[j] - xs[i])))


def test_the_interval_of_independent_noise_is_that_of_kendalls_ranks() -> None:
    """Without ties, and with residuals that do not follow on each other."""
    x, y = noisy_line(0.3, 2.0, seed=3)
    xs, ys = x.to_numpy(), y.to_numpy()
    found = theil_sen(x, y)
    residuals = ys - found.slope * xs
    assert np.corrcoef(residuals[1:], residuals[:-1])[0, 1] < -0.05, "of this seed, so that nothing is inflated"
    i, j = np.triu_indices(len(xs), 1)
    slopes = np.sort((ys[j] - ys[i]) / (xs[j] - xs[i]))
    n, pairs = len(xs), len(slopes)
    reach = 1.959964 * math.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    assert found.low == slopes[math.floor((pairs - reach) / 2) - 1]
    assert found.high == slopes[math.ceil((pairs + reach) / 2)]


def test_a_quarter_of_wild_points_does_not_move_the_slope_far() -> None:
    x, y = noisy_line(0.5, 0.2)
    wild = pl.Series([value + (1e6 if place % 4 == 0 else 0) for place, value in enumerate(y)])
    found = theil_sen(x, wild)
    assert found.slope == pytest.approx(0.5, abs=0.1)
    assert np.polyfit(x.to_numpy(), wild.to_numpy(), 1)[0] != pytest.approx(0.5, abs=1)


def test_the_interval_holds_the_true_slope_about_as_often_as_it_says() -> None:
    held = 0
    for seed in range(100):
        found = theil_sen(*noisy_line(0.1, 1.0, points=30, seed=seed))
        held += found.low <= 0.1 <= found.high
    assert held >= 90


def test_a_random_walk_has_a_wider_interval_than_its_points_alone_would_give() -> None:
    """Readings that follow on each other are no independent ones: most walks go nowhere."""
    trends = 0
    for seed in range(50):
        steps = np.random.default_rng(seed).normal(0, 1, 100)
        found = theil_sen(pl.Series(np.arange(100.0)), pl.Series(np.cumsum(steps)))
        trends += not found.low <= 0 <= found.high
    assert trends <= 10


def test_a_straight_line_has_an_interval_without_width() -> None:
    found = theil_sen(pl.Series(np.arange(40.0)), pl.Series(1e9 + 3 * np.arange(40.0)))
    assert (found.slope, found.low, found.high) == (3, 3, 3)


def test_equal_values_have_no_slope() -> None:
    found = theil_sen(pl.Series(np.arange(40.0)), pl.Series([7.0] * 40))
    assert (found.slope, found.low, found.high) == (0, 0, 0)


def test_two_points_say_nothing_of_the_interval() -> None:
    found = theil_sen(pl.Series([0.0, 1.0]), pl.Series([0.0, 2.0]))
    assert found.slope == 2
    assert math.isinf(found.low)
    assert math.isinf(found.high)


@settings(max_examples=30, deadline=None)
@given(
    values=st.lists(st.integers(-1000, 1000), min_size=3, max_size=20),
    shift=st.integers(-1000, 1000),
    scale=st.sampled_from([0.25, 2.0, 1024.0]),
)
def test_shifting_changes_nothing_and_scaling_scales(values: list[int], shift: int, scale: float) -> None:
    x = pl.Series([float(n) for n in range(len(values))])
    before = theil_sen(x, pl.Series([float(v) for v in values]))
    after = theil_sen(x, pl.Series([(v + shift) * scale for v in values]))
    assert after.slope == pytest.approx(before.slope * scale)
