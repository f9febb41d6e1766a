"""Exports of a given size as each format: how fast they come, and the most memory that the backend takes meanwhile.

`chatops server` on its own database holds host rows of random values, which no format makes much smaller. Each file is
read as it comes and thrown away. The memory is the peak of the backend's process (`VmHWM`, started anew for each file);
the embedded database is a process of its own.
"""

import argparse
import asyncio
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from benchmarks.environment import databases, describe_machine, fresh_settings, table
from chatops_backend.database.interface import Database
from chatops_backend.database.migrations import migrate
from chatops_backend.database.open import open_database
from chatops_backend.settings import Settings
from chatops_client import Client
from chatops_protocol.catalog import HOST
from tests.conftest import ADMIN_PASSWORD
from tests.stack import Backend, running_backend

SERVERS = 20
LIMIT_MIB = 300.0
FORMATS: tuple[Literal["csv", "parquet", "arrow"], ...] = ("csv", "arrow", "parquet")
ROW_BYTES = 620
FILL_ROWS = 50_000
MIB = 2**20


class Nowhere:
    """A file that forgets."""

    def write(self, data: bytes) -> int:
        return len(data)


async def fill(database: Database, rows: int) -> None:
    """Rows of the last days, evenly among the servers."""
    await database.execute(
        "INSERT INTO chatops.servers (name) SELECT 'host ' || n FROM generate_series(1, $1::int) AS n", SERVERS
    )
    fields, values = ", ".join(HOST.field_names), ", ".join(["100 * random()"] * len(HOST.field_names))
    each = -(-rows // SERVERS)
    start, step = datetime.now(UTC) - timedelta(days=5), timedelta(days=4) / each
    insert = (
        f"INSERT INTO metrics.host (time, server_id, {fields}) "
        f"SELECT $1::timestamptz + n * $2::interval, s, {values} "
        "FROM generate_series($3::int, $4::int) AS n, generate_series(1, $5::int) AS s"
    )
    for first in range(0, each, FILL_ROWS // SERVERS):
        await database.execute(
            insert,
            start,
            step,
            first,
            min(each, first + FILL_ROWS // SERVERS) - 1,
            SERVERS,
        )
    await database.execute("ANALYZE metrics.host")


async def prepare(settings: Settings, rows: int) -> None:
    async with open_database(settings) as database:
        await migrate(database)
        await fill(database, rows)


def peak_mib(backend: Backend) -> float:
    status = Path(f"/proc/{backend.program.process.pid}/status").read_text()
    return float(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))) / 1024


def measure(settings: Settings, name: str, megabytes: int) -> list[list[str]]:
    asyncio.run(prepare(settings, megabytes * 1_000_000 // ROW_BYTES))
    lines: list[list[str]] = []
    for form in FORMATS:
        with (
            running_backend(settings) as backend,
            Client(backend.url, username="admin", password=ADMIN_PASSWORD) as client,
        ):
            before, began = peak_mib(backend), time.perf_counter()
            size = client.transfer.export(
                Nowhere(),  # type: ignore[arg-type]  # of a file, only `write` is used
                form,
                datetime.now(UTC) - timedelta(days=6),
                measurement="host",
                server_ids=range(1, SERVERS + 1),
            )
            taken, peak = time.perf_counter() - began, peak_mib(backend)
        lines.append(
            [
                name,
                form,
                f"{size / 1e6:.0f}",
                f"{size / 1e6 / taken:.1f}",
                f"{before:.0f}",
                f"{peak:.0f}",
                f"{LIMIT_MIB:.0f}",
            ]
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=100, help="Of the CSV file, about; the others are smaller.")
    given = parser.parse_args()
    print(describe_machine())
    head = ["database", "format", "MB", "MB/s", "MiB before", "MiB peak", "MiB limit"]
    lines: list[list[str]] = []
    for name, url in databases():
        with fresh_settings(url) as settings:
            lines += measure(settings, name, given.megabytes)
    print(table(head, lines))
    if any(float(line[5]) > LIMIT_MIB for line in lines):
        raise SystemExit("the backend took more memory than its limit")


if __name__ == "__main__":
    main()
