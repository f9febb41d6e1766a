"""Log lines: how fast a million is stored with its search index, and how long a search over a day takes then.

Stored by the statement of the writer in its batches, asked through the REST API of a running backend, one at a time.
The lines are of one day, of servers of which each has as many; words are as unevenly common as in real logs.
"""

import argparse
import asyncio
import random
import statistics
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx

from benchmarks.environment import databases, describe_machine, fresh_settings, table
from chatops_backend.database.interface import Database
from chatops_backend.database.migrations import migrate
from chatops_backend.database.open import open_database
from chatops_backend.database.queries import load_queries
from chatops_backend.settings import Settings
from tests.stack import running_backend

LINES = 1_000_000
BATCH = 2_000
SERVERS = 20
LIMIT_MS = 50.0
LEVELS = ("error", "warning", "info")
PROGRAMS = ("nginx", "postgres", "sshd", "kernel", "app", "cron", "systemd", "dockerd")
# One line in so many.
WORDS = {"timeout": 10, "refused": 100, "segfault": 10_000, "needle": 250_000}
QUESTIONS: dict[str, dict[str, str]] = {
    "newest 100": {},
    "warning and worse": {"level": "warning"},
    "word in 1 of 10 lines": {"search": "timeout"},
    "word in 1 of 100": {"search": "refused"},
    "word in 1 of 10,000": {"search": "segfault"},
    "word in 4 lines of all": {"search": "needle"},
    "word that is nowhere": {"search": "haystack"},
    "beginning of a word": {"search": "segf*"},
    "phrase": {"search": '"refused by host"'},
    "address": {"search": "10.1.2.3"},
    "word without another": {"search": "timeout -request"},
}


def lines(count: int, start: datetime, seed: int = 1) -> Iterator[tuple[datetime, int, str, str | None, str]]:
    """time, server, source, level, message"""
    rng = random.Random(seed)
    step = timedelta(days=1) / count
    vocabulary = [f"word{n}" for n in range(5_000)]
    weights = [1 / (n + 1) for n in range(len(vocabulary))]
    drawn = rng.choices(vocabulary, weights, k=200_000)
    for number in range(count):
        at = rng.randrange(len(drawn) - 6)
        words = " ".join(drawn[at : at + 6])
        extra = "".join(f" {word} by host" for word, one_in in WORDS.items() if rng.random() < 1 / one_in)
        program = PROGRAMS[number % len(PROGRAMS)]
        address = f"10.{rng.randrange(4)}.{rng.randrange(256)}.{rng.randrange(256)}"
        level = rng.choices(LEVELS, (2, 5, 93))[0]
        message = f"{program}[{number % 30_000}]: request {number:x} from {address}:{number % 60_000} {words}{extra}"
        yield start + number * step, number % SERVERS + 1, f"/var/log/{program}.log", level, message


async def fill(database: Database, count: int) -> float:
    """Return the seconds it took."""
    await database.execute(
        "INSERT INTO chatops.servers (name) SELECT 'host ' || n FROM generate_series(1, $1) AS n", SERVERS
    )
    queries = load_queries("logs")
    source = lines(count, datetime.now(UTC) - timedelta(days=1))
    took = 0.0
    while batch := [line for line, _ in zip(source, range(BATCH), strict=False)]:
        times, server_ids, sources, levels, messages = map(list, zip(*batch, strict=True))
        started = time.perf_counter()
        await queries.insert_log_lines(
            database, times=times, server_ids=server_ids, sources=sources, levels=levels, messages=messages
        )
        took += time.perf_counter() - started
    await database.execute("ANALYZE chatops.logs")
    return took


def ask(settings: Settings, times: int) -> dict[str, tuple[float, float, int]]:
    """Per question: p50 and p95 in milliseconds, and the lines of an answer."""
    found: dict[str, tuple[float, float, int]] = {}
    with running_backend(settings) as backend, httpx.Client(trust_env=False, timeout=120) as client:
        for name, parameters in QUESTIONS.items():
            took: list[float] = []
            for number in range(times):
                started = time.perf_counter()
                answer = client.get(
                    f"{backend.url}/api/v1/logs/{number % SERVERS + 1}", params=parameters, headers=backend.headers()
                ).raise_for_status()
                took.append((time.perf_counter() - started) * 1000)
            ordered = sorted(took)
            found[name] = (statistics.median(took), ordered[int(len(ordered) * 0.95)], len(answer.json()["items"]))
    return found


async def prepare(settings: Settings, count: int) -> tuple[float, float]:
    """Return lines a second, and the bytes a line takes."""
    async with open_database(settings) as database:
        await migrate(database)
        took = await fill(database, count)
        size = await database.fetchval("SELECT hypertable_size('chatops.logs')")
    return count / took, size / count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=LINES)
    parser.add_argument("--times", type=int, default=40, help="questions of each kind")
    arguments = parser.parse_args()
    print(describe_machine())
    for name, url in databases():
        with fresh_settings(url) as settings:
            rate, size = asyncio.run(prepare(settings, arguments.lines))
            print(f"\n{name}: {arguments.lines:,} lines stored at {rate:,.0f} a second, {size:,.0f} bytes each\n")
            rows = [
                [question, f"{p50:.1f} ms", f"{p95:.1f} ms", str(count), "yes" if p50 <= LIMIT_MS else "NO"]
                for question, (p50, p95, count) in ask(settings, arguments.times).items()
            ]
            print(table(["question, over a day", "p50", "p95", "lines", f"p50 ≤ {LIMIT_MS:.0f} ms"], rows))


if __name__ == "__main__":
    main()
