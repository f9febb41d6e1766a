"""Frames to import, their bodies, and what is in the roll-ups afterwards."""

import io
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from chatops_backend.accounts.visibility import ALL_SERVERS
from chatops_backend.audit.actor import SYSTEM
from chatops_backend.database.interface import Database
from chatops_backend.transfer.arrow_body import read_frame
from chatops_backend.transfer.importer import Importer
from chatops_backend.transfer.rollups import RollUps
from chatops_protocol.catalog import BY_NAME
from chatops_protocol.transfer_resources import ImportResult

# The database's own, since its policies are run too.
NOW = datetime.now(UTC).replace(microsecond=0)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def body_of(frame: pl.DataFrame) -> bytes:
    body = io.BytesIO()
    frame.write_ipc_stream(body, compression="uncompressed")
    return body.getvalue()


def disk_rows(server_id: int, start: datetime, end: datetime, every: timedelta, device: str = "sda") -> pl.DataFrame:
    """Busy shares that are different from row to row."""
    times = pl.datetime_range(start, end, every, time_unit="us", time_zone="UTC", closed="left", eager=True)
    return pl.DataFrame({"time": times}).with_columns(
        server_id=pl.lit(server_id, pl.Int32),
        device=pl.lit(device),
        busy_percent=(pl.col("time").dt.epoch("s") // 7 % 97 + server_id).cast(pl.Float64),
    )


class Imports:
    """An importer with a clock of its own."""

    def __init__(self, database: Database, now: datetime = NOW) -> None:
        self.database = database
        self.now = now
        self.rollups = RollUps(database, lambda: self.now.timestamp())
        self.importer = Importer(database, self.rollups, lambda: self.now.timestamp())

    async def store(self, frame: pl.DataFrame, measurement: str = "disk") -> ImportResult:
        found = BY_NAME[measurement]
        read = read_frame(body_of(frame), found)
        return await self.importer.store(read, found, SYSTEM, ALL_SERVERS, "metrics.import")

    async def finish(self) -> None:
        await self.rollups.refresh_all()
        assert self.rollups.progress().pending_days == 0


async def new_server(database: Database, name: str) -> int:
    server_id: int = await database.fetchval("INSERT INTO chatops.servers (name) VALUES ($1) RETURNING id", name)
    return server_id


async def rolled(database: Database, tier: str, server_id: int) -> list[tuple[Any, ...]]:
    """(time, avg, min, max, samples) of a server's roll-up, as every reader sees it."""
    rows = await database.fetch(
        "SELECT time, busy_percent_avg, busy_percent_min, busy_percent_max, samples "
        f"FROM metrics.disk_{tier} WHERE server_id = $1 ORDER BY time",
        server_id,
    )
    return [(row[0], round(row[1], 6), *list(row)[2:]) for row in rows]


def expected(frame: pl.DataFrame, tier: str, until: datetime = NOW) -> list[tuple[Any, ...]]:
    """What polars makes of the same rows."""
    value = pl.col("busy_percent")
    rows = (
        frame.filter(pl.col("time") < until)
        .group_by(pl.col("time").dt.truncate(tier))
        .agg(value.mean().alias("avg"), value.min().alias("min"), value.max().alias("max"), pl.len())
        .sort("time")
    )
    return [(row[0], round(row[1], 6), *row[2:]) for row in rows.iter_rows()]
