"""The unusual stretches of one series. Pure; `questions.py` reads for it."""

from typing import Any, Literal

import polars as pl

from chatops_backend.analysis.seasonal_profile import FEWEST_BUCKETS, FEWEST_REPEATS, WEEK_S, seasonal_scores
from chatops_backend.analysis.words import at, value_in_words
from chatops_protocol.analysis_resources import Season, SeriesAnomalies, UnusualStretch

# Differences below these interest nobody: half a point, and half a percent of the usual size of what is no percentage.
LEAST_POINTS, LEAST_OF_SIZE = 0.5, 0.005
_SEASONS: dict[Season, str] = {
    "hour_of_week": "for the hour of the week",
    "hour_of_day": "for the hour of the day (there are too few weeks before it)",
    "none": "for this series (there are too few days before it)",
}


def series_anomalies(
    server_id: int,
    labels: dict[str, Any],
    frame: pl.DataFrame,
    start: float,
    bucket_s: float,
    threshold: float,
    unit: str,
) -> SeriesAnomalies:
    """`frame`: ``time`` (start of each bucket, Unix seconds, ascending) and ``value``; what is before `start` is the
    history. See `seasonal_scores`."""
    history = frame.filter(pl.col("time") < start).drop_nulls("value")
    window = frame.filter(pl.col("time") >= start)
    size = history["value"].abs().median()
    least = LEAST_POINTS if unit == "percent" else LEAST_OF_SIZE * size if isinstance(size, float) else 0.0
    scored, season = seasonal_scores(history, window, least)
    stretches = unusual_stretches(scored, bucket_s, threshold)
    outcome: Literal["unusual", "usual", "not_enough_data"]
    if scored["score"].drop_nulls().is_empty():
        outcome, said = "not_enough_data", _missing(history, window)
    elif not stretches:
        outcome, said = "usual", f"Nothing is unusual {_SEASONS[season]}."
    else:
        outcome, said = "unusual", _told(stretches, season, unit)
    reach = pl.col("spread") * threshold
    bands = scored.with_columns(low=pl.col("expected") - reach, high=pl.col("expected") + reach)
    return SeriesAnomalies(
        server_id=server_id,
        labels=labels,
        outcome=outcome,
        explanation=said,
        season=season,
        weeks=history.select(((start - pl.col("time") - 1) // WEEK_S).n_unique()).item() if len(history) else 0,
        time=[at(time) for time in bands["time"]],
        value=bands["value"].to_list(),
        expected=bands["expected"].to_list(),
        low=bands["low"].to_list(),
        high=bands["high"].to_list(),
        score=bands["score"].to_list(),
        stretches=stretches,
    )


def unusual_stretches(scored: pl.DataFrame, bucket_s: float, threshold: float) -> list[UnusualStretch]:
    """Buckets at least `threshold` away, joined where they follow on each other on the same side."""
    far = scored.filter(pl.col("score").abs() >= threshold)
    parted = (pl.col("time").diff() > bucket_s) | (pl.col("score").sign() != pl.col("score").sign().shift())
    found = []
    for _, rows in far.with_columns(stretch=parted.fill_null(value=False).cum_sum()).group_by(
        "stretch", maintain_order=True
    ):
        peak = rows.row(rows["score"].abs().arg_max() or 0, named=True)
        found.append(
            UnusualStretch(
                start=at(rows["time"][0]),
                end=at(rows["time"][-1] + bucket_s),
                score=peak["score"],
                value=peak["value"],
                expected=peak["expected"],
                peak_at=at(peak["time"]),
                buckets=len(rows),
            )
        )
    return found


def in_order(series: list[SeriesAnomalies]) -> list[SeriesAnomalies]:
    """The one that was furthest away first."""
    return sorted(series, key=lambda one: -max((abs(score) for score in one.score if score is not None), default=-1.0))


def _told(stretches: list[UnusualStretch], season: Season, unit: str) -> str:
    furthest = max(stretches, key=lambda one: abs(one.score))
    times = "once" if len(stretches) == 1 else f"{len(stretches)} times"
    return (
        f"Unusual {_SEASONS[season]}, {times}: {value_in_words(furthest.value, unit)} at "
        f"{furthest.peak_at:%Y-%m-%d %H:%M} UTC where {value_in_words(furthest.expected, unit)} is usual."
    )


def _missing(history: pl.DataFrame, window: pl.DataFrame) -> str:
    if window["value"].drop_nulls().is_empty():
        return "It has no readings in this window."
    return (
        f"{len(history)} readings before the window are too few to say what is usual: it takes the same hour of "
        f"{FEWEST_REPEATS} days, or {FEWEST_BUCKETS} readings."
    )
