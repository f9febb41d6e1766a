"""Series whose future is known: when they are full, and when nothing can be said."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from chatops_backend.analysis.forecast import (
    DAY_S,
    Target,
    default_direction,
    default_level,
    forecast_series,
    in_order,
)
from chatops_protocol.analysis_resources import SeriesForecast
from chatops_protocol.catalog import find_metric

END = datetime(2026, 11, 1, tzinfo=UTC)
TO_FULL = Target("percent", 100.0, "rising", END.timestamp(), 30 * DAY_S)


def days(values: list[float | None], until: datetime = END) -> pl.DataFrame:
    first = int(until.timestamp()) - len(values) * int(DAY_S)
    times = [first + n * int(DAY_S) for n in range(len(values))]
    return pl.DataFrame({"time": times, "value": values}, schema={"time": pl.Int64, "value": pl.Float64})


def forecast(frame: pl.DataFrame, target: Target = TO_FULL) -> SeriesForecast:
    return forecast_series(1, {"mountpoint": "/"}, frame, "1d", DAY_S, target)


def test_a_planted_trend_is_full_when_it_must_be() -> None:
    """40 % at the beginning, 1.5 a day: the middle of the last of 30 days is at 83.5, so 100 is 11 days later."""
    found = forecast(days([40 + 1.5 * n for n in range(30)]))
    assert found.outcome == "reaches"
    assert found.slope_per_day == pytest.approx(1.5)
    assert found.reaches_at is not None
    assert abs(found.reaches_at - (END + timedelta(days=10.5))) < timedelta(seconds=1)
    assert found.earliest_at == found.latest_at == found.reaches_at
    assert "11 November 2026" in found.explanation
    assert found.current == pytest.approx(83.5)


def test_the_date_lies_in_its_interval_and_noise_widens_it() -> None:
    chance = random.Random(5)
    widths = []
    for noise in (0.2, 2.0):
        found = forecast(days([40 + 1.5 * n + chance.gauss(0, noise) for n in range(30)]))
        assert found.earliest_at is not None
        assert found.reaches_at is not None
        assert found.latest_at is not None
        assert found.earliest_at <= found.reaches_at <= found.latest_at
        assert found.earliest_at < END + timedelta(days=10.5) < found.latest_at
        widths.append(found.latest_at - found.earliest_at)
    assert widths[0] < widths[1]


def test_noise_around_a_level_has_no_trend() -> None:
    chance = random.Random(1)
    found = forecast(days([50 + chance.gauss(0, 3) for _ in range(30)]))
    assert found.outcome == "no_trend"
    assert "no trend" in found.explanation
    assert found.reaches_at is None


def test_what_is_full_says_so_and_what_falls_moves_away() -> None:
    assert forecast(days([100.0] * 30)).outcome == "reached"
    assert forecast(days([90 - n for n in range(30)])).outcome == "moves_away"


def test_what_is_too_far_off_is_beyond_the_horizon() -> None:
    found = forecast(days([10 + 0.1 * n for n in range(30)]))
    assert found.outcome == "beyond_horizon"
    assert found.reaches_at is not None
    assert found.explanation.startswith("Not within 30 days")
    slow = forecast(days([10 + 0.0001 * n for n in range(30)]))
    assert slow.outcome == "beyond_horizon"
    assert slow.reaches_at is None


def test_what_runs_out_falls_to_nothing() -> None:
    target = Target("bytes", 0.0, "falling", END.timestamp(), 30 * DAY_S)
    found = forecast(days([3e9 - 1e8 * n for n in range(29)]), target)
    assert found.outcome == "reaches"
    assert found.reaches_at is not None
    assert abs(found.reaches_at - (END + timedelta(days=1.5))) < timedelta(seconds=1)


def test_without_a_level_there_is_the_trend_alone() -> None:
    target = Target("bytes", None, "rising", END.timestamp(), 30 * DAY_S)
    found = forecast(days([1e9 + 1e6 * n for n in range(30)]), target)
    assert found.outcome == "trend"
    assert found.slope_per_day == pytest.approx(1e6)


def test_a_disk_that_was_cleaned_lately_is_forecast_from_where_it_is() -> None:
    """The same growth, 30 points lower since three days: the line goes through where it is now."""
    values = [40 + 1.5 * n - (30 if n >= 27 else 0) for n in range(30)]
    found = forecast(days(list(values)), Target("percent", 100.0, "rising", END.timestamp(), 365 * DAY_S))
    assert found.outcome == "reaches"
    assert found.slope_per_day is not None
    assert found.line == pytest.approx(values[-1] + found.slope_per_day / 2, abs=0.5)


def test_a_disk_that_fills_since_a_while_is_asked_about_since_then() -> None:
    """Level for seventeen days, and four points a day since; over all thirty days the slope is another."""
    chance = random.Random(3)
    values: list[float | None] = [30 + 4.0 * max(0, n - 17) + chance.gauss(0, 0.3) for n in range(30)]
    found = forecast(days(values))
    assert found.outcome == "reaches"
    assert found.slope_per_day == pytest.approx(4, abs=0.3)
    assert found.reaches_at is not None
    # 78 on the middle of the last day, so 22 points or five and a half days after it.
    assert abs(found.reaches_at - (END + timedelta(days=5))) < timedelta(days=0.5)
    assert found.since is not None
    assert found.since >= END - timedelta(days=17)


def test_a_disk_that_was_cleaned_halfway_grows_as_ever() -> None:
    found = forecast(days([50 + 2.0 * n - (35 if n >= 15 else 0) for n in range(30)]))
    assert found.outcome == "reaches"
    assert found.slope_per_day == pytest.approx(2)


def test_noise_and_stairs_are_asked_about_as_a_whole() -> None:
    chance = random.Random(4)
    for values in ([50 + chance.gauss(0, 3) for _ in range(30)], [40 + 5.0 * (n // 6) for n in range(30)]):
        assert forecast(days(list(values))).since == END - timedelta(days=30)


def test_one_wild_day_at_the_end_does_not_decide() -> None:
    values: list[float | None] = [40 + 1.0 * n for n in range(30)]
    steady = forecast(days(values))
    values[-1] = 99.0
    wild = forecast(days(values))
    assert steady.reaches_at is not None
    assert wild.reaches_at is not None
    assert abs(steady.reaches_at - wild.reaches_at) < timedelta(days=3)


@pytest.mark.parametrize(
    ("values", "outcome", "words"),
    [
        ([], "not_enough_data", "no readings"),
        ([None] * 20, "not_enough_data", "no readings"),
        ([1.0 + n for n in range(9)], "not_enough_data", "9 readings"),
    ],
    ids=["none", "nulls", "few"],
)
def test_too_little_is_an_answer_with_its_reason(values: list[float | None], outcome: str, words: str) -> None:
    found = forecast(days(values))
    assert found.outcome == outcome
    assert words in found.explanation
    assert found.slope_per_day is None


def test_a_series_that_ended_is_gone() -> None:
    found = forecast(days([40 + n for n in range(20)], until=END - timedelta(days=5)))
    assert found.outcome == "gone"
    assert "October 2026" in found.explanation


def test_gaps_are_no_zeros() -> None:
    values: list[float | None] = [40 + 1.5 * n for n in range(30)]
    values[5:15] = [None] * 10
    found = forecast(days(values))
    assert found.slope_per_day == pytest.approx(1.5)
    assert found.points == 20


def test_those_that_are_full_soonest_come_first() -> None:
    frames = {0.5: 60.0, 2.0: 40.0, 0.0: 50.0, 1.0: 60.0}
    found = [forecast(days([start + rate * n for n in range(30)])) for rate, start in frames.items()]
    found.append(forecast(days([100.0] * 30)))
    assert [one.outcome for one in in_order(found)][:3] == ["reached", "reaches", "reaches"]
    times = [one.reaches_at for one in in_order(found) if one.outcome == "reaches"]
    assert times == sorted(times, key=lambda at: at or END)


@pytest.mark.parametrize(
    ("metric", "direction", "level"),
    [
        ("filesystem.used_percent", "rising", 100.0),
        ("filesystem.free_bytes", "falling", 0.0),
        ("host.memory_available_bytes", "falling", 0.0),
        ("host.load_1m", "rising", None),
    ],
)
def test_levels_that_need_no_saying(metric: str, direction: Any, level: float | None) -> None:
    found = find_metric(metric)
    assert found is not None
    assert default_direction(found[1]) == direction
    assert default_level(found[1], direction) == level
