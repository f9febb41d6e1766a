"""Asks whether a window differs from the same one of earlier days or weeks."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import polars as pl
from msgspec import Struct

from chatops_backend.analysis.choice import SLACK_S, Choice, Range, finest_kept
from chatops_backend.analysis.comparison import compare_series, in_order
from chatops_backend.analysis.series_frames import Reading, read_series
from chatops_backend.analysis.turns import Turns
from chatops_backend.database.interface import Database
from chatops_backend.problems import ProblemError
from chatops_protocol.analysis_resources import Comparison
from chatops_protocol.resources import Tier

# About a hundred points of a window; one of more than two days has a point an hour.
_BUCKETS: tuple[tuple[float, Tier, float], ...] = (
    (7_200.0, "1m", 60.0),
    (43_200.0, "1m", 300.0),
    (172_800.0, "1m", 1_800.0),
)
_HOURS: tuple[Tier, float] = ("1h", 3_600.0)


class CompareQuestion(Struct, frozen=True):
    choice: Choice
    window: Range
    period_s: float
    windows: int


async def ask(
    database: Database, turns: Turns, question: CompareQuestion, whole_since: Mapping[Tier, datetime]
) -> Comparison:
    choice, length_s = question.choice, question.window.length_s
    if length_s > question.period_s + SLACK_S:
        raise ProblemError(
            400,
            "Range too long",
            "The window is longer than what it is compared with lies apart, so they would overlap; ask for a shorter "
            "one, or compare with weeks.",
        )
    fine: list[tuple[Tier, float]] = [
        (tier, width) for longest_s, tier, width in _BUCKETS if length_s <= longest_s + SLACK_S
    ]
    oldest = question.window.earlier(question.windows * question.period_s)
    tier, bucket_s = finest_kept([*fine[:1], _HOURS], oldest.start, whole_since)
    window = question.window.from_bucket(bucket_s)
    spans = [window.earlier(number * question.period_s) for number in range(question.windows + 1)]
    frames: dict[tuple[int, str], tuple[dict[str, Any], list[pl.DataFrame]]] = {}
    # Each window is read by itself: what lies between them is most of the time, and not needed.
    for span in spans:
        reading = Reading(choice.measurement, (choice.field,), tier, bucket_s, span.start, span.end, choice.labels)
        for one in await read_series(database, reading, choice.server_ids):
            frame = one.frame.select("time", pl.col(choice.field.name).alias("value"))
            frames.setdefault((one.server_id, str(one.labels)), (one.labels, []))[1].append(frame)
    seconds = [span.seconds for span in spans]
    return Comparison(
        metric=choice.metric,
        unit=choice.field.unit,
        tier=tier,
        bucket_seconds=bucket_s,
        start=window.start,
        end=window.end,
        period_s=question.period_s,
        series=await turns.compute(
            lambda: in_order(
                [
                    compare_series(server_id, labels, pl.concat(parts), seconds[0], seconds[1:], choice.field.unit)
                    for (server_id, _), (labels, parts) in sorted(frames.items(), key=lambda item: item[0])
                ]
            )
        ),
    )
