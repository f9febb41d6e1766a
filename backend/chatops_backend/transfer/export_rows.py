"""Reads what an export holds, page by page: a statement of its own for each, so that others have their turn in between,
and never more than one page in memory."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from asyncpg import Record
from msgspec import Struct

from chatops_backend.database.interface import Database
from chatops_backend.transfer.statements import rolled
from chatops_protocol.catalog import Measurement
from chatops_protocol.resources import Tier

if TYPE_CHECKING:
    import polars as pl

# Values of one page: about 10 MB while they are Python's, and 0.1 s of the embedded database's one connection.
PAGE_VALUES = 150_000


class Selection(Struct, frozen=True):
    """What to export: rows of one tier, ordered by server and time."""

    measurement: Measurement
    fields: tuple[str, ...]
    tier: Tier
    server_ids: Sequence[int]
    start: datetime
    end: datetime

    @property
    def columns(self) -> list[str]:
        values = list(self.fields) if self.tier == "raw" else [*rolled(self.fields), "samples"]
        return ["time", "server_id", *self.measurement.label_names, *values]

    def schema(self) -> "dict[str, pl.DataType | type[pl.DataType]]":
        import polars as pl

        texts = dict.fromkeys(self.measurement.label_names, pl.String)
        kinds: dict[str, Any] = {"time": pl.Datetime("us", "UTC"), "server_id": pl.Int32, "samples": pl.Int64} | texts
        return {name: kinds.get(name, pl.Float64) for name in self.columns}


async def pages(
    database: Database, selection: Selection, page_values: int = PAGE_VALUES
) -> AsyncGenerator["pl.DataFrame", None]:
    """Frames that are not empty."""
    statement, schema = _statement(selection), selection.schema()
    for server_id in selection.server_ids:
        start, size = selection.start, max(1, page_values // len(schema))
        while True:
            rows = await database.fetch(statement, server_id, start, selection.end, size)
            whole = _whole_moments(rows) if len(rows) == size else rows
            if rows and not whole:
                size *= 2  # more series at one moment than a page has rows
                continue
            if whole:
                yield await asyncio.to_thread(_frame, whole, schema)
            if len(whole) == len(rows):
                break
            start = rows[-1]["time"]


async def estimate_rows(database: Database, selection: Selection) -> int:
    """From the readings that the hours count: about right, and cheap."""
    per_hour = {"raw": "sum(samples)", "1m": "sum(least(samples, 60))", "1h": "count(*)", "1d": "count(*) / 24"}
    counted = await database.fetchval(
        f'SELECT {per_hour[selection.tier]}::bigint FROM metrics."{selection.measurement.name}_1h" '  # noqa: S608
        "WHERE server_id = ANY($1::integer[]) AND time >= $2::timestamptz AND time < $3::timestamptz",
        list(selection.server_ids),
        selection.start,
        selection.end,
    )
    return counted or 0


def _frame(rows: list[Record], schema: "dict[str, pl.DataType | type[pl.DataType]]") -> "pl.DataFrame":
    import polars as pl

    return pl.DataFrame(dict(zip(schema, zip(*rows, strict=True), strict=True)), schema=schema)


def _whole_moments(rows: list[Record]) -> list[Record]:
    """Without the last moment, of which rows may be on the next page."""
    last, end = rows[-1]["time"], len(rows)
    while end and rows[end - 1]["time"] == last:
        end -= 1
    return rows[:end]


def _statement(selection: Selection) -> str:
    table = selection.measurement.name + ("" if selection.tier == "raw" else f"_{selection.tier}")
    columns = ", ".join(f'"{column}"' for column in selection.columns)
    return (
        f'SELECT {columns} FROM metrics."{table}" WHERE server_id = $1::integer '  # noqa: S608 - catalogue names
        "AND time >= $2::timestamptz AND time < $3::timestamptz ORDER BY time LIMIT $4::bigint"
    )
