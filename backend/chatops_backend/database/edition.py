"""Refuses, with one clear line each, database servers that ChatOps cannot work on."""

import re

import asyncpg

from chatops_backend.database.interface import Database, DatabaseError, DatabaseUnavailableError

MINIMUM_TIMESCALEDB = (2, 19)
_VERSION = "SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'"


async def check_edition(database: Database) -> None:
    """Raise `DatabaseError` when TimescaleDB is absent, the Apache-only edition, or too old.

    Creates the extension when the server has it and the database does not.
    """
    version = await database.fetchval(_VERSION)
    if version is None:
        try:
            await database.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
        except (asyncpg.UniqueViolationError, asyncpg.DuplicateObjectError):
            pass  # another process created it at the same moment
        except (asyncpg.PostgresError, DatabaseUnavailableError) as error:
            # A server that did not preload the library ends the connection.
            raise DatabaseError(
                "this PostgreSQL server cannot give us TimescaleDB: install its Community edition, add timescaledb to "
                f"shared_preload_libraries, and let the user create the extension ({error.__cause__ or error})"
            ) from None
        version = await database.fetchval(_VERSION)
    found = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    if found < MINIMUM_TIMESCALEDB:
        raise DatabaseError(
            f"TimescaleDB {version} is too old: {'.'.join(map(str, MINIMUM_TIMESCALEDB))} or newer is needed; "
            "update the extension"
        )
    if await database.fetchval("SELECT current_setting('timescaledb.license', true)") == "apache":
        raise DatabaseError(
            "this is TimescaleDB's Apache-only edition, which has no continuous aggregates: install the Community "
            "edition and set timescaledb.license = 'timescale'"
        )
