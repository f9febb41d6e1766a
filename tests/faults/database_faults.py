"""Kills and freezes the database of a running backend, embedded or on a server. Touches nothing but that database."""

import contextlib
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg

from tests.stack import Backend


def embedded_pid(backend: Backend) -> int:
    """The process that holds the data directory: a child of this backend, and the only one that names it."""
    directory = str(backend.settings.data_dir / "database" / "pgdata")
    children = Path(f"/proc/{backend.program.process.pid}/task").glob("*/children")
    pids = [int(pid) for file in children for pid in file.read_text().split()]
    (found,) = (pid for pid in pids if directory in Path(f"/proc/{pid}/cmdline").read_text().split("\0"))
    return found


async def kill_database(backend: Backend) -> None:
    """SIGKILL for the embedded database; on a server every session of this database is terminated."""
    if backend.settings.database_url is None:
        os.kill(embedded_pid(backend), signal.SIGKILL)
        return
    async with _connection(backend) as connection:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
            " AND backend_type = 'client backend' AND usename = current_user AND pid <> pg_backend_pid()"
        )


@contextlib.asynccontextmanager
async def frozen_database(backend: Backend) -> AsyncIterator[None]:
    """SIGSTOP for the embedded database; on a server nobody can move a mark, and so nothing can be committed."""
    if backend.settings.database_url is None:
        pid = embedded_pid(backend)
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)
        return
    async with _connection(backend) as connection, connection.transaction():
        await connection.execute("LOCK TABLE chatops.stream_marks IN ACCESS EXCLUSIVE MODE")
        yield


@contextlib.asynccontextmanager
async def _connection(backend: Backend) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(backend.settings.database_url)
    try:
        yield connection
    finally:
        await connection.close()
