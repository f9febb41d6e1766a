"""Series that move together by construction, with a delay, and those that only look as if they did."""

import numpy as np
import polars as pl
import pytest

from chatops_backend.analysis.cross_correlation import (
    FEWEST_STEPS,
    Compared,
    Moved,
    compare_with,
    standardised_steps,
)

POINTS = 360


def noise(seed: int, points: int = POINTS) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=points)


def walk(seed: int) -> np.ndarray:
    return np.cumsum(noise(seed))


def compare(target: np.ndarray, others: dict[str, np.ndarray], max_lag: int = 15, **options) -> Compared:
    series = {name: pl.Series(values).cast(pl.Float64).fill_nan(None) for name, values in others.items()}
    found = compare_with(pl.Series(target).fill_nan(None), series, max_lag, **options)
    assert isinstance(found, Compared)
    return found


def named(found: Compared, name: str) -> Moved:
    return next(one for one in found.moved if one.name == name)


def unrelated(count: int = 20) -> dict[str, np.ndarray]:
    return {f"noise {n}": noise(100 + n) for n in range(count)} | {f"walk {n}": walk(200 + n) for n in range(count)}


@pytest.mark.parametrize("lag", [-7, 0, 4, 15])
def test_a_planted_lag_is_found_with_its_sign(lag: int) -> None:
    """`lag` above zero: the other one moves later."""
    target = walk(1)
    other = np.roll(target, lag) * 1e9 + noise(2) * 1e8
    if lag > 0:
        other[:lag] = np.nan
    elif lag < 0:
        other[lag:] = np.nan
    first = compare(target, unrelated() | {"culprit": other}).moved[0]
    assert (first.name, first.lag) == ("culprit", lag)
    assert first.correlation > 0.9
    assert first.strength > 0.5


def test_an_incident_in_both_is_found_below_the_noise_of_each() -> None:
    """Both rise and fall once, three minutes apart, and are noise otherwise."""
    target, other = noise(3), noise(4)
    target[200:260] += 20
    other[203:263] += 20
    found = compare(target, unrelated() | {"culprit": other})
    assert (found.moved[0].name, found.moved[0].lag) == ("culprit", 3)
    assert [one.name for one in found.moved if one.strength > 0] == ["culprit"]


def test_what_moves_the_other_way_leads_as_well() -> None:
    target = walk(5)
    first = compare(target, unrelated() | {"free": -target}).moved[0]
    assert first.name == "free"
    assert first.correlation == pytest.approx(-1)
    assert first.strength > 0.8


@pytest.mark.parametrize("method", ["pearson", "spearman"])
def test_unrelated_series_have_no_strength(method) -> None:
    for seed in range(5):
        found = compare(walk(seed), unrelated(), method=method)
        assert [one for one in found.moved if one.strength > 0] == []


def test_two_series_that_only_grow_do_not_look_alike() -> None:
    grows = {"trend": np.arange(POINTS) + noise(7)}
    found = compare(np.arange(POINTS) * 3 + noise(6), grows)
    assert np.corrcoef(np.arange(POINTS) * 3 + noise(6), grows["trend"])[0, 1] > 0.99
    assert named(found, "trend").strength == 0


def test_short_and_constant_series_do_not_lead() -> None:
    target = walk(8)
    short = np.full(POINTS, np.nan)
    short[100 : 100 + FEWEST_STEPS] = target[100 : 100 + FEWEST_STEPS]
    brief = np.full(POINTS, np.nan)
    true = target + noise(9)
    brief[100:140] = true[100:140]
    found = compare(
        target,
        {"short": short, "brief": brief, "constant": np.full(POINTS, 0.1), "true": true},
    )
    assert found.moved[0].name == "true"
    assert found.short == ["short"]
    assert found.constant == ["constant"]
    assert named(found, "brief").strength < named(found, "true").strength
    assert named(found, "brief").correlation > 0.5


def test_one_jump_near_a_jump_proves_nothing() -> None:
    target = noise(10)
    target[180] += 500
    other = np.zeros(POINTS)
    other[183:] = 1
    found = compare(target, {"jump": other})
    assert named(found, "jump").strength == 0


def test_the_correlation_is_that_of_numpy() -> None:
    target, other = walk(11), walk(12) + walk(11)
    found = named(compare(target, {"other": other}, max_lag=0), "other")
    span = POINTS // 72
    steps = [column[span:] - column[:-span] for column in (target, other)]
    cut = []
    for one in steps:
        centred = one - np.median(one)
        cut.append(np.clip(centred / (1.4826 * np.median(np.abs(centred))), -10, 10))
    assert found.correlation == pytest.approx(np.corrcoef(*cut)[0, 1])
    assert found.points == POINTS - span


def test_ranks_are_those_of_numpy() -> None:
    target, other = walk(13), walk(14) + walk(13)
    found = named(compare(target, {"other": other}, max_lag=0, method="spearman"), "other")
    span = POINTS // 72
    ranks = [(column[span:] - column[:-span]).argsort().argsort() for column in (target, other)]
    assert found.correlation == pytest.approx(np.corrcoef(*ranks)[0, 1])


def test_gaps_leave_out_what_they_touch_and_nothing_else() -> None:
    target = walk(15)
    holed = target.copy()
    holed[50:60] = np.nan
    holed[200] = np.nan
    found = named(compare(target, {"holed": holed}), "holed")
    assert found.correlation == pytest.approx(1)
    assert POINTS - 5 - 10 - 5 - 2 >= found.points >= POINTS - 5 - 2 * 11 - 5


def test_points_that_follow_on_each_other_count_as_fewer() -> None:
    smooth = np.convolve(walk(16), np.ones(20) / 20, mode="same")
    other = np.convolve(walk(17), np.ones(20) / 20, mode="same")
    found = named(compare(smooth, {"other": other}), "other")
    assert found.effective_points < found.points / 4
    rough = named(compare(noise(18), {"noise": noise(19)}), "noise")
    assert rough.effective_points > rough.points / 3


@pytest.mark.parametrize("values", [np.full(POINTS, 3.0), np.full(POINTS, 1e12) / 3], ids=["equal", "rounded"])
def test_what_does_not_change_cannot_be_asked_about(values) -> None:
    assert compare_with(pl.Series(values), {"other": pl.Series(walk(1))}, 15) == "constant"


def test_too_few_points_cannot_be_asked_about() -> None:
    few = pl.Series(walk(1)[:FEWEST_STEPS])
    assert compare_with(few, {"other": few}, 3) == "short"
    assert compare_with(pl.Series([None] * POINTS, dtype=pl.Float64), {}, 3) == "short"


@pytest.mark.parametrize(("scale", "shift"), [(1024.0, 0.0), (2.0**-20, 0.0), (1.0, 1e6)])
def test_unit_and_origin_of_the_series_do_not_matter(scale: float, shift: float) -> None:
    target, other = walk(20), walk(20) + walk(21)
    before = named(compare(target, {"other": other}), "other")
    after = named(compare(target * scale + shift, {"other": other / scale - shift}), "other")
    assert after.lag == before.lag
    assert after.correlation == pytest.approx(before.correlation, abs=1e-6)
    assert after.strength == pytest.approx(before.strength, abs=1e-5)


def test_steps_of_what_is_mostly_still_are_measured_by_their_mean() -> None:
    values = np.zeros(POINTS)
    values[100:] = 5
    values[101:] = 6
    steps = standardised_steps(pl.Series(values), 1)
    assert isinstance(steps, pl.Series)
    assert steps.max() == 10
    assert steps.abs().sum() == 20
