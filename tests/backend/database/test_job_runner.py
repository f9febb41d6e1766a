"""The job runner by hand, with a clock of its own: what is due runs, what fails is counted and stops nobody else.

On a server its own workers are stopped for the database of these tests, so that nothing but the runner does the work.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import asyncpg
import pytest
from prometheus_client import REGISTRY

from chatops_backend.database.interface import Database, DatabaseUnavailableError
from chatops_backend.database.job_runner import HOUSEKEEPING_INTERVAL_S, LATER_S, RETRY_S, JobRunner
from chatops_backend.database.open import open_database
from chatops_protocol.catalog import BY_NAME
from tests.rollups import refresh_rollups

pytestmark = pytest.mark.anyio


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
async def jobs_database(new_settings: Any) -> AsyncIterator[Database]:
    async with open_database(await new_settings()) as database:
        if database.runs_policies:
            await database.execute("SELECT _timescaledb_functions.stop_background_workers()")
            await database.execute(
                "SELECT alter_job(job_id, scheduled => false) FROM timescaledb_information.jobs "
                "WHERE proc_name = 'policy_telemetry'"
            )
        # One measurement is enough, and twenty times as quick.
        await database.execute(
            "SELECT alter_job(job_id, scheduled => false) FROM timescaledb_information.jobs "
            "WHERE hypertable_name NOT LIKE ALL (ARRAY['host%', 'connection_events']) AND hypertable_name NOT IN "
            "(SELECT materialization_hypertable_name FROM timescaledb_information.continuous_aggregates "
            "WHERE view_name LIKE 'host%')"
        )
        yield database


@pytest.fixture
async def database(jobs_database: Database) -> AsyncIterator[Database]:
    yield jobs_database
    await jobs_database.execute(
        "SELECT delete_job(job_id) FROM timescaledb_information.jobs WHERE proc_schema = 'public'"
    )


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def run_everything(database: Database, clock: Clock) -> JobRunner:
    """A runner that has seen all jobs and run each of them once."""
    runner = JobRunner(database, clock)
    assert await runner.run_due() == 0
    clock.now += LATER_S + 60
    assert await runner.run_due() > 5
    return runner


async def refresh_completely(runner: JobRunner, clock: Clock) -> None:
    """A run takes a few hours of a backlog; six days take a while, and the roll-ups above follow."""
    for step in [60] * 26 + [1_800, 6 * 3_600]:
        clock.now += step
        await runner.run_due()


async def insert_hosts(database: Database, server_id: int, ages: str) -> None:
    await database.execute(
        "INSERT INTO metrics.host (time, server_id, cpu_percent) "
        f"SELECT now() - age * INTERVAL '1 hour', {server_id}, age FROM {ages} AS age"
    )


async def materialized(database: Database, rollup: str, server_id: int) -> int:
    """Rows in the table behind a roll-up: what is computed on reading does not count."""
    table = await database.fetchval(
        "SELECT format('%I.%I', materialization_hypertable_schema, materialization_hypertable_name) "
        "FROM timescaledb_information.continuous_aggregates WHERE view_name = $1",
        rollup,
    )
    count: int = await database.fetchval(f"SELECT count(*) FROM {table} WHERE server_id = $1", server_id)
    return count


def failures(procedure: str) -> float:
    return REGISTRY.get_sample_value("chatops_database_job_failures_total", {"procedure": procedure}) or 0.0


async def add_job(database: Database, name: str, body: str, every: str = "1 minute") -> int:
    await database.execute(
        f"CREATE OR REPLACE PROCEDURE public.{name}(job_id int, config jsonb) LANGUAGE plpgsql "
        f"AS $$ BEGIN {body} END $$"
    )
    job_id: int = await database.fetchval(
        f"SELECT add_job('public.{name}', INTERVAL '{every}', initial_start => now() + INTERVAL '1 year')"
    )
    return job_id


async def test_a_refresh_fills_each_rollup_from_the_one_below(database: Database, clock: Clock) -> None:
    await insert_hosts(database, 1, "generate_series(0, 100)")
    await refresh_completely(await run_everything(database, clock), clock)
    assert await materialized(database, "host_1m", 1) == 100
    assert await materialized(database, "host_1h", 1) in (99, 100)
    assert await materialized(database, "host_1d", 1) in (3, 4)


async def test_a_reading_that_comes_two_days_late_is_in_the_rollups_after_the_next_refresh(
    database: Database, clock: Clock
) -> None:
    await insert_hosts(database, 2, "unnest(ARRAY[1, 96])")
    runner = await run_everything(database, clock)
    await refresh_completely(runner, clock)
    before = [await materialized(database, f"host_{tier}", 2) for tier in ("1m", "1h", "1d")]
    await insert_hosts(database, 2, "unnest(ARRAY[48])")
    # Behind the point up to which the roll-up is computed, so it is not seen at once either.
    assert await database.fetchval("SELECT count(*) FROM metrics.host_1m WHERE server_id = 2") == before[0]
    clock.now += 6 * 3_600
    await runner.run_due()
    assert await materialized(database, "host_1m", 2) == before[0] + 1
    await refresh_completely(runner, clock)
    after = [await materialized(database, f"host_{tier}", 2) for tier in ("1m", "1h", "1d")]
    assert after == [count + 1 for count in before]
    assert await database.fetchval("SELECT max(cpu_percent_max) FROM metrics.host_1d WHERE server_id = 2") == 96


async def test_a_long_backlog_is_taken_in_pieces_the_newest_first(database: Database, clock: Clock) -> None:
    """One run holds the embedded database's only connection: it must end soon."""
    runner = await run_everything(database, clock)
    await refresh_completely(runner, clock)
    await insert_hosts(database, 7, "generate_series(1, 30)")
    found = []
    for _ in range(6):
        clock.now += 60
        await runner.run_due()
        found.append(await materialized(database, "host_1m", 7))
    assert found[0] in (6, 7)
    assert found[-1] == 30
    assert max(later - earlier for earlier, later in pairwise(found)) <= 7


async def test_retention_drops_what_is_too_old_and_the_rollups_keep_it(database: Database, clock: Clock) -> None:
    await insert_hosts(database, 3, "unnest(ARRAY[1, 100, 24 * 20])")
    await refresh_rollups(database, "host", datetime.now(UTC))
    await run_everything(database, clock)
    assert await database.fetchval("SELECT count(*) FROM metrics.host WHERE server_id = 3") == 2
    for tier in ("1m", "1h", "1d"):
        assert (
            await database.fetchval(f"SELECT max(cpu_percent_max) FROM metrics.host_{tier} WHERE server_id = 3") == 480
        )


async def test_chunks_over_a_day_old_are_compressed_with_nothing_lost(database: Database, clock: Clock) -> None:
    await insert_hosts(database, 4, "generate_series(0, 100)")
    await run_everything(database, clock)
    chunks = await database.fetch(
        "SELECT is_compressed, range_end < now() - INTERVAL '1 day' AS old FROM timescaledb_information.chunks "
        "WHERE hypertable_name = 'host' AND range_end > now() - INTERVAL '6 days'"
    )
    assert len(chunks) >= 4
    assert all(chunk["is_compressed"] == chunk["old"] for chunk in chunks)
    row = await database.fetchrow(
        "SELECT count(*), sum(cpu_percent), count(memory_used_percent) FROM metrics.host WHERE server_id = 4"
    )
    assert tuple(row or ()) == (101, 5_050.0, 0)


async def test_a_failing_job_is_counted_and_the_others_run(database: Database, clock: Clock) -> None:
    await database.execute("CREATE TABLE IF NOT EXISTS public.seen (at timestamptz)")
    await database.execute("TRUNCATE public.seen")
    await add_job(database, "always_fails", "RAISE EXCEPTION 'no luck';", every="1 day")
    await add_job(database, "always_works", "INSERT INTO public.seen VALUES (clock_timestamp());")
    before = failures("always_fails")
    runner = await run_everything(database, clock)
    assert failures("always_fails") == before + 1
    assert await database.fetchval("SELECT count(*) FROM public.seen") == 1
    clock.now += RETRY_S - 1
    await runner.run_due()
    assert failures("always_fails") == before + 1
    clock.now += 1
    await runner.run_due()
    assert failures("always_fails") == before + 2
    assert await database.fetchval("SELECT count(*) FROM public.seen") == 2
    assert failures("always_works") == 0


async def test_a_job_runs_again_after_its_own_interval(database: Database, clock: Clock) -> None:
    await database.execute("CREATE TABLE IF NOT EXISTS public.seen (at timestamptz)")
    await database.execute("TRUNCATE public.seen")
    await add_job(database, "seldom", "INSERT INTO public.seen VALUES (now());", every="3 hours")
    runner = await run_everything(database, clock)
    for step, expected in ((10_000.0, 1), (800.0, 2), (100.0, 2)):
        clock.now += step
        await runner.run_due()
        assert await database.fetchval("SELECT count(*) FROM public.seen") == expected


async def test_a_job_that_takes_the_database_down_is_not_run_again_at_once(database: Database, clock: Clock) -> None:
    job_id = await add_job(database, "deadly", "PERFORM 1;")

    class Dying:
        def __getattr__(self, name: str) -> Any:
            return getattr(database, name)

        async def execute(self, query: str, *args: Any) -> str:
            if job_id in args:
                raise DatabaseUnavailableError("it died of this job")
            return await database.execute(query, *args)

    runner = JobRunner(Dying(), clock)
    await runner.run_due()
    clock.now += 120
    with pytest.raises(DatabaseUnavailableError):
        await runner.run_due()
    await runner.run_due()


async def test_a_job_that_was_removed_is_forgotten(database: Database, clock: Clock) -> None:
    await add_job(database, "removed", "RAISE EXCEPTION 'must not run';")
    runner = JobRunner(database, clock)
    await runner.run_due()
    await database.execute("SELECT delete_job(job_id) FROM timescaledb_information.jobs WHERE proc_name = 'removed'")
    clock.now += LATER_S + 60
    await runner.run_due()
    assert failures("removed") == 0


async def test_somebody_who_waits_for_the_database_has_a_turn_between_two_jobs(
    database: Database, clock: Clock
) -> None:
    runner = JobRunner(database, clock)
    await runner.run_due()
    clock.now += LATER_S + 60
    running = asyncio.create_task(runner.run_due())
    turns = 0
    while not running.done():
        await database.fetchval("SELECT 1")
        turns += 1
    assert turns >= await running


async def test_housekeeping_gives_statistics_to_tables_and_rollups(database: Database, clock: Clock) -> None:
    await insert_hosts(database, 5, "generate_series(0, 100)")
    runner = await run_everything(database, clock)
    clock.now += HOUSEKEEPING_INTERVAL_S
    await insert_hosts(database, 6, "generate_series(0, 100)")
    await runner.run_due()
    tables = await database.fetch(
        "SELECT format('%s.%s', materialization_hypertable_schema, materialization_hypertable_name), view_name "
        "FROM timescaledb_information.continuous_aggregates WHERE view_name LIKE 'host\\_%'"
    )
    for name, shown in [("metrics.host", "host"), *((row[0], row[1]) for row in tables)]:
        schema, _, table = name.partition(".")
        columns = {
            row[0]
            for row in await database.fetch(
                "SELECT attname FROM pg_stats WHERE schemaname = $1 AND tablename = $2", schema, table
            )
        }
        assert {"time", "server_id"} <= columns, shown


async def test_housekeeping_clears_dead_rows_of_small_tables(database: Database, clock: Clock) -> None:
    await database.execute("INSERT INTO chatops.servers (name) SELECT 'dead ' || n FROM generate_series(1, 500) AS n")
    await database.execute("DELETE FROM chatops.servers WHERE name LIKE 'dead %'")
    size = "SELECT pg_relation_size('chatops.servers')"
    assert await database.fetchval(size) > 0
    runner = JobRunner(database, clock)
    clock.now += LATER_S
    await runner.run_due()
    assert await database.fetchval(size) == 0


async def test_a_table_dropped_during_housekeeping_does_not_end_the_runner(database: Database, clock: Clock) -> None:
    """The runner's task must never end: the backend would end with it."""

    class Dropping:
        runs_policies = False

        def __getattr__(self, name: str) -> Any:
            return getattr(database, name)

        async def fetch(self, query: str, *args: Any) -> Any:
            rows = await database.fetch(query, *args)
            if ("chatops.passing",) in [tuple(row) for row in rows]:
                await database.execute("DROP TABLE chatops.passing")
            return rows

    await database.execute("CREATE TABLE chatops.passing (id integer)")
    runner = JobRunner(Dropping(), clock)
    clock.now += LATER_S
    before = failures("housekeeping")
    await runner.run_due()
    assert failures("housekeeping") == before + 1


async def test_the_runner_waits_while_the_database_is_away_and_goes_on(database: Database) -> None:
    calls: asyncio.Queue[str] = asyncio.Queue()
    answers: list[Callable[[], Awaitable[Any]]] = []

    class Away:
        runs_policies = False

        async def fetch(self, query: str, *args: Any) -> Any:
            calls.put_nowait(query)
            return await answers.pop(0)() if answers else await database.fetch(query, *args)

    async def unavailable() -> Any:
        raise DatabaseUnavailableError("restarts")

    async def wrong() -> Any:
        raise asyncpg.PostgresError("for a moment")

    answers += [unavailable, wrong]
    task = asyncio.create_task(JobRunner(Away()).run())  # type: ignore[arg-type]
    try:
        async with asyncio.timeout(10):
            for _ in range(3):
                await calls.get()
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_each_measurement_has_a_refresh_that_the_runner_would_find(jobs_database: Database) -> None:
    found = await jobs_database.fetchval(
        "SELECT count(*) FROM timescaledb_information.jobs WHERE proc_name = 'policy_refresh_continuous_aggregate'"
    )
    assert found == 3 * len(BY_NAME)
