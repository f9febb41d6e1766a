"""Brings the roll-ups up to date with what imports stored: the background task of `app.py`, and what routes ask of it.

In pieces, each a statement of its own, 1m before 1h before 1d, and never over a stretch whose source may be dropped:
that would empty the roll-ups of everybody. What waits is kept in memory. A backend that ends before it is done leaves
the rest to the refresh policies, which take hours, or to whoever repeats the import.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import asyncpg
from prometheus_client import Counter

from chatops_backend.database.interface import Database, DatabaseError
from chatops_backend.transfer.ages import ROLLUPS, Cutoffs, ceiling, cutoffs, floor, stretches
from chatops_backend.transfer.tables import Tables, find_tables
from chatops_protocol.catalog import BY_NAME
from chatops_protocol.resources import Tier
from chatops_protocol.transfer_resources import ImportProgress

log = logging.getLogger(__name__)

# After the last request of an import that does not say it is finished.
QUIET_S = 60.0
RETRY_S = 30.0
# One statement refreshes no more than this: on the embedded database everybody waits for it.
PIECES: dict[Tier, timedelta] = {"1m": timedelta(hours=6), "1h": timedelta(days=4), "1d": timedelta(days=60)}
TICK_S = 1.0

refreshes = Counter("chatops_import_refreshes_total", "Refreshes of roll-ups after imports", ["outcome"])

_SHOWN_UP_TO = """
SELECT _timescaledb_functions.cagg_watermark(id) >= extract(epoch FROM $2::timestamptz) * 1000000
  FROM _timescaledb_catalog.hypertable WHERE format('%I.%I', schema_name, table_name) = $1
"""
_TAKES_OPTIONS = """
SELECT 'options' = ANY (proargnames) FROM pg_proc WHERE proname = 'refresh_continuous_aggregate' AND prokind = 'p'
"""


@dataclass
class Pending:
    """What waits of one measurement. The limits hold until it is done: rows that were stored as minutes because of
    their age must not lie within what is refreshed from raw rows afterwards, as they would when an hour begins in
    between. (Two backends that import at once do not know of each other's.)"""

    limits: Cutoffs
    days: set[date]
    imports: int = 0


class RollUps:
    """`mark` what was stored, `finish` when no more follows, `run` until cancelled."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock
        self._pending: dict[str, Pending] = {}
        self._due_at = 0.0
        self._failure: str | None = None
        self._wake = asyncio.Event()
        self._options: str | None = None

    @contextlib.contextmanager
    def importing(self, measurement: str, limits: Cutoffs) -> Iterator[Pending]:
        """Around the storing of rows by the limits of what it yields, which are `limits` when nothing waits. The block
        adds the days it stored something in."""
        pending = self._pending.setdefault(measurement, Pending(limits, set()))
        pending.imports += 1
        try:
            yield pending
        finally:
            pending.imports -= 1
            # Recent values wait for nothing: a script that pushes some every minute must not put off what does.
            if pending.days:
                self._due_at = self._clock() + QUIET_S
            self._forget_if_done(measurement)

    def finish(self) -> ImportProgress:
        """Start now, and do not wait for quiet."""
        self._due_at = 0.0
        self._wake.set()
        return self.progress()

    def progress(self) -> ImportProgress:
        return ImportProgress(sum(len(pending.days) for pending in self._pending.values()), self._failure)

    async def run(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), TICK_S)
            self._wake.clear()
            if not self._pending or self._clock() < self._due_at:
                continue
            try:
                await self.refresh_all()
            except (asyncpg.PostgresError, asyncpg.InterfaceError, DatabaseError, TimeoutError, OSError) as error:
                refreshes.labels("failed").inc()
                self._failure = str(error) or type(error).__name__
                log.warning("roll-ups do not hold all that was imported yet: %s", self._failure)
                self._due_at = self._clock() + RETRY_S

    async def refresh_all(self) -> None:
        """Refresh what waits now."""
        for measurement, pending in list(self._pending.items()):
            days = set(pending.days)
            if days:
                await self._refresh(measurement, days, pending.limits)
            pending.days -= days
            self._forget_if_done(measurement)
        self._failure = None

    def _forget_if_done(self, measurement: str) -> None:
        pending = self._pending.get(measurement)
        if pending is not None and not pending.days and not pending.imports:
            del self._pending[measurement]

    async def _refresh(self, measurement: str, days: set[date], limits: Cutoffs) -> None:
        tables = await find_tables(self._database, measurement)
        now = datetime.fromtimestamp(self._clock(), UTC)
        oldest = datetime.combine(min(days), datetime.min.time(), UTC)
        # What waits for long, or while somebody has tiers kept for less, has limits of before that.
        kept = cutoffs(now, tables.policies).kept
        for tier, source, width in ROLLUPS:
            # A bucket that has not ended would hide what still comes; the policies take it when it has.
            latest = floor(now - width, width)
            limit = max(limits.reached[source], ceiling(kept[source], width))
            for start, end in stretches(days, PIECES[tier]):
                await self._call(f"{measurement}_{tier}", max(start, limit), min(end, latest))
            if oldest < limit:
                await self._show(tables, tier, source, limit, width)
        for table in (f'metrics."{measurement}"', *tables.rollup.values()):
            await self._database.execute(f"ANALYZE {table}")

    async def _show(self, tables: Tables, tier: Tier, source: Tier, limit: datetime, width: timedelta) -> None:
        """Raise the watermark of a roll-up to `limit`, where what was stored in it by itself ends: above it, readers
        get what its source has. Only a refresh that finds something raises it, so it is given something: a row of no
        server, which is gone again after it."""
        if await self._database.fetchval(_SHOWN_UP_TO, tables.rollup[tier], limit):
            return
        table = f'metrics."{tables.measurement}"' if source == "raw" else tables.rollup[source]
        labels = BY_NAME[tables.measurement].labels
        names = "".join(f', "{label.name}"' for label in labels) + ("" if source == "raw" else ", samples")
        values = "".join(", '{}'" for _ in labels) + ("" if source == "raw" else ", 1")
        await self._database.execute(
            f"INSERT INTO {table} (time, server_id{names}) VALUES ($1, 0{values})",  # noqa: S608 - catalogue names
            limit,
        )
        try:
            await self._call(f"{tables.measurement}_{tier}", limit, limit + width)
        finally:
            await self._database.execute(
                f"DELETE FROM {table} WHERE server_id = 0 AND time = $1",  # noqa: S608 - catalogue names
                limit,
            )
        await self._call(f"{tables.measurement}_{tier}", limit, limit + width)

    async def _call(self, view: str, start: datetime, end: datetime) -> None:
        if start >= end:
            return
        if self._options is None:
            # Newer versions cut a stretch into batches of ten buckets: for minutes of many days that takes a minute.
            takes = await self._database.fetchval(_TAKES_OPTIONS)
            self._options = ", options => '{\"buckets_per_batch\": 0}'" if takes else ""
        await self._database.execute(
            f"CALL refresh_continuous_aggregate('metrics.{view}', $1::timestamptz, $2::timestamptz{self._options})",
            start,
            end,
        )
        refreshes.labels("done").inc()
