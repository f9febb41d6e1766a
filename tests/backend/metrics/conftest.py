"""Readings with a shape that is known, and what polars makes of them."""

import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from chatops_backend.database.interface import Database
from chatops_backend.database.open import open_database

NOW = datetime(2025, 6, 18, 12, 0, 30, tzinfo=UTC)
MOUNTS = ("/", "/home")
SECOND, MINUTE, HOUR, DAY = (timedelta(seconds=s) for s in (1, 60, 3_600, 86_400))
# The readings of the third server are missing for ten minutes.
HOLE = (NOW - 50 * MINUTE, NOW - 40 * MINUTE)

_ORIGIN_US = int(datetime(2000, 1, 3, tzinfo=UTC).timestamp() * 1_000_000)
_WIDTHS = {"1m": 60.0, "1h": 3_600.0, "1d": 86_400.0}
_KEYS = ["server_id", "mountpoint"]


class Stored:
    """The database, the ids of its three servers, and the rows of ``metrics.filesystem`` as a frame."""

    def __init__(self, database: Database, servers: list[int], rows: pl.DataFrame) -> None:
        self.database = database
        self.servers = servers
        self.rows = rows

    def expected(self, field: str, tier: str, bucket_s: float, start: datetime, end: datetime) -> pl.DataFrame:
        """server_id, mountpoint, bucket, avg, min, max of the buckets from `start` to `end`."""
        value = pl.col(field)
        frame = self.rows.select(*_KEYS, "time", avg=value, min=value, max=value, samples=pl.lit(1, pl.Int64))
        for name, width in _WIDTHS.items():
            if tier != "raw":
                frame = _regrouped(frame, width)
            if name == tier:
                break
        frame = frame.filter((pl.col("time") >= start) & (pl.col("time") < end))
        if bucket_s != _WIDTHS.get(tier, 5.0):
            frame = _regrouped(frame, bucket_s)
        return frame.drop("samples").sort(*_KEYS, "time")


def _regrouped(frame: pl.DataFrame, width_s: float) -> pl.DataFrame:
    width = int(width_s * 1_000_000)
    bucket = (pl.col("time").dt.timestamp("us") - _ORIGIN_US) // width * width + _ORIGIN_US
    weight = pl.col("samples").filter(pl.col("avg").is_not_null()).sum()
    return frame.group_by(*_KEYS, bucket.cast(pl.Datetime("us", "UTC")).alias("time")).agg(
        avg=pl.when(weight > 0).then((pl.col("avg") * pl.col("samples")).sum() / weight),
        min=pl.col("min").min(),
        max=pl.col("max").max(),
        samples=pl.col("samples").sum(),
    )


def _moments() -> list[datetime]:
    """Every 5 s for two and a half hours, every ten minutes for six days, every six hours for fifty."""
    newest = [NOW - n * 5 * SECOND for n in range(1, 1_800)]
    days = [NOW - 3 * HOUR - n * 10 * MINUTE for n in range(6 * 144 - 18)]
    older = [NOW - 6 * DAY - n * 6 * HOUR for n in range(1, 176)]
    return newest + days + older


def _readings(servers: list[int]) -> pl.DataFrame:
    chance = random.Random(20_250_618)
    rows: list[dict[str, Any]] = []
    for server_id in servers:
        silent = {chance.randrange(150) for _ in range(30)}
        for moment in _moments():
            time = moment + timedelta(milliseconds=chance.randrange(400))
            if server_id == servers[2] and HOLE[0] <= time < HOLE[1]:
                continue
            age_minutes = int((NOW.replace(second=0) - time) // MINUTE)
            for mount in MOUNTS:
                percent = None if mount == "/home" and age_minutes in silent else chance.lognormvariate(3, 0.7)
                rows.append(
                    {
                        "time": time,
                        "server_id": server_id,
                        "mountpoint": mount,
                        "device": "/dev/vda1",
                        "filesystem_type": "ext4",
                        "used_bytes": chance.lognormvariate(25, 2),
                        "used_percent": percent,
                    }
                )
    return pl.DataFrame(rows, infer_schema_length=None)


@pytest.fixture(scope="module")
async def stored(new_settings: Any) -> AsyncIterator[Stored]:
    """Nothing but the test computes roll-ups: on a server its workers are stopped for this database."""
    async with open_database(await new_settings()) as database:
        if database.runs_policies:
            await database.execute("SELECT _timescaledb_functions.stop_background_workers()")
        servers = [
            await database.fetchval(
                "INSERT INTO chatops.servers (name, tags) VALUES ($1, $2) RETURNING id", f"server {n}", tags
            )
            for n, tags in enumerate((["web", "eu"], ["web"], []))
        ]
        rows = _readings(servers)
        async with database.transaction() as transaction:
            await transaction.insert_columns(
                "filesystem", rows.columns, [rows[column].to_list() for column in rows.columns]
            )
        yield Stored(database, servers, rows)
