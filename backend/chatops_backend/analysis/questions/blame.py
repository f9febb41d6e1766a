"""Asks what a host's rise is made of; of a file system `filling` does."""

from collections.abc import Mapping
from datetime import datetime

import polars as pl
from msgspec import Struct

from chatops_backend.analysis.blame import HostRise, host_rise, rise_in_words, shares
from chatops_backend.analysis.questions import filling
from chatops_backend.analysis.questions.blame_reading import BlameQuestion, Members, reader_of
from chatops_backend.analysis.turns import Turns
from chatops_backend.database.interface import Database
from chatops_protocol.analysis_resources import Blame, BlameShares
from chatops_protocol.catalog import CPU, HOST, PROCESS
from chatops_protocol.resources import Tier

LONGEST_S = 31 * 86_400.0
TOTAL = "memory_total_bytes"
WRITES = "disk_write_bytes_per_second"


class Parts(Struct, frozen=True):
    """The fields of processes and containers that the host's field is made of; `process` is None where agents do not
    record it. `of_total`: the container's is bytes where the host's is a percentage of its memory; `of_cores`: both
    are shares of one core."""

    process: str | None
    container: str
    of_cores: bool = False
    of_total: bool = False


PARTS = {
    "host.cpu_percent": Parts("cpu_percent", "cpu_percent", of_cores=True),
    "host.memory_used_bytes": Parts("memory_resident_bytes", "memory_used_bytes"),
    "host.memory_used_percent": Parts("memory_percent", "memory_used_bytes", of_total=True),
    f"host.{WRITES}": Parts(None, WRITES),
}
METRICS = (*PARTS, *filling.METRICS)


async def ask(database: Database, turns: Turns, question: BlameQuestion, whole_since: Mapping[Tier, datetime]) -> Blame:
    """`question` is of one of `METRICS`."""
    choice = question.choice
    reader = reader_of(database, question, whole_since)
    if choice.metric in filling.METRICS:
        return await filling.ask(reader, turns, question)
    parts = PARTS[choice.metric]
    host_rows = await reader.read(HOST, choice.field.name, TOTAL)
    frame = (
        host_rows[0][1]
        if host_rows
        else pl.DataFrame(schema=dict.fromkeys(("time", choice.field.name, TOTAL, "samples"), pl.Float64))
    )
    cores = len(await reader.read(CPU, "cpu_percent")) or None if parts.of_cores else None
    processes = await reader.read(PROCESS, parts.process) if parts.process is not None else []
    containers = await reader.read_containers(parts.container)
    spans = reader.window.seconds, reader.baseline.seconds
    total = frame[TOTAL].median() if parts.of_total else None

    def judged(members: Members, field: str | None, host: HostRise, divisor: float | None) -> BlameShares:
        if field is None:
            return BlameShares(outcome="not_enough_data", explanation=filling.NO_PROCESSES, culprits=[])
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
        server_id=reader.server_id,
        metric=choice.metric,
        unit=choice.field.unit,
        outcome="not_enough_data" if unknown else "rise" if host.rises else "no_rise",
        explanation=rise_in_words(host, choice.field.unit),
        tier=reader.tier,
        start=reader.window.start,
        end=reader.window.end,
        baseline_start=reader.baseline.start,
        baseline_end=reader.baseline.end,
        window=host.window,
        before=host.before,
        rise=host.rise,
        cores=cores,
        processes=of_processes,
        containers=of_containers,
    )
