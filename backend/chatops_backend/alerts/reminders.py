"""Finds alerts that people must hear of though nothing changed: those that repeat, those nobody acknowledged in time,
and those that still fire when a silence, or the outage that explained them, is over. Runs beside the notifier.

Rows are locked and passed over when another backend holds them, so that each is told once.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

import asyncpg
import msgspec
from asyncpg import Record
from prometheus_client import Gauge

from chatops_backend.alerts.alert_change import AlertChange
from chatops_backend.alerts.message import ToldTransition
from chatops_backend.alerts.outbox import GROUP_WAIT_S, enqueue
from chatops_backend.alerts.silences import read_silences, silenced
from chatops_backend.database.interface import Database, DatabaseUnavailableError, Transaction
from chatops_backend.database.queries import load_queries
from chatops_protocol.alert_resources import Bound, Silence, Threshold

log = logging.getLogger(__name__)

CHECK_EVERY_S = 5.0
# After an outage the host's other alerts have this long to end by themselves.
UNTOLD_GRACE_S = 60.0
KEPT_DAYS = 30.0
_CLEAN_EVERY_S = 3600.0

notifications_waiting = Gauge("chatops_notifications_waiting", "Notifications in the outbox that are not delivered yet")


class Reminders:
    """`run` until cancelled; `check` once. `wake` tells the notifier that something is in the outbox."""

    def __init__(
        self,
        database: Database,
        wake: asyncio.Event,
        clock: Callable[[], float] = time.time,
        group_wait_s: float = GROUP_WAIT_S,
    ) -> None:
        self._database = database
        self._wake = wake
        self._clock = clock
        self._enqueue = partial(enqueue, clock=clock, group_wait_s=group_wait_s)
        self._queries = load_queries("notifications")
        self._cleaned_at = 0.0

    async def run(self) -> None:
        while True:
            try:
                await self.check()
                await self._clean()
            except (DatabaseUnavailableError, asyncpg.PostgresError) as error:
                log.warning("alerts were not looked through for reminders: %s", error)
            await asyncio.sleep(CHECK_EVERY_S)

    async def check(self) -> int:
        """Return how many alerts were looked at."""
        now = self._clock()
        async with self._database.transaction() as transaction:
            rows = [row async for row in self._queries.lock_due(transaction, now=now, grace_s=UNTOLD_GRACE_S)]
            if rows:
                await self._remind(transaction, rows, await read_silences(transaction), now)
        if rows:
            self._wake.set()
        notifications_waiting.set(await self._queries.count_waiting(self._database))
        return len(rows)

    async def _remind(self, transaction: Transaction, rows: list[Record], silences: list[Silence], now: float) -> None:
        moment = datetime.fromtimestamp(now, UTC)
        changes: list[AlertChange] = []
        for row in rows:
            matching = (s for s in silences if silenced(s, moment, row["threshold_id"], row["server_id"], row["tags"]))
            if row["silenced"] and next(matching, None) is not None:
                continue  # as it was: nothing to write
            changes.append(_change(row, now))
            await self._queries.forget_hindrance(transaction, alert_id=row["id"])
        await self._enqueue(transaction, changes)

    async def _clean(self) -> None:
        if self._clock() - self._cleaned_at > _CLEAN_EVERY_S:
            await self._queries.delete_old_notifications(self._database, now=self._clock(), kept_days=KEPT_DAYS)
            self._cleaned_at = self._clock()


def _change(row: Record, now: float) -> AlertChange:
    transition: ToldTransition = row["due"]
    return AlertChange(
        alert_id=row["id"],
        threshold_id=row["threshold_id"],
        threshold=msgspec.json.decode(row["definition"], type=Threshold),
        server_id=row["server_id"],
        server_name=row["server_name"],
        server_tags=row["tags"],
        labels=msgspec.json.decode(row["labels"]),
        transition=transition,
        level=row["level"],
        value=row["value"],
        bound=msgspec.json.decode(row["bound"], type=Bound | None) if row["bound"] is not None else None,
        window_s=row["window_s"],
        started_at=row["started_at"],
        at=now,
    )
