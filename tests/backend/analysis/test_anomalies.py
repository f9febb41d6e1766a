"""Weeks with a rhythm that is known, and what stands out of it."""

from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from chatops_backend.analysis.anomalies import series_anomalies
from chatops_backend.analysis.seasonal_profile import seasonal_scores

START = datetime(2026, 11, 2, tzinfo=UTC)  # a Monday
HOUR_S, DAY_H, WEEK_H = 3_600, 24, 168


def rhythm(hours: np.ndarray) -> np.ndarray:
    """Busy by day, on working days."""
    weekday = hours // DAY_H % 7
    return 20 + np.where(weekday < 5, 30, 5) * np.clip(np.sin((hours % DAY_H - 6) / 12 * np.pi), 0, None)


def weeks(before: int, window_h: int = 48, noise: float = 1.0, seed: int = 1) -> pl.DataFrame:
    """`before` weeks and the window's hours."""
    hours = np.arange(-before * WEEK_H, window_h)
    values = rhythm(hours) + np.random.default_rng(seed).normal(0, noise, len(hours))
    return pl.DataFrame({"time": int(START.timestamp()) + hours * HOUR_S, "value": values})


def planted(frame: pl.DataFrame, hour: int, value: float | None) -> pl.DataFrame:
    at = int(START.timestamp()) + hour * HOUR_S
    return frame.with_columns(pl.when(pl.col("time") == at).then(pl.lit(value)).otherwise("value").alias("value"))


def judged(frame: pl.DataFrame, threshold: float = 3.5, unit: str = "percent"):
    return series_anomalies(1, {}, frame, START.timestamp(), HOUR_S, threshold, unit)


def test_a_planted_anomaly_is_found_where_it_is_and_nothing_else() -> None:
    frame = weeks(4)
    for hour in (27, 28):
        frame = planted(frame, hour, 55.0)  # at night, when 20 is usual, and no more than at noon
    found = judged(frame)
    assert (found.outcome, found.season, found.weeks) == ("unusual", "hour_of_week", 4)
    [stretch] = found.stretches
    assert (stretch.start.day, stretch.start.hour, stretch.end.hour, stretch.buckets) == (3, 3, 5, 2)
    assert stretch.value == 55.0
    assert stretch.expected == pytest.approx(20, abs=2)
    assert stretch.score > 10
    assert "55 %" in found.explanation


def test_the_weekend_has_its_own_usual() -> None:
    """Saturday noon at the height of a Friday is unusual, though it is a usual value."""
    frame = planted(weeks(4, window_h=WEEK_H), 5 * DAY_H + 12, 50.0)
    stretch = max(judged(frame).stretches, key=lambda one: one.score)
    assert stretch.score > 20
    assert stretch.start.weekday() == 5
    assert stretch.expected == pytest.approx(25, abs=2)


def test_less_than_expected_has_a_score_below_zero() -> None:
    [stretch] = judged(planted(weeks(4), 12, 10.0)).stretches
    assert stretch.score < -10


def test_medians_and_deviations_are_those_of_numpy() -> None:
    frame = weeks(5, window_h=24)
    start = int(START.timestamp())
    scored, _ = seasonal_scores(frame.filter(pl.col("time") < start), frame.filter(pl.col("time") >= start), 0.0)
    table = frame.filter(pl.col("time") < start)["value"].to_numpy().reshape(5, 7, 24)
    medians = np.median(table, axis=0)
    assert scored["expected"].to_numpy() == pytest.approx(medians[0])
    spread = np.median(np.abs(table - medians), axis=(0, 1)) * 1.4826 * 1.206
    spread = np.maximum(spread, 0.1 * np.median(np.abs(table - medians)) * 1.4826 * 1.206) * np.sqrt(1 + np.pi / 10)
    assert scored["spread"].to_numpy() == pytest.approx(spread)
    values = frame.filter(pl.col("time") >= start)["value"].to_numpy()
    assert scored["score"].to_numpy() == pytest.approx((values - medians[0]) / spread)


def test_noise_is_seldom_unusual() -> None:
    shares = []
    for seed in range(20):
        found = judged(weeks(4, window_h=WEEK_H, noise=3.0, seed=seed))
        shares.append(sum(stretch.buckets for stretch in found.stretches) / WEEK_H)
    assert np.mean(shares) < 0.02


@pytest.mark.parametrize(
    ("days", "season"), [(15, "hour_of_day"), (4, "hour_of_day"), (2, "none"), (28, "hour_of_week")]
)
def test_with_few_weeks_it_says_which_hours_it_compares_with(days: int, season: str) -> None:
    frame = weeks(4).filter(pl.col("time") >= START.timestamp() - days * DAY_H * HOUR_S)
    found = judged(planted(frame, 27, 99.0))
    assert found.season == season
    assert found.outcome == "unusual"


def test_a_single_outage_leaves_the_other_weeks_to_say_what_is_usual() -> None:
    frame = weeks(4)
    lost = pl.col("time").is_between(START.timestamp() - 9 * 86_400, START.timestamp() - 6 * 86_400)
    found = judged(planted(frame.filter(~lost), 27, 99.0))
    assert found.season == "hour_of_week"
    assert None not in found.score


def test_what_is_not_known_has_no_score() -> None:
    found = judged(planted(weeks(4), 5, None))
    assert found.value[5] is None
    assert found.score[5] is None
    assert found.expected[5] is not None
    few = judged(weeks(1).filter(pl.col("time") >= START.timestamp() - 10 * HOUR_S))
    assert few.outcome == "not_enough_data"
    assert "10 readings" in few.explanation
    assert set(few.score) == {None}
    silent = judged(weeks(4).filter(pl.col("time") < START.timestamp()))
    assert (silent.outcome, silent.time) == ("not_enough_data", [])


def test_stretches_end_at_a_gap_and_where_the_side_changes() -> None:
    frame = weeks(4)
    for hour, value in ((24, 90.0), (25, 90.0), (26, -90.0), (28, 90.0), (29, None), (30, 90.0)):
        frame = planted(frame, hour, value)
    assert [one.buckets for one in judged(frame).stretches] == [2, 1, 1, 1]


def test_half_a_point_more_of_a_disk_that_never_moved_is_usual_and_ten_are_not() -> None:
    frame = weeks(4).with_columns(value=pl.lit(45.2))
    assert judged(planted(frame, 7, 45.7)).outcome == "usual"
    assert judged(planted(frame, 7, 55.0)).outcome == "unusual"
    never = judged(frame.with_columns(value=pl.lit(0.0)), unit="count")
    assert never.outcome == "usual"
    once = judged(planted(frame.with_columns(value=pl.lit(0.0)), 7, 1.0), unit="count")
    assert once.stretches[0].score == 1_000


@pytest.mark.parametrize(("scale", "shift"), [(1024.0, 0.0), (1.0, 500.0), (0.125, -64.0)])
def test_scores_do_not_depend_on_unit_and_origin(scale: float, shift: float) -> None:
    frame = planted(weeks(4), 27, 55.0)
    start = int(START.timestamp())

    def scores(values: pl.DataFrame) -> pl.Series:
        return seasonal_scores(values.filter(pl.col("time") < start), values.filter(pl.col("time") >= start), 0.0)[0][
            "score"
        ]

    other = frame.with_columns(pl.col("value") * scale + shift)
    assert scores(other).to_numpy() == pytest.approx(scores(frame).to_numpy(), rel=1e-6)
