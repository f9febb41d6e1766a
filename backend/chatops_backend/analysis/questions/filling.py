"""Asks who fills a file system, by what containers write to all disks of its host."""

import polars as pl

from chatops_backend.analysis.blame import HostRise
from chatops_backend.analysis.filling import growth, growth_in_words, writers
from chatops_backend.analysis.questions.blame_reading import BlameQuestion, SpanReader
from chatops_backend.analysis.turns import Turns
from chatops_backend.problems import ProblemError
from chatops_protocol.analysis_resources import Blame, BlameShares
from chatops_protocol.catalog import FILESYSTEM

METRICS = ("filesystem.used_percent", "filesystem.used_bytes")
USED, WRITES = "used_bytes", "disk_write_bytes_per_second"
NO_PROCESSES = "Agents record what containers write, not what single processes do."


async def ask(reader: SpanReader, turns: Turns, question: BlameQuestion) -> Blame:
    """Raises `ProblemError` 400 when the labels leave several file systems."""
    choice = question.choice
    found = await reader.read(FILESYSTEM, USED, labels=choice.labels)
    if len(found) > 1:
        named = ", ".join(sorted({str(labels["mountpoint"]) for labels, _ in found})[:20])
        raise ProblemError(400, "Which file system?", f"Name one of {named} by `labels` (mountpoint, device).")
    name = str(found[0][0]["mountpoint"]) if found else "The file system"
    empty = pl.DataFrame(schema={"time": pl.Int64, USED: pl.Float64})
    frame = (found[0][1] if found else empty).rename({USED: "value"})
    containers = [(labels, rows.rename({WRITES: "value"})) for labels, rows in await reader.read_containers(WRITES)]
    spans = reader.window.seconds, reader.baseline.seconds

    def compute() -> tuple[HostRise, BlameShares]:
        gained = growth(frame, *spans)
        return gained, writers(containers, gained, *spans, question.limit)

    gained, of_containers = await turns.compute(compute)
    unknown = gained.rise is None
    return Blame(
        server_id=reader.server_id,
        metric=choice.metric,
        unit="bytes_per_second",
        outcome="not_enough_data" if unknown else "rise" if gained.rises else "no_rise",
        explanation=growth_in_words(gained, name),
        tier=reader.tier,
        start=reader.window.start,
        end=reader.window.end,
        baseline_start=reader.baseline.start,
        baseline_end=reader.baseline.end,
        window=gained.window,
        before=gained.before,
        rise=gained.rise,
        cores=None,
        processes=BlameShares(outcome="not_enough_data", explanation=NO_PROCESSES, culprits=[]),
        containers=of_containers,
    )
