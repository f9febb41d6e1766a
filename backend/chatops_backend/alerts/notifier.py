"""Sends what is in the outbox, each notification at least once, and notes on the channel how it went.

Runs beside the application. Every channel with something due has a worker of its own, so that one that hangs delays no
other. A notification is claimed by moving its next attempt ahead (the lease), sent outside any transaction, then
marked; who dies in between leaves it to whoever comes after the lease. It waits while an earlier one of the same alert
is not delivered on its channel, so that no receiver hears of an end before the beginning.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from functools import partial

import asyncpg
import msgspec
from asyncpg import Record
from msgspec import Struct
from prometheus_client import Counter, Histogram

from chatops_backend.alerts.message import Message, Notice, compose
from chatops_backend.alerts.transports.sender import SEND_TIMEOUT_S, Sender
from chatops_backend.alerts.transports.transport import DeliveryError
from chatops_backend.database.interface import Database, DatabaseUnavailableError
from chatops_backend.database.queries import load_queries
from chatops_backend.settings import Settings

log = logging.getLogger(__name__)

POLL_S = 1.0
# Longer than an attempt lasts, so that nobody else begins another meanwhile.
LEASE_S = SEND_TIMEOUT_S + 15.0
MARK_RETRY_S = 0.5

delivered_total = Counter("chatops_notifications_delivered_total", "Notifications that a receiver took", ["type"])
failed_total = Counter("chatops_notification_failures_total", "Attempts that failed and are repeated", ["type"])
given_up_total = Counter("chatops_notifications_given_up_total", "Notifications that were never delivered", ["type"])
delay_seconds = Histogram(
    "chatops_notification_delay_seconds",
    "From the transition stored to the receiver's answer",
    buckets=(0.5, 1, 2.5, 5, 10, 15, 30, 60, 300, 900, 3600),
)

Pictures = Callable[[Notice], Awaitable[bytes | None]]


class Backoff(Struct, frozen=True):
    """Seconds. The wait doubles from `first_s` to `most_s`, half of it at random; ends after `give_up_s`."""

    first_s: float = 5.0
    most_s: float = 900.0
    give_up_s: float = 3 * 86_400.0

    def wait(self, attempts: int, chance: float) -> float:
        longest = min(self.most_s, self.first_s * 2.0 ** min(attempts - 1, 30))
        return longest * (0.5 + chance / 2)


class Notifier:
    """`run` until cancelled. Set `wake` after something was written into the outbox; else it looks every second."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        sender: Sender,
        *,
        wake: asyncio.Event,
        pictures: Pictures | None = None,
        clock: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
        backoff: Backoff = Backoff(),  # noqa: B008 - frozen
        poll_s: float = POLL_S,
    ) -> None:
        self._database = database
        self._sender = sender
        self._wake = wake
        self._pictures = pictures
        self._clock = clock
        self._chance = chance
        self._backoff = backoff
        self._poll_s = poll_s
        self._external_url = settings.origins[0].rstrip("/")
        self._queries = load_queries("notifications")
        self._workers: dict[int, asyncio.Task[None]] = {}

    async def run(self) -> None:
        try:
            while True:
                self._wake.clear()
                try:
                    await self._start_workers()
                except (DatabaseUnavailableError, asyncpg.PostgresError) as error:
                    log.warning("the outbox could not be read: %s", error)
                try:
                    await asyncio.wait_for(self._wake.wait(), self._poll_s)
                except TimeoutError:
                    pass
        finally:
            workers = list(self._workers.values())
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    async def _start_workers(self) -> None:
        async for row in self._queries.due_channels(self._database, now=self._clock()):
            channel_id = row["channel_id"]
            if channel_id not in self._workers:
                worker = asyncio.create_task(self._work_off(channel_id), name=f"notifications of channel {channel_id}")
                self._workers[channel_id] = worker
                worker.add_done_callback(partial(self._worker_ended, channel_id))

    def _worker_ended(self, channel_id: int, _: asyncio.Task[None]) -> None:
        del self._workers[channel_id]

    async def _work_off(self, channel_id: int) -> None:
        """Send what is due on one channel, in the order of its writing."""
        try:
            while await self._send_next(channel_id):
                pass
        except (DatabaseUnavailableError, asyncpg.PostgresError) as error:
            log.warning("channel %d waits for the database: %s", channel_id, error)
        except Exception:
            log.exception("channel %d stopped; it is tried again after the lease", channel_id)

    async def _send_next(self, channel_id: int) -> bool:
        now = self._clock()
        row = await self._queries.claim_notification(
            self._database, channel_id=channel_id, now=now, leased_until=now + LEASE_S
        )
        if row is None:
            return False
        try:
            message = await self._compose(row)
        except msgspec.MsgspecError:
            await self._mark(self._queries.mark_failed, row, error="it could not be read", next_at=now, given_up=True)
            given_up_total.labels(row["type"]).inc()
            return True
        try:
            await self._sender.send(row["type"], row["url"], message)
        except DeliveryError as error:
            await self._failed(row, str(error))
        else:
            await self._mark(self._queries.mark_delivered, row)
            delivered_total.labels(row["type"]).inc()
            delay_seconds.observe(max(0.0, self._clock() - row["created_at"]))
        return True

    async def _compose(self, row: Record) -> Message:
        notice = msgspec.json.decode(row["payload"], type=Notice)
        picture = None
        if self._pictures is not None and self._sender.takes_pictures(row["type"]):
            try:
                picture = await self._pictures(notice)
            except Exception as error:  # the message matters more than its picture
                log.warning("a notification goes without its picture: %r", error)
        return compose(notice, row["key"], row["channel"], self._external_url, picture)

    async def _failed(self, row: Record, error: str) -> None:
        next_at = self._clock() + self._backoff.wait(row["attempts"], self._chance())
        given_up = next_at > row["created_at"] + self._backoff.give_up_s
        (given_up_total if given_up else failed_total).labels(row["type"]).inc()
        if given_up or row["attempts"] == 1:
            verb = "given up" if given_up else "put off"
            log.warning("a notification to channel %d was %s: %s", row["channel_id"], verb, error)
        await self._mark(self._queries.mark_failed, row, error=error, next_at=next_at, given_up=given_up)

    async def _mark(self, mark: Callable[..., Awaitable[None]], row: Record, **values: object) -> None:
        """Until it is stored: what is sent and not marked will be sent again."""
        while True:
            try:
                await mark(self._database, notification_id=row["id"], now=self._clock(), **values)
            except DatabaseUnavailableError as error:
                log.warning("a notification's outcome waits for the database: %s", error)
                await asyncio.sleep(MARK_RETRY_S)
            else:
                return
