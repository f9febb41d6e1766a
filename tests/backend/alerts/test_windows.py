"""Window values: the evaluator's way and the replay's way agree; forecasts speak only of what goes one way."""

import random
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatops_backend.alerts.windows import (
    LONGEST_MINUTES_S,
    counted_silence,
    dense,
    forecast_bins,
    forecasts_at,
    rolling_forecasts,
    rolling_values,
    tier_of,
    values_at,
)

FIRST = 1_800_000_000
MINUTE = 60


def frame(values: list[float | None], samples: list[int] | None = None) -> pl.DataFrame:
    """One series, a bucket a minute; None is a minute without a reading."""
    rows = [
        {"time": FIRST + n * MINUTE, "avg": v, "min": v - 1, "max": v + 2, "samples": samples[n] if samples else 3}
        for n, v in enumerate(values)
        if v is not None
    ]
    schema = {"time": pl.Int64, "avg": pl.Float64, "min": pl.Float64, "max": pl.Float64, "samples": pl.Int64}
    return pl.DataFrame(rows, schema=schema)


@given(
    st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), min_size=1, max_size=40),
    st.sampled_from([1, 2, 3, 5, 7, 30]),
    st.sampled_from(["avg", "min", "max", "last"]),
    st.randoms(use_true_random=False),
)
@settings(max_examples=200, deadline=None)
def test_a_replay_sees_the_values_that_the_evaluator_sees(
    values: list[float | None], minutes: int, aggregate: Any, chance: random.Random
) -> None:
    buckets = frame(values, [chance.randint(1, 12) for _ in values])
    shuffled = buckets.sample(fraction=1.0, shuffle=True, seed=1)
    rolled = rolling_values(dense(shuffled, FIRST, len(values), MINUTE), MINUTE, minutes * MINUTE, aggregate)
    for number, value in enumerate(rolled.to_list()):
        at = FIRST + (number + 1) * MINUTE
        found = values_at(buckets.with_columns(server_id=1), ["server_id"], at, minutes * MINUTE, aggregate)
        wanted = found["value"].to_list()[0] if len(found) else None
        assert value == (wanted if wanted is None else pytest.approx(wanted, rel=1e-9, abs=1e-6))


def test_what_left_the_window_leaves_no_trace_of_rounding() -> None:
    values: list[float | None] = [1e15, 0.1, 0.1, 0.1, 0.1]
    rolled = rolling_values(dense(frame(values), FIRST, 5, MINUTE), MINUTE, 2 * MINUTE, "avg")
    assert rolled.to_list()[2:] == [pytest.approx(0.1, rel=1e-15)] * 3


def climbing(noise: float, per_minute: float = 0.01, minutes: int = 360) -> list[float | None]:
    chance = random.Random(7)
    return [50 + n * per_minute + chance.gauss(0, noise) for n in range(minutes)]


def forecast(values: list[float | None], within_s: float = 3_600) -> float | None:
    found = forecasts_at(
        frame(values).with_columns(mount=pl.lit("/")), ["mount"], FIRST + 360 * MINUTE, 21_600, within_s
    )
    return found["value"][0] if len(found) else None


def test_a_forecast_carries_a_line_on() -> None:
    assert forecast(climbing(0)) == pytest.approx(50 + 420 * 0.01, abs=0.02)
    assert forecast(climbing(0.3)) == pytest.approx(50 + 420 * 0.01, abs=0.4)
    assert forecast(climbing(0, -0.01)) == pytest.approx(50 - 420 * 0.01, abs=0.02)


def test_a_forecast_is_not_moved_by_a_wild_quarter_of_an_hour() -> None:
    wild = climbing(0)
    wild[100:115] = [99.0] * 15
    assert forecast(wild) == pytest.approx(50 + 420 * 0.01, abs=0.2)


@pytest.mark.parametrize(
    "values",
    [
        pytest.param(climbing(3, 0.0), id="noise"),
        pytest.param([60.0] * 360, id="flat"),
        pytest.param([40.0] * 180 + [60.0] * 180, id="one step"),
        pytest.param([None] * 180 + climbing(0, minutes=180), id="half of it missing"),
        pytest.param([None] * 359 + [50.0], id="a single value"),
        pytest.param([50.0 + 10 * (n % 120) / 120 for n in range(360)], id="up and down"),
    ],
)
def test_a_forecast_is_silent_when_no_line_fits(values: list[float | None]) -> None:
    assert forecast(values) is None


@pytest.mark.parametrize("window_s", [3_600, 7_200, 21_600])
def test_a_replayed_forecast_is_that_of_the_evaluator(window_s: int) -> None:
    values = climbing(0.2, minutes=720)
    values[300:320] = [None] * 20
    bin_s, count = forecast_bins(window_s)
    rolled = rolling_forecasts(dense(frame(values), FIRST, 720, MINUTE), MINUTE, window_s, 3_600)
    keyed = frame(values).with_columns(mount=pl.lit("/"))
    for number in range(count - 1, len(rolled)):
        found = forecasts_at(keyed, ["mount"], FIRST + (number + 1) * bin_s, window_s, 3_600)
        wanted = found["value"][0] if len(found) else None
        assert rolled[number] == (wanted if wanted is None else pytest.approx(wanted, rel=1e-9))


def test_a_window_is_read_from_the_smallest_roll_up_that_does_not_take_hundreds_of_buckets() -> None:
    assert [tier_of(window_s) for window_s in (60, LONGEST_MINUTES_S, LONGEST_MINUTES_S + 3_600)] == ["1m", "1m", "1h"]
    for window_s in (3_600, 5_400, 21_600, 25_200, 604_800):
        bin_s, count = forecast_bins(window_s)
        assert 6 <= count <= 12
        assert bin_s % {"1m": 60, "1h": 3_600}[tier_of(window_s)] == 0
        assert 0.8 * window_s < bin_s * count <= window_s


def test_three_intervals_of_an_agent_are_no_silence() -> None:
    rows = pl.DataFrame({"silent": [10.0, 90.0, 100.0, 200.0, None], "every": [5.0, 30.0, 30.0, 60.0, 5.0]})
    found = rows.select(value=counted_silence(pl.col("silent"), pl.col("every")))["value"]
    assert found.to_list() == [0.0, 0.0, 100.0, 200.0, None]
