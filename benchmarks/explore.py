"""Explore's questions on a month of a hundred servers: a chart of all of them, and a million rows as a frame.

The month is stored as it lies there after that time, with a host row each 50 seconds (5.2 million in all). The chart
is `host.cpu_percent` of every server over the month at 500 points, as JSON through the REST API of a running backend.
The frame is what `Client.query` makes of the Arrow stream of ten thousand minutes of every server, read and decoded.
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
from chatops_backend.settings import Settings
from chatops_client import Client
from chatops_protocol.catalog import HOST
from tests.conftest import ADMIN_PASSWORD
from tests.rollups import refresh_rollups
from tests.stack import Backend, running_backend

SERVERS = 100
DAYS = 30
INTERVAL_S = 50
POINTS = 500
METRIC = "host.cpu_percent"
LIMIT_CHART_MS = 300.0
LIMIT_FRAME_S = 3.0
RAW_DAYS = 7
# One point a minute: with a hundred servers exactly the million points that an answer may have.
FRAME_MINUTES = 10_000


async def fill(database: Database, servers: int, days: int, interval_s: int) -> int:
    """Store the month with its servers, roll it up, compress it, drop what is no longer kept. Returns the host rows."""
    await database.execute(
        "INSERT INTO chatops.servers (name, interval_s) SELECT 'host ' || n, $2 FROM generate_series(1, $1::int) AS n",
        servers,
        float(interval_s),
    )
    fields = ", ".join(HOST.field_names)
    # Of the columns that are asked for a curve, of the others something cheap: it is their number that counts.
    values = ", ".join(
        "50 + 40 * sin(extract(epoch FROM t) / 7000.0 + s) + random()" if name == "cpu_percent" else f"s + {n}"
        for n, name in enumerate(HOST.field_names)
    )
    # To a day at once: the embedded database works in the memory of one process.
    for day in range(days, 0, -1):
        await database.execute(
            f"INSERT INTO metrics.host (time, server_id, {fields}) SELECT t, s, {values} "
            "FROM generate_series(now() - $1::int * interval '1 day', now() - ($1::int - 1) * interval '1 day' "
            f"- interval '1 second', interval '{interval_s} seconds') AS t, generate_series(1, $2::int) AS s",
            day,
            servers,
        )
    rows: int = await database.fetchval("SELECT count(*) FROM metrics.host")
    await refresh_rollups(database, "host", datetime.now(UTC) - timedelta(minutes=1))
    await database.execute(f"SELECT drop_chunks('metrics.host', interval '{RAW_DAYS} days')")
    for name, age in (("host", "1 day"), ("host_1m", f"{RAW_DAYS} days")):
        await database.execute(
            "SELECT compress_chunk(chunk, true) "
            f"FROM show_chunks('metrics.{name}', older_than => interval '{age}') AS chunk"
        )
    for name in ("host", "host_1m", "host_1h"):
        await database.execute(f"ANALYZE metrics.{name}")
    return rows


def ask_chart(backend: Backend, servers: int, days: int, times: int) -> tuple[list[float], int, int]:
    """Milliseconds of each question, the points of an answer and its bytes."""
    taken: list[float] = []
    points = size = 0
    with httpx.Client(trust_env=False, timeout=120, headers=backend.headers()) as client:
        for turn in range(times + 3):
            end = datetime.now(UTC) - timedelta(minutes=turn % 7)
            question: dict[str, str | list[str]] = {
                "metric": METRIC,
                "server_id": [str(n) for n in range(1, servers + 1)],
                "start": (end - timedelta(days=days)).isoformat(),
                "end": end.isoformat(),
                "points": str(POINTS),
            }
            began = time.perf_counter()
            answer = client.get(f"{backend.url}/api/v1/metrics/query", params=question).raise_for_status()
            taken.append((time.perf_counter() - began) * 1000)
            size = len(answer.content)
            points = sum(len(series["time"]) for series in answer.json()["series"])
    return taken[3:], points, size  # the first ones plan and warm up


def ask_frame(backend: Backend, servers: int, times: int) -> tuple[list[float], int]:
    """Seconds of each question, and the rows of a frame."""
    taken: list[float] = []
    rows = 0
    with Client(backend.url, username="admin", password=ADMIN_PASSWORD) as client:
        for turn in range(times + 1):
            # Whole minutes, or there would be one bucket more than an answer may have.
            end = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=turn + 2)
            start = end - timedelta(minutes=FRAME_MINUTES)
            began = time.perf_counter()
            frame = client.query(METRIC, start, end, server_ids=range(1, servers + 1), points=FRAME_MINUTES)
            taken.append(time.perf_counter() - began)
            rows = frame.height
    return taken[1:], rows


async def prepare(settings: Settings, servers: int, days: int, interval_s: int) -> int:
    async with open_database(settings) as database:
        await migrate(database)
        return await fill(database, servers, days, interval_s)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", type=int, default=SERVERS, help="servers stored and asked for (%(default)s)")
    parser.add_argument("--days", type=int, default=DAYS, help="days stored and asked for (%(default)s)")
    parser.add_argument("--interval", type=int, default=INTERVAL_S, help="seconds between rows (%(default)s)")
    parser.add_argument("--times", type=int, default=20, help="questions of each kind (%(default)s)")
    arguments = parser.parse_args()
    print(describe_machine())
    lines = []
    for name, url in databases():
        with fresh_settings(url) as settings:
            stored = asyncio.run(prepare(settings, arguments.servers, arguments.days, arguments.interval))
            with running_backend(settings) as backend:
                chart, points, size = ask_chart(backend, arguments.servers, arguments.days, arguments.times)
                frame, rows = ask_frame(backend, arguments.servers, max(1, arguments.times // 4))
        # The frame's limit is for a server; on the embedded database its figure is for comparison.
        frame_limit = f"≤ {LIMIT_FRAME_S:g} s" if url else f"(≤ {LIMIT_FRAME_S:g} s on a server)"
        chart_limit = f"(≤ {LIMIT_CHART_MS:g} ms embedded)" if url else f"≤ {LIMIT_CHART_MS:g} ms"
        what = (
            f"chart of {arguments.servers} servers over {arguments.days} d, {points:,} points, {size / 1e6:.1f} MB JSON"
        )
        middle, high = statistics.median(chart), percentile(chart, 0.95)
        lines.append([name, f"{stored:,}", what, f"{middle:.0f} ms", chart_limit, f"{high:.0f} ms"])
        what = f"Arrow answer of {rows:,} rows as a frame"
        middle, high = statistics.median(frame), percentile(frame, 0.95)
        lines.append([name, f"{stored:,}", what, f"{middle:.2f} s", frame_limit, f"{high:.2f} s"])
    print(table(["database", "host rows written", "question", "p50", "limit", "p95"], lines))


if __name__ == "__main__":
    main()
