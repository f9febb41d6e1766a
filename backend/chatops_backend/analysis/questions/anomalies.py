"""Asks what is unusual in a window."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import polars as pl
from msgspec import Struct

from chatops_backend.analysis.anomalies import in_order, series_anomalies
from chatops_backend.analysis.choice import SLACK_S, Choice, Range, finest_kept
from chatops_backend.analysis.seasonal_profile import DAY_S, HOUR_S, WEEK_S
from chatops_backend.analysis.series_frames import Reading, SeriesFrame, read_series
from chatops_backend.analysis.turns import Turns
from chatops_backend.database.interface import Database
from chatops_protocol.analysis_resources import Anomalies, SeriesAnomalies
from chatops_protocol.resources import Tier

LONGEST_S = 31 * DAY_S
# Buckets of the window and of the profile are equally wide: an hour's mean varies less than a minute's.
_BUCKETS: tuple[tuple[float, float], ...] = ((6 * HOUR_S, 300.0), (2 * DAY_S, 900.0))


class AnomalyQuestion(Struct, frozen=True):
    choice: Choice
    window: Range
    weeks: int
    threshold: float


async def ask(
    database: Database, turns: Turns, question: AnomalyQuestion, whole_since: Mapping[Tier, datetime]
) -> Anomalies:
    """Five minutes of windows up to six hours, a quarter of an hour up to two days, otherwise hours."""
    choice = question.choice
    profile_start = question.window.start - timedelta(seconds=question.weeks * WEEK_S)
    fine: list[tuple[Tier, float]] = [
        ("1m", bucket_s) for longest_s, bucket_s in _BUCKETS if question.window.length_s <= longest_s + SLACK_S
    ]
    tier, bucket_s = finest_kept([*fine[:1], ("1h", HOUR_S)], profile_start, whole_since)
    window = question.window.from_bucket(bucket_s)
    start = window.start - timedelta(seconds=question.weeks * WEEK_S)
    reading = Reading(choice.measurement, (choice.field,), tier, bucket_s, start, window.end, choice.labels)
    found = await read_series(database, reading, choice.server_ids)

    def judged(one: SeriesFrame) -> SeriesAnomalies:
        frame = one.frame.select("time", pl.col(choice.field.name).alias("value"))
        return series_anomalies(
            one.server_id,
            one.labels,
            frame,
            window.start.timestamp(),
            bucket_s,
            question.threshold,
            choice.field.unit,
        )

    return Anomalies(
        metric=choice.metric,
        unit=choice.field.unit,
        tier=tier,
        bucket_seconds=bucket_s,
        start=window.start,
        end=window.end,
        profile_start=start,
        threshold=question.threshold,
        series=await turns.compute(lambda: in_order([judged(one) for one in found])),
    )
