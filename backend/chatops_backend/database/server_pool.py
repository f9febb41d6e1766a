"""`Database` over a pool of connections to a TimescaleDB server."""

import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from typing import Any, TypeAlias, TypeVar

import asyncpg

from chatops_backend.database.interface import PLAN_CACHE_MODE, DatabaseUnavailableError
from chatops_backend.database.time_limits import StatementTooLongError, statement_limit
from chatops_backend.database.unavailable import means_connection_lost

log = logging.getLogger(__name__)

T = TypeVar("T")
Pool: TypeAlias = asyncpg.Pool

MAX_CONNECTIONS = 10
CONNECT_TIMEOUT_S = 10.0
STATEMENT_TIMEOUT_S = 300.0


async def connect_pool(url: str) -> "ServerDatabase":
    pool = await asyncpg.create_pool(
        url,
        min_size=1,
        max_size=MAX_CONNECTIONS,
        timeout=CONNECT_TIMEOUT_S,
        command_timeout=STATEMENT_TIMEOUT_S,
        server_settings={"timezone": "UTC", "application_name": "chatops", "plan_cache_mode": PLAN_CACHE_MODE},
    )
    return ServerDatabase(pool)


class ServerDatabase:
    runs_policies = True

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def fetch(self, query: str, *args: Any) -> list[asyncpg.Record]:
        return await self._run(lambda limit: self._pool.fetch(query, *args, timeout=limit))

    async def fetchrow(self, query: str, *args: Any) -> asyncpg.Record | None:
        return await self._run(lambda limit: self._pool.fetchrow(query, *args, timeout=limit))

    async def fetchval(self, query: str, *args: Any) -> Any:
        return await self._run(lambda limit: self._pool.fetchval(query, *args, timeout=limit))

    async def execute(self, query: str, *args: Any) -> str:
        return await self._run(lambda limit: self._pool.execute(query, *args, timeout=limit))

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator["ServerTransaction"]:
        with _watched():
            async with self._pool.acquire() as connection:
                begun = connection.transaction()
                await begun.start()
                try:
                    yield ServerTransaction(connection)
                except BaseException:
                    try:
                        await begun.rollback()
                    except Exception as failure:  # what ended the block wins: above all, a cancellation
                        log.warning("a transaction was not rolled back: %s", failure)
                    raise
                await begun.commit()

    async def close(self) -> None:
        await self._pool.close()

    async def _run(self, statement: Callable[[float | None], Awaitable[T]]) -> T:
        with _watched():
            return await _limited(statement)


class ServerTransaction:
    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def fetch(self, query: str, *args: Any) -> list[asyncpg.Record]:
        rows: list[asyncpg.Record] = await _limited(lambda limit: self._connection.fetch(query, *args, timeout=limit))
        return rows

    async def fetchrow(self, query: str, *args: Any) -> asyncpg.Record | None:
        return await _limited(lambda limit: self._connection.fetchrow(query, *args, timeout=limit))

    async def fetchval(self, query: str, *args: Any) -> Any:
        return await _limited(lambda limit: self._connection.fetchval(query, *args, timeout=limit))

    async def execute(self, query: str, *args: Any) -> str:
        status: str = await _limited(lambda limit: self._connection.execute(query, *args, timeout=limit))
        return status

    async def insert_columns(self, table: str, columns: Sequence[str], values: Sequence[Sequence[Any]]) -> None:
        """By COPY: about twice as fast as `unnest` on a server."""
        await self._connection.copy_records_to_table(
            table, schema_name="metrics", columns=columns, records=zip(*values, strict=True)
        )


async def _limited(statement: Callable[[float | None], Awaitable[T]]) -> T:
    """asyncpg cancels on the server what takes longer."""
    limit = statement_limit()
    try:
        return await statement(limit)
    except TimeoutError as error:
        if limit is None:
            raise
        raise StatementTooLongError(f"a statement took longer than {limit:g} s and was cancelled") from error


@contextlib.contextmanager
def _watched() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if not means_connection_lost(error):
            raise
        raise DatabaseUnavailableError("the database server does not answer; try again in a few seconds") from error
