"""What else moved: one server's 60 series over 6 hours, ranked by how they moved with its processor.

Six hours of 20 servers at 5 s are stored, and the roll-ups refreshed up to the last minutes as the policies would have.
Asked through the REST API of a running backend, one question at a time, each for another server and series.
"""

import argparse
import asyncio
import statistics
import time
from datetime import UTC, datetime, timedelta

import httpx

from benchmarks.environment import databases, describe_machine, fresh_settings, percentile, table
from chatops_backend.database.interface import Database
from chatops_backend.database.migrations import migrate
from chatops_backend.database.open import open_database
from chatops_protocol.catalog import BY_NAME
from tests.stack import running_backend

SERVERS = 20
HOURS = 6
LIMIT_S = 2.0
# Objects of each measurement: 35 + 2 · 4 + 2 · 6 + 5 = 60 series a server.
OBJECTS = {"host": 1, "cpu": 2, "filesystem": 2, "disk": 1}
ASKED = ("host.cpu_percent", "host.memory_used_bytes", "host.disk_write_bytes_per_second", "host.load_1m")


async def fill(database: Database) -> None:
    """Waves of many lengths with noise, one row per object each five seconds."""
    for name, objects in OBJECTS.items():
        measurement = BY_NAME[name]
        values = ", ".join(
            f"50 + 30 * sin({n} + s + o + extract(epoch FROM t) / {300 + 97 * n}) + 5 * random()"
            for n in range(len(measurement.fields))
        )
        labels = "".join(f", '{label}' || o" for label in measurement.label_names)
        columns = ", ".join(measurement.columns)
        await database.execute(
            f"INSERT INTO metrics.{name} (time, server_id, {columns}) SELECT t, s{labels}, {values} "
            f"FROM generate_series(now() - interval '{HOURS} hours 10 minutes', now(), interval '5 seconds') AS t, "
            f"generate_series(1, {SERVERS}) AS s, generate_series(1, {objects}) AS o"
        )
        for tier, width in (("1m", "1 minute"), ("1h", "1 hour")):
            await database.execute(
                f"CALL refresh_continuous_aggregate('metrics.{name}_{tier}', NULL, now() - interval '{width}')"
            )
        for stored in (name, f"{name}_1m"):
            await database.execute(f"ANALYZE metrics.{stored}")


def measure(database_url: str | None, times: int) -> tuple[list[float], int]:
    """Seconds of each question, and how many series one compared."""

    async def prepare() -> None:
        async with open_database(settings) as database:
            await migrate(database)
            await fill(database)

    with fresh_settings(database_url) as settings:
        asyncio.run(prepare())
        taken: list[float] = []
        series = 0
        with running_backend(settings) as backend, httpx.Client(trust_env=False, timeout=60) as client:
            for number in range(SERVERS):
                backend.add_server(f"host {number}")
            headers = backend.headers()
            for turn in range(times + 3):
                end = datetime.now(UTC)
                question = {
                    "server_id": str(turn % SERVERS + 1),
                    "metric": ASKED[turn % len(ASKED)],
                    "start": (end - timedelta(hours=HOURS)).isoformat(),
                    "end": end.isoformat(),
                }
                began = time.perf_counter()
                answer = client.get(f"{backend.url}/api/v1/analysis/correlate", params=question, headers=headers)
                taken.append(time.perf_counter() - began)
                found = answer.raise_for_status().json()
                series = found["compared"] + found["constant"] + found["short"] + 1
        return taken[3:], series  # the first ones plan and warm up


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=40, help="questions (%(default)s)")
    arguments = parser.parse_args()
    print(describe_machine())
    rows = []
    for name, url in databases():
        taken, series = measure(url, arguments.times)
        rows.append(
            [
                name,
                str(series),
                f"{statistics.median(taken):.2f} s",
                f"≤ {LIMIT_S:g} s",
                f"{percentile(taken, 0.95):.2f} s",
            ]
        )
    print(table(["database", "series", "p50", "limit", "p95"], rows))


if __name__ == "__main__":
    main()
