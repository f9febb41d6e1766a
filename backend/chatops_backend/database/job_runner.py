"""Runs the database's policies where it has no background workers: refresh, columnstore, retention, and ANALYZE.

One job at a time, since each holds the one connection; between two jobs whoever waits has a turn. When a job is due
is kept in memory: every job may run again at any time, so a restart only runs some of them early.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

import asyncpg
from prometheus_client import Counter, Histogram

from chatops_backend.database.interface import Database, DatabaseUnavailableError

log = logging.getLogger(__name__)

TICK_S = 1.0
RETRY_S = 60.0
# Short policies start soon after the backend, the daily ones once it is warm.
SOON_S, LATER_S = 5.0, 120.0
HOUSEKEEPING_INTERVAL_S = 3600.0

job_seconds = Histogram("chatops_database_job_seconds", "Duration of policies run by the backend", ["procedure"])
job_failures = Counter("chatops_database_job_failures_total", "Policies that ended with an error", ["procedure"])

_JOBS = """
SELECT job_id, proc_name, hypertable_name, extract(epoch FROM schedule_interval)::float8 AS interval_s
  FROM timescaledb_information.jobs WHERE scheduled ORDER BY job_id
"""
_TABLES = """
SELECT format('%I.%I', hypertable_schema, hypertable_name) FROM timescaledb_information.hypertables
 UNION ALL
SELECT format('%I.%I', materialization_hypertable_schema, materialization_hypertable_name)
  FROM timescaledb_information.continuous_aggregates
 UNION ALL
SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
 WHERE schemaname = 'chatops' AND tablename <> 'connection_events'
"""


@dataclass
class _Due:
    at: float
    interval_s: float


class JobRunner:
    """`run` until cancelled. `clock` is monotonic seconds."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._due: dict[int, _Due] = {}
        self._housekeeping_at = clock() + LATER_S

    async def run(self) -> None:
        while True:
            try:
                await self.run_due()
            except DatabaseUnavailableError:
                log.info("policies wait for the database")
            except asyncpg.PostgresError as error:
                job_failures.labels("job_list").inc()
                log.warning("the policies due could not be found: %s", error)
            await asyncio.sleep(TICK_S)

    async def run_due(self) -> int:
        """Run every job that is due now, and return how many ran."""
        now = self._clock()
        jobs = await self._database.fetch(_JOBS)
        for position, job in enumerate(jobs):
            if job["job_id"] not in self._due:
                # Spread over a few seconds: many small pauses instead of a long one.
                wait = (SOON_S if job["interval_s"] <= HOUSEKEEPING_INTERVAL_S else LATER_S) + position * 0.5
                self._due[job["job_id"]] = _Due(now + wait, job["interval_s"])
        ran = 0
        for job in jobs:
            due = self._due[job["job_id"]]
            if due.at <= self._clock():
                # Before it runs: one that takes the database down with it must not be the first thing it meets again.
                due.at = self._clock() + RETRY_S
                succeeded = await self._run_job(job["job_id"], job["proc_name"], job["hypertable_name"])
                due.at = self._clock() + (due.interval_s if succeeded else RETRY_S)
                ran += 1
        if self._housekeeping_at <= self._clock():
            self._housekeeping_at = self._clock() + HOUSEKEEPING_INTERVAL_S
            await self._keep_house()
        return ran

    async def _run_job(self, job_id: int, procedure: str, table: str | None) -> bool:
        started = time.perf_counter()
        try:
            await self._database.execute("CALL run_job($1::integer)", job_id)
        except asyncpg.PostgresError as error:
            job_failures.labels(procedure).inc()
            log.warning("job %d (%s on %s) failed: %s", job_id, procedure, table, error)
            return False
        finally:
            job_seconds.labels(procedure).observe(time.perf_counter() - started)
        return True

    async def _keep_house(self) -> None:
        """Planner statistics, and dead rows of the small tables: without autovacuum nobody else sees to them."""
        for table in await self._database.fetch(_TABLES):
            verb = "VACUUM (ANALYZE)" if table[0].startswith("chatops.") else "ANALYZE"
            try:
                await self._database.execute(f"{verb} {table[0]}")
            except asyncpg.PostgresError as error:
                job_failures.labels("housekeeping").inc()
                log.warning("%s %s failed: %s", verb, table[0], error)
