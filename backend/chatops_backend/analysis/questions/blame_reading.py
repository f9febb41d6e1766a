"""What is asked of blame, and reading window and baseline together for it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import polars as pl
from msgspec import Struct

from chatops_backend.analysis.choice import SLACK_S, Choice, Range, finest_kept
from chatops_backend.analysis.series_frames import Reading, SeriesFrame, read_series
from chatops_backend.database.interface import Database
from chatops_protocol.catalog import CONTAINER, Measurement
from chatops_protocol.resources import Tier

_MINUTES_UP_TO_S = 86_400.0
Members = list[tuple[dict[str, Any], pl.DataFrame]]


class BlameQuestion(Struct, frozen=True):
    """`choice` is of one server."""

    choice: Choice
    window: Range
    baseline: Range
    limit: int


class SpanReader(Struct, frozen=True):
    """Reads one server's series in both ranges. Minutes of ranges up to a day, otherwise hours."""

    database: Database
    server_id: int
    tier: Tier
    bucket_s: float
    window: Range
    baseline: Range

    async def read(
        self, measurement: Measurement, *names: str, labels: Mapping[str, str] | None = None
    ) -> list[tuple[dict[str, Any], pl.DataFrame]]:
        """Labels and frame of each series, both ranges together."""
        fields = tuple(field for field in measurement.fields if field.name in names)
        found: dict[str, list[SeriesFrame]] = {}
        for span in (self.window, self.baseline):
            reading = Reading(
                measurement, fields, self.tier, self.bucket_s, span.start, span.end, labels or {}, samples=True
            )
            for one in await read_series(self.database, reading, [self.server_id]):
                found.setdefault(str(one.labels), []).append(one)
        return [(parts[0].labels, pl.concat([part.frame for part in parts])) for parts in found.values()]

    async def read_containers(self, name: str) -> Members:
        """One of each name, with the labels of the newest: made anew, a container is the same one to people."""
        named: dict[str, Members] = {}
        for labels, frame in await self.read(CONTAINER, name):
            named.setdefault(str(labels["name"]), []).append((labels, frame))
        return [
            (max(parts, key=lambda part: part[1]["time"].max() or 0)[0], pl.concat([frame for _, frame in parts]))
            for parts in named.values()
        ]


def reader_of(database: Database, question: BlameQuestion, whole_since: Mapping[Tier, datetime]) -> SpanReader:
    longest_s = max(question.window.length_s, question.baseline.length_s)
    fine: list[tuple[Tier, float]] = [("1m", 60.0)] if longest_s <= _MINUTES_UP_TO_S + SLACK_S else []
    earliest = min(question.window.start, question.baseline.start)
    tier, bucket_s = finest_kept([*fine, ("1h", 3_600.0)], earliest, whole_since)
    window, baseline = question.window.from_bucket(bucket_s), question.baseline.from_bucket(bucket_s)
    # They meet within a bucket: it belongs to the later one.
    if baseline.start < window.start < baseline.end:
        baseline = Range(baseline.start, window.start)
    elif window.start < baseline.start < window.end:
        window = Range(window.start, baseline.start)
    [server_id] = question.choice.server_ids
    return SpanReader(database, server_id, tier, bucket_s, window, baseline)
