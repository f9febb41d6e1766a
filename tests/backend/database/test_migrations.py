"""Migrations: once each, from two processes at once, and never a silently edited one."""

import asyncio
import sys
from dataclasses import replace

import pytest

from chatops_backend.database.interface import Database, DatabaseError
from chatops_backend.database.migrations import migrate, read_migrations
from chatops_backend.database.open import open_database

pytestmark = pytest.mark.anyio


async def test_a_second_run_applies_nothing(database: Database) -> None:
    assert await migrate(database) == 0


async def test_two_runs_at_once_apply_each_migration_once(new_settings) -> None:
    settings = await new_settings(migrated=False)
    async with open_database(settings) as database:
        applied = await asyncio.gather(migrate(database), migrate(database))
        assert sum(applied) == len(read_migrations())


async def test_an_edited_migration_is_refused(database: Database) -> None:
    first, *rest = read_migrations()
    with pytest.raises(DatabaseError, match=r"0001_accounts_and_servers\.sql was edited"):
        await migrate(database, [replace(first, text=first.text + "-- later\n"), *rest])


async def test_a_database_of_a_newer_version_is_refused(database: Database) -> None:
    with pytest.raises(DatabaseError, match="does not know"):
        await migrate(database, read_migrations()[:1])


async def test_a_failing_migration_leaves_nothing_behind(new_settings) -> None:
    settings = await new_settings(migrated=False)
    first, second, *_ = read_migrations()
    async with open_database(settings) as database:
        with pytest.raises(Exception, match="no_such_table"):
            await migrate(
                database, [first, replace(second, text="CREATE TABLE chatops.half(); DROP TABLE no_such_table")]
            )
        assert await database.fetchval("SELECT to_regclass('chatops.half')") is None
        assert await database.fetchval("SELECT count(*) FROM chatops.migrations") == 1
        await migrate(database)


async def test_two_processes_migrate_one_directory_in_turn(new_settings) -> None:
    settings = await new_settings(migrated=False)
    environment = {"CHATOPS_DATA_DIR": str(settings.data_dir), "CHATOPS_DATABASE_URL": settings.database_url or ""}
    commands = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-m", "chatops_cli", "migrate", env=environment, stdout=-1, stderr=-1
        )
        for _ in range(2)
    ]
    ended = await asyncio.gather(*(command.communicate() for command in commands))
    assert [command.returncode for command in commands] == [0, 0], ended
    async with open_database(settings) as database:
        assert await database.fetchval("SELECT count(*) FROM chatops.migrations") == len(read_migrations())
