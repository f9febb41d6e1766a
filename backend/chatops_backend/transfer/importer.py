"""Stores the rows of an import: one request is one transaction, with its entry in the audit log.

Repeating a request changes nothing: what is there already is left out. Raw rows are the same when time, server and
labels are; for what is older than the raw table keeps, whoever comes first fills a bucket of the roll-up, and later
readings of that bucket count as there already. So a bucket must come whole, in one request (docs/transfer.md).
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from prometheus_client import Counter

from chatops_backend.accounts.visibility import VisibleServers
from chatops_backend.audit.actor import Actor
from chatops_backend.audit.trail import Target, record
from chatops_backend.database.interface import Database, Transaction
from chatops_backend.transfer.ages import ROLLUPS, TIERS, Cutoffs, cutoffs
from chatops_backend.transfer.arrow_body import refuse_rows
from chatops_backend.transfer.rollups import RollUps
from chatops_backend.transfer.statements import any_stored, insert_raw, insert_rollup, rolled
from chatops_backend.transfer.tables import Tables, find_tables
from chatops_protocol.catalog import Measurement
from chatops_protocol.resources import Tier
from chatops_protocol.transfer_resources import ImportResult

if TYPE_CHECKING:
    import polars as pl

# One import at a time: two at once that bring the same rows would both find them missing.
_LOCK = 4_221_067
# Values of one statement. As parameters they take 12 bytes each, and the embedded server takes 24 MB.
MOST_VALUES = 400_000
MOST_SERVERS_NAMED = 100
# What is no older than this, the policies roll up soon enough.
RECENT = timedelta(hours=1)

rows_imported = Counter("chatops_import_rows_total", "Rows of imports", ["outcome"])


class Importer:
    def __init__(self, database: Database, rollups: RollUps, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._rollups = rollups
        self._clock = clock

    async def store(
        self, frame: "pl.DataFrame", measurement: Measurement, actor: Actor, visible: VisibleServers, action: str
    ) -> ImportResult:
        """`frame` as `arrow_body.read_frame` returns it. Servers that do not exist or that `visible` does not show
        refuse their rows."""
        now = datetime.fromtimestamp(self._clock(), UTC)
        tables = await find_tables(self._database, measurement.name)
        with self._rollups.importing(measurement.name, cutoffs(now, tables.policies)) as pending:
            async with self._database.transaction() as transaction:
                known = await _known_servers(transaction, frame, visible)
                good, refused = await asyncio.to_thread(refuse_rows, frame, measurement, known, now)
                once = await asyncio.to_thread(_without_repeated, good, measurement)
                await transaction.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
                stored = 0
                for tier, part, is_copy in split(once, pending.limits):
                    inserted = await _insert(transaction, measurement, tables, tier, part)
                    stored += 0 if is_copy else inserted
                result = ImportResult(frame.height, stored, good.height - stored, refused)
                target = Target("measurement", measurement.name)
                await record(transaction, actor, action, target, after=_summary(once, result))
            # Of rows that were there too: who repeats an import after a crash wants its roll-ups.
            pending.days.update(_days(once, now - RECENT))
        rows_imported.labels("stored").inc(stored)
        rows_imported.labels("already_there").inc(result.already_there)
        rows_imported.labels("refused").inc(sum(item.count for item in refused))
        return result


def _days(frame: "pl.DataFrame", before: datetime) -> list[date]:
    days: list[date] = frame.filter(frame["time"] < before)["time"].dt.date().unique().to_list()
    return days


def _without_repeated(frame: "pl.DataFrame", measurement: Measurement) -> "pl.DataFrame":
    return frame.unique(["time", "server_id", *measurement.label_names], keep="first", maintain_order=True).sort("time")


def split(frame: "pl.DataFrame", limits: Cutoffs) -> list[tuple[Tier, "pl.DataFrame", bool]]:
    """The rows that each tier gets, without tiers that get none. A refresh brings rows into the roll-ups above; where
    none reaches, the roll-up that is kept for that age gets them too, and what the finer one has is a copy."""
    import polars as pl

    parts: list[tuple[Tier, pl.DataFrame, bool]] = []
    reached = {tier: pl.col("time") >= limits.reached[tier] for tier in TIERS}
    kept = {tier: pl.col("time") >= limits.kept[tier] for tier in TIERS}
    parts.append(("raw", frame.filter(reached["raw"]), False))
    parts.append(("raw", frame.filter(~reached["raw"] & kept["raw"]), True))
    for tier, source, _ in ROLLUPS:
        parts.append((tier, frame.filter(~reached[source] & reached[tier]), False))
        if tier != "1d":
            parts.append((tier, frame.filter(~reached[source] & ~reached[tier] & kept[tier]), True))
    return [part for part in parts if part[1].height]


def roll_up(frame: "pl.DataFrame", measurement: Measurement, tier: Tier) -> tuple["pl.DataFrame", bool]:
    """One row per bucket, server and labels; and whether each stands for one reading. Then every field stands there
    once, otherwise as avg, min and max."""
    import polars as pl

    bucketed = frame.with_columns(pl.col("time").dt.truncate(tier))
    key = ["time", "server_id", *measurement.label_names]
    fields = [name for name in measurement.field_names if name in frame.columns]
    if not bucketed.select(key).is_duplicated().any():
        return bucketed.with_columns(samples=pl.lit(1, pl.Int64)), True
    values = [
        getattr(pl.col(name), "mean" if part == "avg" else part)().alias(f"{name}_{part}")
        for name in fields
        for part in ("avg", "min", "max")
    ]
    samples = pl.len().cast(pl.Int64).alias("samples")
    return bucketed.group_by(key, maintain_order=True).agg(*values, samples), False


async def _insert(
    transaction: Transaction, measurement: Measurement, tables: Tables, tier: Tier, frame: "pl.DataFrame"
) -> int:
    """Insert what is not there; return how many readings that was."""
    fields = [name for name in measurement.field_names if name in frame.columns]
    scope = [frame["time"].min(), frame["time"].max(), frame["server_id"].unique().to_list()]
    if tier == "raw":
        return await _insert_raw(transaction, measurement, frame, scope)
    rows, single = await asyncio.to_thread(roll_up, frame, measurement, tier)
    statement = insert_rollup(tables.rollup[tier], measurement, fields, single=single)
    columns = ["time", "server_id", *measurement.label_names, *(fields if single else rolled(fields)), "samples"]
    scope[0] = rows["time"].min()
    stored = 0
    for piece in _pieces(rows.select(columns)):
        stored += await transaction.fetchval(statement, *await _lists(piece), *scope)
    return stored


async def _insert_raw(
    transaction: Transaction, measurement: Measurement, frame: "pl.DataFrame", scope: list[Any]
) -> int:
    table = f'metrics."{measurement.name}"'
    if not await transaction.fetchval(any_stored(table), *scope):
        for piece in _pieces(frame):
            await transaction.insert_columns(measurement.name, frame.columns, await _lists(piece))
        return frame.height
    statement = insert_raw(measurement, frame.columns)
    stored = 0
    for piece in _pieces(frame):
        status = await transaction.execute(statement, *await _lists(piece), *scope)
        stored += int(status.rpartition(" ")[2])
    return stored


def _pieces(frame: "pl.DataFrame") -> Iterator["pl.DataFrame"]:
    return frame.iter_slices(max(1, MOST_VALUES // frame.width))


async def _lists(frame: "pl.DataFrame") -> list[list[Any]]:
    return await asyncio.to_thread(lambda: [column.to_list() for column in frame.iter_columns()])


async def _known_servers(transaction: Transaction, frame: "pl.DataFrame", visible: VisibleServers) -> set[int]:
    named = frame["server_id"].unique().drop_nulls().to_list()
    rows = await transaction.fetch("SELECT id FROM chatops.servers WHERE id = ANY($1::integer[])", named)
    return {row["id"] for row in rows if visible.sees(row["id"])}


def _summary(frame: "pl.DataFrame", result: ImportResult) -> dict[str, Any]:
    return {
        "rows": result.rows,
        "stored": result.stored,
        "already_there": result.already_there,
        "refused": {item.reason: item.count for item in result.refused},
        "server_ids": frame["server_id"].unique().sort().to_list()[:MOST_SERVERS_NAMED],
        "oldest": frame["time"].min(),
        "newest": frame["time"].max(),
    }
