"""`Database` over the embedded database's single connection.

All statements queue for that connection in the order they come. It cannot be interrupted: a cancelled caller waits for
the statement under way, since abandoning it would leave the connection in the middle of an answer.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import asyncpg

from chatops_backend.database.interface import PLAN_CACHE_MODE, DatabaseUnavailableError
from chatops_backend.database.unavailable import means_connection_lost
from chatops_protocol.catalog import BY_NAME

log = logging.getLogger(__name__)

T = TypeVar("T")
Connection: TypeAlias = asyncpg.Connection

CONNECT_ATTEMPT_S = 5.0


class EmbeddedDatabase:
    """Connects when first used and again after the connection broke, waiting up to `patience_s` for it."""

    runs_policies = False

    def __init__(self, socket: Path, patience_s: float = 5.0) -> None:
        self._socket = socket
        self._patience_s = patience_s
        self._connection: Connection | None = None
        self._turn = asyncio.Lock()

    async def fetch(self, query: str, *args: Any) -> list[asyncpg.Record]:
        return await self._run(lambda connection: connection.fetch(query, *args))

    async def fetchrow(self, query: str, *args: Any) -> asyncpg.Record | None:
        return await self._run(lambda connection: connection.fetchrow(query, *args))

    async def fetchval(self, query: str, *args: Any) -> Any:
        return await self._run(lambda connection: connection.fetchval(query, *args))

    async def execute(self, query: str, *args: Any) -> str:
        return await self._run(lambda connection: connection.execute(query, *args))

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator["EmbeddedTransaction"]:
        async with self._turn:
            connection = await self._connected()
            async with self._watched():
                await _to_its_end(connection.execute("BEGIN"))
                try:
                    yield EmbeddedTransaction(connection)
                except BaseException:
                    try:
                        await _to_its_end(connection.execute("ROLLBACK"))
                    except Exception as failure:  # what ended the block wins: above all, a cancellation
                        log.warning("a transaction was not rolled back, and its connection is given up: %s", failure)
                        self._forget()
                    raise
                await _to_its_end(connection.execute("COMMIT"))

    async def close(self) -> None:
        async with self._turn:
            self._forget()

    async def _run(self, statement: Callable[[Connection], Awaitable[T]]) -> T:
        async with self._turn:
            connection = await self._connected()
            async with self._watched():
                return await _to_its_end(statement(connection))

    @contextlib.asynccontextmanager
    async def _watched(self) -> AsyncIterator[None]:
        try:
            yield
        except Exception as error:
            if not means_connection_lost(error):
                raise
            self._forget()
            raise DatabaseUnavailableError("the embedded database restarts; try again in a few seconds") from error

    def _forget(self) -> None:
        # `close` would wait for an answer that this server never gives.
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def _connected(self) -> Connection:
        if self._connection is not None and not self._connection.is_closed():
            return self._connection
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._patience_s
        while True:
            try:
                self._connection = await _connect(self._socket)
            except Exception as error:
                # Nothing of the caller's has run yet: whatever the server says, it is not about the caller's statement.
                if not means_connection_lost(error) and not isinstance(error, asyncpg.PostgresError):
                    raise
                if loop.time() > deadline:
                    raise DatabaseUnavailableError(
                        f"the embedded database at {self._socket.parent} does not answer, or another process holds "
                        "its one connection (the backend, when it runs)"
                    ) from error
                await asyncio.sleep(0.1)
            else:
                return self._connection


class EmbeddedTransaction:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def fetch(self, query: str, *args: Any) -> list[asyncpg.Record]:
        return await _to_its_end(self._connection.fetch(query, *args))

    async def fetchrow(self, query: str, *args: Any) -> asyncpg.Record | None:
        return await _to_its_end(self._connection.fetchrow(query, *args))

    async def fetchval(self, query: str, *args: Any) -> Any:
        return await _to_its_end(self._connection.fetchval(query, *args))

    async def execute(self, query: str, *args: Any) -> str:
        return await _to_its_end(self._connection.execute(query, *args))

    async def insert_columns(self, table: str, columns: Sequence[str], values: Sequence[Sequence[Any]]) -> None:
        """By `unnest`: COPY breaks the embedded server's connection."""
        await self.execute(unnest_statement(table, columns), *values)


def unnest_statement(table: str, columns: Sequence[str]) -> str:
    """The insert of parallel arrays into ``metrics.<table>``. Names come from the catalogue, never from a user."""
    names = ", ".join(f'"{column}"' for column in columns)
    arrays = ", ".join(f"${n}::{_array_type(table, column)}" for n, column in enumerate(columns, 1))
    return f'INSERT INTO metrics."{table}" ({names}) SELECT * FROM unnest({arrays})'  # noqa: S608 - catalogue names


def _array_type(table: str, column: str) -> str:
    if column == "time":
        return "timestamptz[]"
    if column == "server_id":
        return "integer[]"
    label = next((label for label in BY_NAME[table].labels if label.name == column), None)
    return f"{label.type}[]" if label else "float8[]"


async def _connect(socket: Path) -> Connection:
    connection = await asyncpg.connect(
        host=str(socket.parent), user="postgres", database="postgres", password="", timeout=CONNECT_ATTEMPT_S, ssl=False
    )
    try:
        # The server has one session for all clients in turn: a former client's statements and settings are still there,
        # and TimescaleDB has to be loaded before anything touches a hypertable.
        await asyncio.wait_for(connection.execute("DISCARD ALL"), CONNECT_ATTEMPT_S)
        # A tenth of the usual sample: with 2,000 hosts an ANALYZE of one table held the connection for five seconds.
        await connection.execute(
            f"SET timezone = 'UTC'; SET plan_cache_mode = {PLAN_CACHE_MODE}; SET default_statistics_target = 10"
        )
        if await connection.fetchval("SELECT true FROM pg_extension WHERE extname = 'timescaledb'"):
            await connection.execute("LOAD 'timescaledb'")
    except BaseException:
        connection.terminate()
        raise
    return connection


async def _to_its_end(statement: Awaitable[T]) -> T:
    task = asyncio.ensure_future(statement)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        task.exception()  # looked at, or asyncio would report that nobody did
        raise cancelled
    return task.result()
