"""History queries with 30 days of 20 servers stored: p50 over 1 h, 24 h and 30 days at 500 points each.

Asked through the REST API of a running backend, one at a time, each for another server and moment. The second table
shows that cost follows the points: the same questions with a tenth of the history stored.
"""

import argparse
import asyncio
import statistics
import time
from datetime import UTC, datetime, timedelta

import httpx

from benchmarks.environment import databases, describe_machine, fresh_settings, table
from chatops_backend.database.interface import Database
from chatops_backend.database.migrations import migrate
from chatops_backend.database.open import open_database
from chatops_backend.settings import Settings
from chatops_protocol.catalog import HOST
from tests.stack import running_backend

SERVERS = 20
POINTS = 500
LIMIT_MS = 25.0
RANGES = {"1 h": timedelta(hours=1), "24 h": timedelta(days=1), "30 d": timedelta(days=30)}
RAW_DAYS = 7


async def fill(database: Database, days: int) -> None:
    """`days` of `host` as they lie there after that time: raw for the last week, the roll-ups from before."""
    fields = ", ".join(HOST.field_names)
    values = ", ".join(f"50 + 50 * sin({n} + extract(epoch FROM t) / 700.0 + s)" for n in range(len(HOST.fields)))
    for day in range(days, 0, -1):
        # Before the last week one row a minute is enough: only the roll-ups made of it stay.
        step = "5 seconds" if day <= RAW_DAYS else "1 minute"
        await database.execute(
            f"INSERT INTO metrics.host (time, server_id, {fields}) SELECT t, s, {values} "
            f"FROM generate_series(now() - $1::int * interval '1 day', now() - ($1::int - 1) * interval '1 day' "
            f"- interval '1 second', interval '{step}') AS t, generate_series(1, {SERVERS}) AS s",
            day,
        )
    for tier, width in (("1m", "1 minute"), ("1h", "1 hour"), ("1d", "1 day")):
        await database.execute(
            f"CALL refresh_continuous_aggregate('metrics.host_{tier}', NULL, now() - interval '{width}')"
        )
    await database.execute(f"SELECT drop_chunks('metrics.host', interval '{RAW_DAYS} days')")
    await database.execute(
        "SELECT compress_chunk(chunk) FROM show_chunks('metrics.host', older_than => interval '1 day') AS chunk"
    )
    for table_name in ("host", "host_1m", "host_1h"):
        await database.execute(f"ANALYZE metrics.{table_name}")


def ask(settings: Settings, times: int) -> dict[str, tuple[float, float, int]]:
    """Per range: p50 and p95 in milliseconds, and the points of an answer."""
    found: dict[str, tuple[float, float, int]] = {}
    with running_backend(settings) as backend, httpx.Client(trust_env=False, timeout=60) as client:
        for number in range(SERVERS):
            backend.add_server(f"host {number}")
        headers = backend.headers()
        for name, length in RANGES.items():
            taken: list[float] = []
            points = 0
            for turn in range(times + 5):
                end = datetime.now(UTC) - timedelta(minutes=turn % 7)
                question = {
                    "metric": "host.cpu_percent",
                    "start": (end - length).isoformat(),
                    "end": end.isoformat(),
                    "points": str(POINTS),
                }
                url = f"{backend.url}/api/v1/metrics/{turn % SERVERS + 1}/history"
                began = time.perf_counter()
                answer = client.get(url, params=question, headers=headers).raise_for_status()
                taken.append((time.perf_counter() - began) * 1000)
                points = len(answer.json()["series"][0]["time"])
            counted = sorted(taken[5:])  # the first ones plan and warm up
            found[name] = (statistics.median(counted), counted[int(len(counted) * 0.95)], points)
    return found


def measure(database_url: str | None, days: int, times: int) -> dict[str, tuple[float, float, int]]:
    async def prepare(settings: Settings) -> None:
        async with open_database(settings) as database:
            await migrate(database)
            await fill(database, days)

    with fresh_settings(database_url) as settings:
        asyncio.run(prepare(settings))
        return ask(settings, times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=30, help="days stored (%(default)s)")
    parser.add_argument("--times", type=int, default=100, help="questions per range (%(default)s)")
    arguments = parser.parse_args()
    print(describe_machine())
    rows = []
    for name, url in databases():
        whole = measure(url, arguments.days, arguments.times)
        tenth = measure(url, max(1, arguments.days // 10), arguments.times)
        for range_name, (middle, high, points) in whole.items():
            less = tenth[range_name]
            rows.append(
                [
                    name,
                    range_name,
                    str(points),
                    f"{middle:.1f} ms",
                    f"≤ {LIMIT_MS:g} ms",
                    f"{high:.1f} ms",
                    f"{less[0]:.1f} ms ({less[2]} points)",
                ]
            )
    head = ["database", "range", "points", "p50", "limit", "p95", "p50 with a tenth stored"]
    print(table(head, rows))


if __name__ == "__main__":
    main()
