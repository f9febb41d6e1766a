"""A backtest of one rule over 90 days of 20 servers, from the minutes: the answer's time beside its limit.

With a rule that rarely fires, for which the hours tell which minutes need not be read; with rules that need every
minute, which is the worst there is; and with one of each other kind. Hosts are silent for half an hour every ten days.
"""

import argparse
import asyncio
import sys
import time
from datetime import UTC, datetime, timedelta

from benchmarks.environment import databases, describe_machine, fresh_settings, table
from chatops_backend.alerts.backtest import backtest
from chatops_backend.database.interface import Database
from chatops_backend.database.migrations import migrate
from chatops_backend.database.open import open_database
from chatops_backend.settings import Settings
from chatops_protocol.alert_resources import Backtest, Threshold
from tests.rollups import refresh_rollups

SERVERS = 20
LIMIT_S = 5.0
RULE = Threshold(name="benchmark", metric="host.cpu_percent", all_servers=True, for_s=600, critical=95.0, clear=85.0)
RULES = {
    "95 %, clear below 85 %": RULE,
    "95 %, without data it stays": Threshold(
        name="benchmark", metric="host.cpu_percent", all_servers=True, for_s=600, critical=95.0, no_data="keep"
    ),
    "50 %, in the middle of all values": Threshold(
        name="benchmark", metric="host.cpu_percent", all_servers=True, for_s=600, critical=50.0
    ),
    "50 points more than a day before": Threshold(
        name="benchmark", kind="change", metric="host.cpu_percent", all_servers=True, against_s=86_400, critical=50.0
    ),
    "reaches 95 % within a day, from 6 h": Threshold(
        name="benchmark",
        kind="forecast",
        metric="host.cpu_percent",
        all_servers=True,
        window_s=21_600,
        within_s=86_400,
        critical=95.0,
    ),
    "silent for 1 min": Threshold(name="benchmark", kind="offline", all_servers=True, window_s=60),
}


async def fill(database: Database, days: int) -> None:
    """A reading a minute is enough: only the roll-ups made of it are read. Every server has a bad hour every ten days.
    Minutes and chunks lie there as they would after that time: compressed but for the last week."""
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if database.runs_policies:
        await database.execute("SELECT _timescaledb_functions.stop_background_workers()")
    await database.execute(
        "INSERT INTO chatops.servers (name) SELECT 'server ' || n FROM generate_series(1, $1::int) n", SERVERS
    )
    value = (
        "40 + 35 * sin(extract(epoch FROM t) / 13750.0 + s) * sin(extract(epoch FROM t) / 700.0 * s) + 5 * random() "
        "+ CASE WHEN (extract(epoch FROM t)::bigint / 3600 + 12 * s) % 240 = 0 THEN 60 ELSE 0 END"
    )
    for day in range(days, 0, -1):
        await database.execute(
            "INSERT INTO metrics.host (time, server_id, cpu_percent, memory_used_percent, load_1m, process_count) "
            f"SELECT t, s, least(100, {value}), 50, 1, 200 FROM generate_series("
            "$2::timestamptz - $1::int * interval '1 day', "
            "$2::timestamptz - ($1::int - 1) * interval '1 day' - interval '1 second', interval '1 minute') "
            f"AS t, generate_series(1, {SERVERS}) AS s "
            "WHERE (extract(epoch FROM t)::bigint / 1800 + 24 * s) % 480 <> 240",
            day,
            midnight,
        )
    await refresh_rollups(database, "host", midnight)
    await database.execute("SELECT drop_chunks('metrics.host', interval '7 days')")
    await database.execute(
        "SELECT compress_chunk(chunk, true) FROM show_chunks('metrics.host_1m', older_than => interval '7 days') chunk"
    )
    for name in ("host_1m", "host_1h"):
        await database.execute(f"ANALYZE metrics.{name}")


async def measure(settings: Settings, days: int, times: int) -> dict[str, tuple[float, Backtest]]:
    """Per rule the best time of all, in seconds, and the answer."""
    found: dict[str, tuple[float, Backtest]] = {}
    async with open_database(settings) as database:
        await migrate(database)
        await fill(database, days)
        end = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        for name, rule in RULES.items():
            for _ in range(times):
                began = time.perf_counter()
                answer = await backtest(database, rule, end - timedelta(days=days), end, time.time())
                taken = time.perf_counter() - began
                found[name] = min(found.get(name, (taken, answer)), (taken, answer), key=lambda one: one[0])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=90, help="days stored and replayed (%(default)s)")
    parser.add_argument(
        "--times", type=int, default=3, help="backtests per rule, of which the best counts (%(default)s)"
    )
    arguments = parser.parse_args()
    print(describe_machine())
    rows: list[list[str]] = []
    over = False
    for name, url in databases():
        with fresh_settings(url) as settings:
            found = asyncio.run(measure(settings, arguments.days, arguments.times))
        for rule, (taken, answer) in found.items():
            over = over or taken > LIMIT_S
            firings = sum(answer.per_server.values())
            rows.append([name, rule, f"{answer.evaluated:,}", str(firings), f"{taken:.2f} s", f"≤ {LIMIT_S:g} s"])
    print(table(["database", "rule", "moments", "firings", f"{arguments.days} days", "limit"], rows))
    if over:
        sys.exit(1)


if __name__ == "__main__":
    main()
