"""Hands stored orders to the agents connected to this process, and ends what waits in vain. One task per backend.

Orders of the whole fleet are in one table. Each backend looks every second, and at once when an order was given here,
for those whose agent it holds: by compare-and-set one backend gets each. It also does what anybody may do, cheaply when
two do it: orders that came too late end, groups move on, and who lost the right to give orders runs none.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable

import asyncpg
from asyncpg import Record
from prometheus_client import Counter

from chatops_backend.commands.changes import CommandChanges
from chatops_backend.commands.endings import Endings
from chatops_backend.commands.orders import Orders
from chatops_backend.commands.recorder import Recorder
from chatops_backend.control.channel import AgentChannel, OrderNews
from chatops_backend.database.interface import Database, DatabaseUnavailableError, Executor
from chatops_backend.database.queries import load_queries
from chatops_backend.ingest.connection import AgentConnection
from chatops_protocol.control_messages import CancelOrder, CarryOut, OrderFinished

log = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
# After the time an order had: an agent that is there has said by then how it ended, KILL and all.
SILENT_S = 60.0
TIDY_EVERY_S = 3600.0

orders_sent = Counter("chatops_orders_sent_total", "Orders handed to agents")


class Courier:
    """Also the channel's `OrderListener`."""

    def __init__(
        self,
        database: Database,
        channel: AgentChannel,
        orders: Orders,
        changes: CommandChanges,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database, self._channel, self._orders, self._changes = database, channel, orders, changes
        self._monotonic = monotonic
        self._queries = load_queries("commands")
        self._newcomers: set[AgentConnection] = set()
        self._told: dict[AgentConnection, set[str]] = {}
        self._tidied_at = monotonic()
        self._endings = Endings(database, changes, orders.wake, monotonic)
        self.recorder = Recorder(database, changes, self._endings)
        channel.listen_for_orders(self)

    def agent_came(self, connection: AgentConnection) -> None:
        self._newcomers.add(connection)
        self._told[connection] = set()
        self._orders.wake()

    def agent_left(self, connection: AgentConnection) -> None:
        self._newcomers.discard(connection)
        self._told.pop(connection, None)

    def heard(self, connection: AgentConnection, news: OrderNews) -> None:
        self.recorder.put(connection, news)

    async def run(self) -> None:
        """Runs until cancelled."""
        while True:
            try:
                await self._look()
            except (DatabaseUnavailableError, asyncpg.PostgresError) as error:
                log.warning("orders were not looked at: %s", error)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._orders.given.wait(), LOOK_EVERY_S)
            self._orders.given.clear()

    async def _look(self) -> None:
        if self._monotonic() - self._tidied_at > TIDY_EVERY_S:
            self._tidied_at = self._monotonic()
            await self._queries.drop_old_commands(self._database)
        await self._endings.tell_what_is_owed()
        if not await self._queries.any_open(self._database):
            self._newcomers.clear()
            return
        await self._queries.cancel_for_lost_rights(self._database)
        await self._endings.store(self._end_queued)
        await self._endings.store(self._end_silent)
        for group in [row["group_id"] async for row in self._queries.waiting_groups(self._database)]:
            await self._move_on(group)
        await self._hand_out()
        await self._pass_cancels_on()

    async def _end_queued(self, executor: Executor) -> list[Record]:
        return [row async for row in self._queries.end_queued(executor)]

    async def _end_silent(self, executor: Executor) -> list[Record]:
        return [row async for row in self._queries.end_silent(executor, grace_s=SILENT_S)]

    async def _move_on(self, group_id: int) -> None:
        async with self._database.transaction() as transaction:
            group = await self._queries.lock_group(transaction, group_id=group_id)
            counted = await self._queries.count_group(transaction, group_id=group_id)
            limit = group["stop_after_failures"]
            if limit is not None and counted["failures"] >= limit:
                reason = f"not run: {counted['failures']} of the group did not end well"
                await self._queries.cancel_waiting(transaction, group_id=group_id, reason=reason)
                self._orders.wake()
            elif group["at_a_time"] is not None and counted["under_way"] < group["at_a_time"]:
                free = group["at_a_time"] - counted["under_way"]
                await self._queries.release(transaction, group_id=group_id, count=free)

    async def _hand_out(self) -> None:
        here = {connection.server_id: connection for connection in self._channel.everyone()}
        for connection in list(self._newcomers):
            rows = self._queries.read_sent(self._database, server_id=connection.server_id, key_id=connection.key_id)
            for row in [row async for row in rows]:
                await self._send(connection, row)
            self._newcomers.discard(connection)
        if not here:
            return
        rows = self._queries.claim(
            self._database,
            server_ids=list(here),
            key_ids=[connection.key_id for connection in here.values()],
        )
        for row in [row async for row in rows]:
            await self._send(here[row["server_id"]], row)

    async def _send(self, connection: AgentConnection, row: Record) -> None:
        if row["act_type"] in connection.understands:
            orders_sent.inc()
            connection.offer(CarryOut(row["id"], row["nonce"], row["envelope"], row["signature"]))
            self._changes.announce(row["id"])
        else:
            refusal = "refused: this agent's version cannot do that; update it on its host"
            await self.recorder.store_end(
                connection.server_id, OrderFinished(row["id"], row["nonce"], "failed", None, refusal)
            )

    async def _pass_cancels_on(self) -> None:
        here = {connection.server_id: connection for connection in self._channel.everyone()}
        rows = self._queries.read_cancelled(self._database, server_ids=list(here))
        for row in [row async for row in rows]:
            connection = here[row["server_id"]]
            told = self._told.get(connection)
            if told is not None and row["nonce"] not in told:
                told.add(row["nonce"])
                connection.offer(CancelOrder(row["id"], row["nonce"], row["cancel_reason"]))
