"""Gives orders: signs, stores and records them; waits for their end; cancels. The courier hands them to agents.

`give` is what every route that acts on a host calls, containers and processes included:

    asked = Asked("container", "container.restart", "restart web", act, timeout_s=30)
    (number,) = await orders.give(transaction, actor, [server], asked)

In that transaction the order is stored and the audit log says who gave it, so neither is without the other; nothing
goes out before it commits. Then call `orders.wake()`, and `wait_for_end` to answer at once when it is quick.
"""

import asyncio
import secrets
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import msgspec
from msgspec import Struct

from chatops_backend.accounts.visibility import VisibleServers
from chatops_backend.audit.actor import Actor
from chatops_backend.audit.trail import AT_ONCE, Draft, Target, record, record_all
from chatops_backend.commands.changes import CommandChanges, wait_for
from chatops_backend.commands.signing import OrderSigner
from chatops_backend.database.interface import Database, Executor, Transaction
from chatops_backend.database.queries import load_queries
from chatops_backend.problems import ProblemError, not_found
from chatops_protocol.command_resources import ENDED, CommandKind
from chatops_protocol.control_messages import Act, Order

# Another backend's news shows in the database only.
LOOK_EVERY_S = 0.5
# For one that waits its turn: what passes between the end of one and the beginning of the next.
BETWEEN_S = 15.0


class AddressedServer(Struct, frozen=True):
    id: int
    name: str


async def find_server(database: Executor, server_id: int) -> AddressedServer:
    """Raises `ProblemError` 404."""
    rows = load_queries("commands").find_servers(database, server_ids=[server_id], tag=None)
    found = [AddressedServer(row["id"], row["name"]) async for row in rows]
    if not found:
        raise not_found("server", server_id)
    return found[0]


class Asked(Struct, frozen=True):
    """What is to be done: `kind` for lists, `action` for the audit log, `title` in one line for people. It has to have
    begun within `expires_s` and ends after `timeout_s`."""

    kind: CommandKind
    action: str
    title: str
    act: Act
    timeout_s: float
    expires_s: float = 60.0


class Group(Struct, frozen=True):
    at_a_time: int | None = None
    stop_after_failures: int | None = None


class Orders:
    def __init__(
        self,
        database: Database,
        signer: OrderSigner,
        changes: CommandChanges,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._signer = signer
        self._changes = changes
        self._clock = clock
        self._queries = load_queries("commands")
        self.given = asyncio.Event()

    def wake(self) -> None:
        """Something was committed that the courier of this process can act on at once."""
        self.given.set()

    async def give(
        self,
        transaction: Transaction,
        actor: Actor,
        servers: Sequence[AddressedServer],
        asked: Asked,
        *,
        group_id: int | None = None,
        at_a_time: int | None = None,
    ) -> list[int]:
        """Store one order for each server and return their ids. Raises `ProblemError`, also when there is no server."""
        if not servers:
            raise ProblemError(400, "No server chosen", "Nothing was run: name servers, or a tag that some server has.")
        if actor.user_id is None or actor.session_id is None:
            raise ProblemError(403, "Forbidden", "Only people give orders.")
        ids = [row["id"] async for row in self._queries.reserve_ids(transaction, count=len(servers))]
        now = self._clock()
        orders: list[Order] = []
        for place, (number, server) in enumerate(zip(ids, servers, strict=True)):
            turn = place // at_a_time if at_a_time is not None else 0
            expires_at = now + asked.expires_s + turn * (asked.timeout_s + asked.expires_s + BETWEEN_S)
            orders.append(Order(number, server.id, secrets.token_hex(16), now, expires_at, asked.act))
        signed = [self._signer.sign(order) for order in orders]
        # Whoever else acts waits from here on, until this is committed.
        audit_ids = await record_all(
            transaction,
            [
                Draft(
                    actor,
                    asked.action,
                    Target(asked.kind, number, asked.title, server.id),
                    after={"server": server.name, "act": asked.act, "timeout_s": asked.timeout_s, "group_id": group_id},
                    result="intended",
                )
                for number, server in zip(ids, servers, strict=True)
            ],
        )
        for start in range(0, len(orders), AT_ONCE):
            some = slice(start, start + AT_ONCE)
            await self._queries.create_commands(
                transaction,
                ids=ids[some],
                server_ids=[order.server_id for order in orders[some]],
                audit_ids=audit_ids[some],
                nonces=[order.nonce for order in orders[some]],
                envelopes=[one.envelope for one in signed[some]],
                signatures=[one.signature for one in signed[some]],
                expire_at=[datetime.fromtimestamp(order.expires_at, UTC) for order in orders[some]],
                released=[at_a_time is None or place < at_a_time for place in range(len(orders))][some],
                group_id=group_id,
                kind=asked.kind,
                action=asked.action,
                title=asked.title,
                act=msgspec.json.encode(asked.act).decode(),
                timeout_s=asked.timeout_s,
                user_id=actor.user_id,
                username=actor.username,
                session_id=actor.session_id,
                wait_s=asked.expires_s,
            )
        return ids

    async def create_group(self, transaction: Transaction, group: Group) -> int:
        number: int = await self._queries.create_group(
            transaction, at_a_time=group.at_a_time, stop_after_failures=group.stop_after_failures
        )
        return number

    async def wait_for_end(self, command_id: int, seconds: float) -> bool:
        """Whether the order has ended within `seconds`."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        with self._changes.watch(command_id) as changed:
            while True:
                changed.clear()
                if await self._queries.read_state(self._database, command_id=command_id) in (*ENDED, None):
                    return True
                left = deadline - loop.time()
                if left <= 0:
                    return False
                await wait_for(changed, min(LOOK_EVERY_S, left))

    async def cancel(self, actor: Actor, command_id: int) -> None:
        """Ask for the end of one. Raises `ProblemError`: no such command, or it has ended."""
        async with self._database.transaction() as transaction:
            state = await self._queries.read_state(transaction, command_id=command_id)
            if state is None:
                raise not_found("command", command_id)
            reason = f"cancelled by {actor.username}"
            row = await self._queries.request_cancel(transaction, command_id=command_id, reason=reason)
            if row is None:
                raise ProblemError(
                    409, "Already ended", f"Command {command_id} has ended ({state}); look at its result."
                )
            await record(
                transaction, actor, "command.cancel", Target(row["kind"], command_id, row["title"], row["server_id"])
            )
        self.wake()

    async def cancel_group(self, actor: Actor, group_id: int, visible: VisibleServers) -> list[int]:
        """Ask for the end of all of a group that have not ended, on visible servers, and return them."""
        async with self._database.transaction() as transaction:
            if await self._queries.group_exists(transaction, group_id=group_id, visible=visible.listed) is None:
                raise not_found("group of commands", group_id)
            rows = self._queries.request_group_cancel(
                transaction, group_id=group_id, visible=visible.listed, reason=f"cancelled by {actor.username}"
            )
            ids = [row["id"] async for row in rows]
            await record(
                transaction, actor, "command.cancel", Target("command_group", group_id), after={"command_ids": ids}
            )
        self.wake()
        return ids
