"""Opens the database that the settings name: the one place that chooses between embedded and server."""

import contextlib
import time
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import asyncpg

from chatops_backend.database.edition import check_edition
from chatops_backend.database.embedded_connection import EmbeddedDatabase
from chatops_backend.database.embedded_process import DirectoryInUseError, EmbeddedProcess, socket_path
from chatops_backend.database.interface import Database, DatabaseError, DatabaseUnavailableError
from chatops_backend.database.server_pool import connect_pool
from chatops_backend.settings import Settings, prepare_data_dir

ATTACH_TIMEOUT_S = 8.0


@contextlib.asynccontextmanager
async def open_database(settings: Settings) -> AsyncIterator[Database]:
    """Yield an open database of a fitting edition; raise `DatabaseError` with one clear line otherwise.

    Without a URL it attaches to the embedded database that `chatops db` runs on the data directory, and runs it itself
    when nobody does.
    """
    if settings.database_url is None:
        async with _open_embedded(settings) as database:
            yield database
    else:
        database = await _open_server(settings.database_url)
        try:
            await check_edition(database)
            yield database
        finally:
            await database.close()


@contextlib.asynccontextmanager
async def _open_embedded(settings: Settings) -> AsyncIterator[Database]:
    prepare_data_dir(settings.data_dir)
    process = EmbeddedProcess(settings.data_dir)
    database = await _attach_or_run(settings, process)
    try:
        yield database
    finally:
        await database.close()
        await process.stop()


async def _attach_or_run(settings: Settings, process: EmbeddedProcess) -> Database:
    """Run the process, or use the one that runs; whoever runs it may end meanwhile, so look again until it is late."""
    deadline = time.monotonic() + ATTACH_TIMEOUT_S
    while True:
        in_use = None
        try:
            await process.start()
        except DirectoryInUseError as error:
            in_use = error
        try:
            database = EmbeddedDatabase(socket_path(settings.data_dir))
            await database.fetchval("SELECT 1")
        except DatabaseUnavailableError:
            if in_use is None or time.monotonic() > deadline:
                await process.stop()
                if in_use is None:
                    raise DatabaseError("the embedded database started but does not answer") from None
                raise DatabaseError(
                    f"{in_use}; it takes one client at a time, and that is the backend while it runs: "
                    "use the dashboard or the REST API meanwhile"
                ) from None
        else:
            return database


async def _open_server(url: str) -> Database:
    shown = _without_password(url)
    if urlsplit(url).scheme not in ("postgresql", "postgres"):
        raise DatabaseError("CHATOPS_DATABASE_URL must look like postgresql://user:password@host:5432/database")
    try:
        return await connect_pool(url)
    except asyncpg.InvalidAuthorizationSpecificationError:
        raise DatabaseError(f"the database at {shown} refuses the user name or password") from None
    except asyncpg.InvalidCatalogNameError:
        raise DatabaseError(f"there is no such database: {shown}; create it, or correct CHATOPS_DATABASE_URL") from None
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        raise DatabaseUnavailableError(f"no database answers at {shown} ({error or type(error).__name__})") from None


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    try:
        port = parts.port or 5432
    except ValueError as error:
        raise DatabaseError(f"CHATOPS_DATABASE_URL has no valid port: {error}") from None
    return f"{parts.hostname or 'localhost'}:{port}{parts.path}"
