"""Stores what agents say of orders: that they began, what they write, how they ended. Then, and only then, confirms it.

Which server speaks follows from its connection's key, so an agent cannot say anything about another's order. Its socket
never waits for this: an agent sends only so much output ahead of confirmation, and one that sends more is cut off.
"""

import asyncio
import logging
from collections import Counter as Tally
from collections import deque
from itertools import groupby

import asyncpg
from asyncpg import Record
from prometheus_client import Counter

from chatops_backend.commands.changes import CommandChanges
from chatops_backend.commands.endings import Endings
from chatops_backend.control.channel import OrderNews
from chatops_backend.database.interface import Database, DatabaseUnavailableError, Executor
from chatops_backend.database.queries import load_queries
from chatops_backend.ingest.connection import AgentConnection
from chatops_protocol.agent_messages import CLOSE_PROTOCOL_ERROR
from chatops_protocol.control_messages import (
    HEAD_BYTES,
    MAX_CHUNK_BYTES,
    TAIL_BYTES,
    OrderFinished,
    OrderOutput,
    OrderStarted,
    OutcomeStored,
    OutputStored,
    Stream,
)

log = logging.getLogger(__name__)

RETRY_S = 1.0
# Of one agent: eight orders' windows, and small messages in great number.
MAX_PENDING_BYTES = 4 * 1024 * 1024
MAX_PENDING = 10_000
MESSAGE_OVERHEAD_BYTES = 400
MOST_AT_ONCE = 500

output_bytes = Counter("chatops_order_output_bytes_total", "Output of orders received")


class Recorder:
    def __init__(self, database: Database, changes: CommandChanges, endings: Endings) -> None:
        self._database = database
        self._changes = changes
        self._endings = endings
        self._queries = load_queries("commands")
        self._pending: deque[tuple[AgentConnection, OrderNews]] = deque()
        self._bytes: Tally[AgentConnection] = Tally()
        self._there = asyncio.Event()

    def put(self, connection: AgentConnection, news: OrderNews) -> None:
        """Take a message; returns at once."""
        if connection.closing:
            return
        if self._bytes[connection] > MAX_PENDING_BYTES:
            connection.close(CLOSE_PROTOCOL_ERROR, "more output came than was asked for")
            return
        self._bytes[connection] += _size(news)
        self._pending.append((connection, news))
        self._there.set()

    async def run(self) -> None:
        """Runs until cancelled."""
        while True:
            await self._there.wait()
            self._there.clear()
            while self._pending:
                batch = [self._pending.popleft() for _ in range(min(MOST_AT_ONCE, len(self._pending)))]
                # Messages of one order stay in their order; those of others may be between them.
                for (connection, number, nonce), news in _by_order(batch):
                    await self._store(connection, number, nonce, news)
                for connection, one in batch:
                    self._bytes[connection] -= _size(one)
                self._bytes = +self._bytes

    async def store_end(self, server_id: int, finished: OrderFinished) -> None:
        """How an order ended. What has ended already stays as it is."""

        async def end(executor: Executor) -> list[Record]:
            row = await self._queries.note_finished(
                executor,
                command_id=finished.id,
                nonce=finished.nonce,
                server_id=server_id,
                state=finished.state,
                exit_code=finished.exit_code,
                detail=finished.detail,
                duration_s=finished.duration_s,
                stdout_bytes=finished.stdout_bytes,
                stderr_bytes=finished.stderr_bytes,
            )
            return [row] if row is not None else []

        await self._endings.store(end)

    async def _store(self, connection: AgentConnection, number: int, nonce: str, news: list[OrderNews]) -> None:
        """Until it is stored: the database may be away, and the agent waits."""
        while True:
            try:
                for _, some in groupby(news, type):
                    await self._store_some(connection, number, nonce, list(some))
            except (DatabaseUnavailableError, asyncpg.PostgresError) as error:
                refused = isinstance(error, asyncpg.DataError | asyncpg.IntegrityConstraintViolationError)
                log.warning("news of order %d are not stored%s: %s", number, "" if refused else " yet", error)
                if refused:
                    return
                await asyncio.sleep(RETRY_S)
            else:
                self._changes.announce(number)
                return

    async def _store_some(self, connection: AgentConnection, number: int, nonce: str, news: list[OrderNews]) -> None:
        pieces = [one for one in news if isinstance(one, OrderOutput)]
        if pieces:
            await self._store_output(connection.server_id, number, nonce, pieces)
            connection.offer(OutputStored(nonce, pieces[-1].sequence))
            return
        for one in news:
            await self._store_state(connection, one)

    async def _store_state(self, connection: AgentConnection, one: OrderNews) -> None:
        match one:
            case OrderStarted():
                await self._queries.note_started(
                    self._database, command_id=one.id, nonce=one.nonce, server_id=connection.server_id
                )
            case OrderFinished():
                await self.store_end(connection.server_id, one)
                connection.offer(OutcomeStored(one.nonce))

    async def _store_output(self, server_id: int, number: int, nonce: str, pieces: list[OrderOutput]) -> None:
        async with self._database.transaction() as transaction:
            known = await self._queries.lock_output(transaction, command_id=number, nonce=nonce, server_id=server_id)
            if known is None:
                return
            fresh = _joined(_new(pieces, known["output_sequence"]))
            if not fresh:
                return
            places = [known["output_bytes"]]
            for piece in fresh:
                places.append(places[-1] + len(piece.data))
            output_bytes.inc(places[-1] - places[0])
            await self._queries.store_output(
                transaction,
                command_id=number,
                sequences=[piece.sequence for piece in fresh],
                places=places[:-1],
                streams=[piece.stream for piece in fresh],
                starts=[piece.offset for piece in fresh],
                pieces=[piece.data for piece in fresh],
            )
            await self._queries.note_output(
                transaction,
                command_id=number,
                sequence=fresh[-1].sequence,
                bytes=places[-1],
                stdout_bytes=_reached(fresh, "stdout"),
                stderr_bytes=_reached(fresh, "stderr"),
            )
            if places[-1] > HEAD_BYTES + TAIL_BYTES:
                await self._queries.drop_middle(
                    transaction,
                    command_id=number,
                    since=known["created_at"],
                    head=HEAD_BYTES,
                    tail=places[-1] - TAIL_BYTES,
                )


def _by_order(
    batch: list[tuple[AgentConnection, OrderNews]],
) -> list[tuple[tuple[AgentConnection, int, str], list[OrderNews]]]:
    orders: dict[tuple[AgentConnection, int, str], list[OrderNews]] = {}
    for connection, news in batch:
        orders.setdefault((connection, news.id, news.nonce), []).append(news)
    return list(orders.items())


def _new(pieces: list[OrderOutput], last: int) -> list[OrderOutput]:
    """Those after the sequence `last`, each once, in order: after a reconnect an agent sends again."""
    fresh: list[OrderOutput] = []
    for piece in pieces:
        if piece.sequence > last:
            fresh.append(piece)
            last = piece.sequence
    return fresh


def _joined(pieces: list[OrderOutput]) -> list[OrderOutput]:
    """Small neighbours become one row."""
    joined: list[OrderOutput] = []
    for piece in pieces:
        last = joined[-1] if joined else None
        if (
            last is not None
            and last.stream == piece.stream
            and last.offset + len(last.data) == piece.offset
            and len(last.data) + len(piece.data) <= MAX_CHUNK_BYTES
        ):
            joined[-1] = OrderOutput(
                piece.id, piece.nonce, piece.sequence, piece.stream, last.offset, last.data + piece.data
            )
        else:
            joined.append(piece)
    return joined


def _reached(pieces: list[OrderOutput], stream: Stream) -> int:
    return max((piece.offset + len(piece.data) for piece in pieces if piece.stream == stream), default=0)


def _size(news: OrderNews) -> int:
    return MESSAGE_OVERHEAD_BYTES + (len(news.data) if isinstance(news, OrderOutput) else 0)
