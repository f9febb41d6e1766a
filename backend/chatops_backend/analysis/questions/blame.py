"""Asks what a host's rise is made of."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import polars as pl
from msgspec import Struct

from chatops_backend.analysis.blame import HostRise, host_rise, rise_in_words, shares
from chatops_backend.analysis.choice import SLACK_S, Choice, Range, finest_kept
from chatops_backend.analysis.series_frames import Reading, SeriesFrame, read_series
from chatops_backend.analysis.turns import Turns
from chatops_backend.database.interface import Database
from chatops_protocol.analysis_resources import Blame, BlameShares
from chatops_protocol.catalog import CONTAINER, CPU, HOST, PROCESS, Measurement
from chatops_protocol.resources import Tier

LONGEST_S = 31 * 86_400.0
_MINUTES_UP_TO_S = 86_400.0
TOTAL = "memory_total_bytes"


class Parts(Struct, frozen=True):
    """The fields of processes and containers that the host's field is made of; `of_total`: the container's is bytes
    where the host's is a percentage of its memory; `of_cores`: both are shares of one core."""

    process: str
    container: str
    of_cores: bool = False
    of_total: bool = False


PARTS = {
    "host.cpu_percent": Parts("cpu_percent", "cpu_percent", of_cores=True),
    "host.memory_used_bytes": Parts("memory_resident_bytes", "memory_used_bytes"),
    "host.memory_used_percent": Parts("memory_percent", "memory_used_bytes", of_total=True),
}


class BlameQuestion(Struct, frozen=True):
    """`choice` is of one server and one of `PARTS`."""

    choice: Choice
    window: Range
    baseline: Range
    limit: int


class _Reader(Struct, frozen=True):
    database: Database
    server_id: int
    tier: Tier
    bucket_s: float
    spans: tuple[Range, Range]

    async def read(self, measurement: Measurement, *names: str) -> list[tuple[dict[str, Any], pl.DataFrame]]:
        """Labels and frame of each series, both ranges together."""
        fields = tuple(field for field in measurement.fields if field.name in names)
        found: dict[str, list[SeriesFrame]] = {}
        for span in self.spans:
            reading = Reading(measurement, fields, self.tier, self.bucket_s, span.start, span.end, samples=True)
            for one in await read_series(self.database, reading, [self.server_id]):
                found.setdefault(str(one.labels), []).append(one)
        return [(parts[0].labels, pl.concat([part.frame for part in parts])) for parts in found.values()]


async def ask(database: Database, turns: Turns, question: BlameQuestion, whole_since: Mapping[Tier, datetime]) -> Blame:
    """Minutes of ranges up to a day, otherwise hours."""
    choice, parts = question.choice, PARTS[question.choice.metric]
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
    [server_id] = choice.server_ids
    reader = _Reader(database, server_id, tier, bucket_s, (window, baseline))
    host_rows = await reader.read(HOST, choice.field.name, TOTAL)
    frame = (
        host_rows[0][1]
        if host_rows
        else pl.DataFrame(schema=dict.fromkeys(("time", choice.field.name, TOTAL, "samples"), pl.Float64))
    )
    cores = len(await reader.read(CPU, "cpu_percent")) or None if parts.of_cores else None
    processes = await reader.read(PROCESS, parts.process)
    containers = await reader.read(CONTAINER, parts.container)
    spans = window.seconds, baseline.seconds
    total = frame[TOTAL].median() if parts.of_total else None

    def judged(
        members: list[tuple[dict[str, Any], pl.DataFrame]], field: str, host: HostRise, divisor: float | None
    ) -> BlameShares:
        if divisor is None:
            said = "The number of cores" if parts.of_cores else "The host's memory"
            said += " is not known, so nothing can be said of its parts."
            return BlameShares(outcome="not_enough_data", explanation=said, culprits=[])
        named = [(labels, rows.rename({field: "value"})) for labels, rows in members]
        return shares(named, divisor, host, *spans, choice.field.unit, question.limit)

    def compute() -> tuple[HostRise, BlameShares, BlameShares]:
        host = host_rise(frame.select("time", "samples", pl.col(choice.field.name).alias("value")), *spans)
        per_core = float(cores) if cores is not None else None
        of_process = per_core if parts.of_cores else 1.0
        of_container = per_core if parts.of_cores else 1.0
        if parts.of_total:
            of_container = total / 100 if isinstance(total, float) and total > 0 else None
        return (
            host,
            judged(processes, parts.process, host, of_process),
            judged(containers, parts.container, host, of_container),
        )

    host, of_processes, of_containers = await turns.compute(compute)
    unknown = host.rise is None
    return Blame(
        server_id=server_id,
        metric=choice.metric,
        unit=choice.field.unit,
        outcome="not_enough_data" if unknown else "rise" if host.rises else "no_rise",
        explanation=rise_in_words(host, choice.field.unit),
        tier=tier,
        start=window.start,
        end=window.end,
        baseline_start=baseline.start,
        baseline_end=baseline.end,
        window=host.window,
        before=host.before,
        rise=host.rise,
        cores=cores,
        processes=of_processes,
        containers=of_containers,
    )
