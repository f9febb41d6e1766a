"""One evaluation of 10,000 rules over 500 servers, by the number of distinct (metric, aggregate, window) among them.

Questions of one measurement and like windows are one statement, so that the cost does not grow with either alone.
Two shapes of the same rules: each watches one server, or each watches a tag that a tenth of the servers has. Some rules
breach, so that there are states to look at; what is timed is a round in which nothing changes, as most are.
"""

import argparse
import asyncio
import statistics
import time
from collections.abc import Sequence

import msgspec

from benchmarks.environment import databases, describe_machine, fresh_settings, table
from chatops_backend.alerts.alert_change import AlertChange
from chatops_backend.alerts.evaluator import Evaluator
from chatops_backend.database.interface import Database, Transaction
from chatops_backend.database.migrations import migrate
from chatops_backend.database.open import open_database
from chatops_backend.settings import Settings
from chatops_protocol.alert_resources import Threshold
from chatops_protocol.catalog import HOST

SERVERS, RULES = 500, 10_000
LIMIT_S = {"embedded": 2.0, "server": 1.0}
# Distinct questions, and distinct windows among them.
DISTINCT = ((1, 1), (5, 1), (20, 2), (20, 20))
MINUTES = 20


async def fill(database: Database) -> None:
    await database.execute(
        "INSERT INTO chatops.servers (name, tags) SELECT 'host ' || n, ARRAY['tag' || n % 10] "
        f"FROM generate_series(1, {SERVERS}) AS n"
    )
    fields = ", ".join(HOST.field_names)
    values = ", ".join("20 + 20 * random()" for _ in HOST.field_names)
    await database.execute(
        f"INSERT INTO metrics.host (time, server_id, {fields}) SELECT t, s, {values} "
        f"FROM generate_series(now() - interval '{MINUTES} minutes', now(), interval '5 seconds') AS t, "
        f"generate_series(1, {SERVERS}) AS s"
    )
    await database.execute("CALL refresh_continuous_aggregate('metrics.host_1m', NULL, now() - interval '1 minute')")
    await database.execute("ANALYZE metrics.host")


def rules(distinct: int, windows: int, *, by_tag: bool) -> list[Threshold]:
    """`RULES` rules that ask `distinct` different questions; one in a hundred breaches."""
    made = []
    for number in range(RULES):
        question = number % distinct
        selection = {"tag": f"tag{number % 10}"} if by_tag else {"server_ids": [number % SERVERS + 1]}
        made.append(
            Threshold(
                name=f"rule {number}",
                metric=f"host.{HOST.field_names[question % 10]}",
                window_s=60 * (question * windows // distinct + 1),
                warning=10.0 if number % 100 == 0 and not by_tag else 1000.0,
                **selection,  # type: ignore[arg-type]
            )
        )
    return made


async def store(database: Database, thresholds: list[Threshold]) -> None:
    await database.execute("DELETE FROM chatops.thresholds")
    await database.execute(
        "INSERT INTO chatops.thresholds (name, definition) SELECT * FROM unnest($1::text[], $2::jsonb[])",
        [threshold.name for threshold in thresholds],
        [msgspec.json.encode(threshold).decode() for threshold in thresholds],
    )


async def nobody(transaction: Transaction, changes: Sequence[AlertChange]) -> None: ...


async def measure(settings: Settings, times: int) -> list[tuple[str, int, int, float]]:
    found = []
    async with open_database(settings) as database:
        await migrate(database)
        await fill(database)
        for by_tag in (False, True):
            for distinct, windows in DISTINCT:
                await store(database, rules(distinct, windows, by_tag=by_tag))
                evaluator = Evaluator(database, nobody)
                await evaluator.evaluate(time.time())  # reads the rules, stores what breaches
                taken = []
                for _ in range(times):
                    began = time.perf_counter()
                    await evaluator.evaluate(time.time())
                    taken.append(time.perf_counter() - began)
                shape = "a tenth of the servers each" if by_tag else "one server each"
                found.append((shape, distinct, windows, statistics.median(taken)))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=7, help="rounds, of which the median counts (%(default)s)")
    arguments = parser.parse_args()
    print(describe_machine())
    print(f"{RULES:,} rules, {SERVERS} servers")
    rows = []
    for name, url in databases():
        with fresh_settings(url) as settings:
            for shape, distinct, windows, seconds in asyncio.run(measure(settings, arguments.times)):
                figures = [str(distinct), str(windows), f"{seconds:.2f} s", f"≤ {LIMIT_S[name]:g} s"]
                rows.append([name, shape, *figures])
    print(table(["database", "rules watch", "distinct questions", "windows", "one evaluation", "limit"], rows))


if __name__ == "__main__":
    main()
