"""The embedded database's process and its one connection: one owner, restarts, and no statement that breaks it."""

import asyncio
import contextlib
import os
import random
import signal
import stat
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import asyncpg
import pytest

from chatops_backend.database import embedded_process
from chatops_backend.database.embedded_connection import EmbeddedDatabase
from chatops_backend.database.embedded_process import (
    DirectoryInUseError,
    EmbeddedProcess,
    database_dir,
    socket_path,
)
from chatops_backend.database.interface import Database, DatabaseError, DatabaseUnavailableError
from chatops_backend.database.open import open_database
from chatops_backend.settings import Settings
from tests.conftest import TEST_DATABASE_URL
from tests.stack import environment

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(TEST_DATABASE_URL is not None, reason="the tests run on a database server"),
]

WITHIN_S = 30.0


@contextlib.asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[tuple[EmbeddedProcess, EmbeddedDatabase]]:
    process = EmbeddedProcess(settings.data_dir)
    await process.start()
    database = EmbeddedDatabase(socket_path(settings.data_dir))
    try:
        yield process, database
    finally:
        await database.close()
        await process.stop()


async def until(condition: Callable[[], bool], within_s: float = WITHIN_S) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.02)


def alive(pid: int) -> bool:
    """Whether the process runs: a zombie, which only waits for its parent, does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


async def answers(database: EmbeddedDatabase) -> bool:
    try:
        return bool(await database.fetchval("SELECT true"))
    except DatabaseUnavailableError:
        return False


async def until_answers(database: EmbeddedDatabase) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not await answers(database):
            await asyncio.sleep(0.05)


async def test_a_second_start_on_the_same_directory_is_refused_with_who_runs_it(new_settings) -> None:
    settings = await new_settings()
    async with running(settings) as (process, database):
        with pytest.raises(DirectoryInUseError, match=rf"already running \(process {os.getpid()}\).*CHATOPS_DATA_DIR"):
            await EmbeddedProcess(settings.data_dir).start()
        assert process.pid is not None
        assert await answers(database)


async def test_a_second_process_is_refused_in_one_line(new_settings) -> None:
    settings = await new_settings()
    async with running(settings) as (_, database):
        second = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "chatops_cli", "db", env=environment(settings), stdout=-1, stderr=-1
        )
        _, errors = await asyncio.wait_for(second.communicate(), WITHIN_S)
        assert second.returncode == 1
        assert len(errors.decode().strip().splitlines()) == 1
        assert "already running" in errors.decode()
        assert await answers(database)


async def test_nobody_else_can_read_the_directory(new_settings) -> None:
    settings = await new_settings()
    database_dir(settings.data_dir).chmod(0o755)
    async with running(settings):
        assert stat.S_IMODE(database_dir(settings.data_dir).stat().st_mode) == 0o700


async def test_a_path_too_long_for_a_socket_is_refused_in_one_line(tmp_path) -> None:
    with pytest.raises(DatabaseError, match="too long for a Unix socket; set CHATOPS_DATA_DIR"):
        await EmbeddedProcess(tmp_path / ("x" * 100)).start()


async def test_a_killed_process_is_restarted_with_all_that_was_committed(new_settings) -> None:
    settings = await new_settings()
    async with running(settings) as (process, database):
        await database.execute("CREATE TABLE chatops.kept (n integer)")
        for n in range(3):
            await database.execute("INSERT INTO chatops.kept VALUES ($1)", n)
            killed = process.pid
            assert killed is not None
            os.kill(killed, signal.SIGKILL)
            await until(lambda killed=killed: process.pid not in (None, killed))  # type: ignore[misc]
            await until_answers(database)
            stored = await database.fetch("SELECT n FROM chatops.kept ORDER BY n")
            assert [row["n"] for row in stored] == list(range(n + 1))
        await database.execute("INSERT INTO metrics.host (time, server_id) VALUES (now(), 1)")


async def test_a_statement_under_way_when_the_process_is_killed_fails_as_unavailable(new_settings) -> None:
    settings = await new_settings()
    async with running(settings) as (process, database):
        await database.execute("CREATE TABLE chatops.kept (n integer)")
        assert process.pid is not None
        sleeping = asyncio.create_task(database.fetchval("SELECT pg_sleep(60)"))
        waiting = asyncio.create_task(database.execute("INSERT INTO chatops.kept VALUES (1)"))
        await asyncio.wait([sleeping], timeout=0.3)
        os.kill(process.pid, signal.SIGKILL)
        with pytest.raises(DatabaseUnavailableError):
            await asyncio.wait_for(sleeping, WITHIN_S)
        with contextlib.suppress(DatabaseUnavailableError):
            await asyncio.wait_for(waiting, WITHIN_S)
        await until_answers(database)


@pytest.mark.parametrize("error", [asyncio.CancelledError, ValueError])
async def test_what_ends_a_transaction_is_what_its_caller_sees_though_the_database_died(new_settings, error) -> None:
    settings = await new_settings()
    async with running(settings) as (process, database):
        killed = process.pid
        assert killed is not None

        async def work() -> None:
            async with database.transaction() as transaction:
                await transaction.execute("SELECT 1")
                os.kill(killed, signal.SIGKILL)
                raise error

        with pytest.raises(error):
            await work()
        await until_answers(database)


async def test_a_database_that_prints_a_lot_does_not_stand_still(tmp_path, monkeypatch) -> None:
    program, printed = tmp_path / "server.mjs", tmp_path / "printed"
    program.write_text(
        "import pathlib, sys\n"
        "print('ready', flush=True)\n"
        "print('x' * 300_000)\n"
        "[print('y' * 99) for _ in range(5000)]\n"
        f"pathlib.Path({str(printed)!r}).touch()\n"
        "sys.stdin.read()\n"
    )

    async def packages(data_dir: Path) -> Path:
        return tmp_path

    monkeypatch.setattr(embedded_process, "node_executable", lambda: sys.executable)
    monkeypatch.setattr(embedded_process, "ensure_packages", packages)
    process = EmbeddedProcess(tmp_path)
    await process.start()
    try:
        await until(printed.exists, 10)
    finally:
        await process.stop()


async def test_it_stops_cleanly_and_leaves_no_process(new_settings) -> None:
    settings = await new_settings()
    async with running(settings) as (process, database):
        pid = process.pid
        assert pid is not None
        assert await answers(database)
        started = time.monotonic()
    assert time.monotonic() - started < 8, "it had to be killed"
    assert not alive(pid)
    assert process.pid is None
    async with running(settings) as (_, database):
        assert await answers(database)


async def test_when_its_supervisor_is_killed_the_database_ends_by_itself_and_can_be_opened_again(new_settings) -> None:
    settings = await new_settings()
    supervisor = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "chatops_cli", "db", env=environment(settings), stdout=-1, stderr=-1
    )
    assert supervisor.stdout is not None
    line = await asyncio.wait_for(supervisor.stdout.readline(), WITHIN_S)
    assert line.startswith(b"ready: ")
    (child,) = Path(f"/proc/{supervisor.pid}/task/{supervisor.pid}/children").read_text().split()
    supervisor.kill()
    await supervisor.communicate()
    await until(lambda: not alive(int(child)), 10)
    async with open_database(settings) as database:
        assert await database.fetchval("SELECT count(*) FROM chatops.users") == 0


async def test_clients_that_die_in_the_middle_of_anything_leave_the_database_to_the_next(new_settings) -> None:
    settings = await new_settings()
    chance = random.Random(7)
    async with running(settings) as (process, database):
        await database.execute("CREATE TABLE chatops.kept (n integer)")
        for _ in range(20):
            dying = EmbeddedDatabase(socket_path(settings.data_dir))
            await database.close()
            work = asyncio.create_task(busy(dying, chance))
            await asyncio.wait([work], timeout=0.05 + chance.random() * 0.2)
            # As the kernel does for a killed process: the socket closes, whatever was going on.
            connection = dying._connection
            if connection is not None:
                connection.terminate()
            work.cancel()
            await asyncio.wait([work])
            await dying.close()
            assert await database.fetchval("SELECT count(*) FROM chatops.kept") == 0
        assert process.pid is not None


async def busy(database: EmbeddedDatabase, chance: random.Random) -> None:
    with contextlib.suppress(DatabaseUnavailableError):
        while True:
            with contextlib.suppress(asyncpg.DivisionByZeroError):
                match chance.randrange(4):
                    case 0:
                        await database.fetch("SELECT generate_series(1, $1)", chance.choice((1, 1000, 100_000)))
                    case 1:
                        await database.execute("SELECT pg_sleep(0.05)")
                    case 2:
                        await database.fetch("SELECT 1 / $1::integer", 0)
                    case 3:
                        async with database.transaction() as transaction:
                            await transaction.execute("INSERT INTO chatops.kept VALUES (1)")
                            await transaction.execute("SELECT pg_sleep(0.05)")
                            await transaction.execute("SELECT 1 / $1::integer", 0)


@pytest.fixture(scope="module")
async def own(new_settings) -> AsyncIterator[EmbeddedDatabase]:
    async with running(await new_settings()) as (_, database):
        await database.execute("CREATE TABLE chatops.numbers (n integer PRIMARY KEY)")
        yield database


@pytest.fixture
async def numbers(own: EmbeddedDatabase) -> EmbeddedDatabase:
    await own.execute("TRUNCATE chatops.numbers")
    return own


async def stored(database: Database) -> list[int]:
    return [row["n"] for row in await database.fetch("SELECT n FROM chatops.numbers ORDER BY n")]


@pytest.mark.parametrize(
    ("statement", "values", "error"),
    [
        ("SELEC 1", [], asyncpg.PostgresSyntaxError),
        ("SELECT * FROM nothing", [], asyncpg.UndefinedTableError),
        ("SELECT 1/0", [], asyncpg.DivisionByZeroError),
        ("SELECT $1::integer", ["text"], asyncpg.DataError),
        ("SELECT $1::integer", [2**40], asyncpg.DataError),
        ("SELECT $1::text", ["\0"], asyncpg.PostgresError),
        ("SELECT $1::text", ["\ud800"], (asyncpg.DataError, UnicodeEncodeError)),
        ("DO $$ BEGIN RAISE EXCEPTION 'no'; END $$", [], asyncpg.RaiseError),
    ],
)
async def test_a_wrong_statement_does_not_break_the_connection(numbers, statement, values, error) -> None:
    session = await numbers.fetchval("SELECT pg_backend_pid()")
    for _ in range(2):
        with pytest.raises(error):
            await numbers.fetch(statement, *values)
        async with numbers.transaction() as transaction:
            await transaction.execute("SELECT 1")
    assert await numbers.fetchval("SELECT pg_backend_pid()") == session
    assert await stored(numbers) == []


async def test_a_cancelled_query_does_not_break_the_connection(numbers) -> None:
    for _ in range(3):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(numbers.fetchval("SELECT pg_sleep(0.3)"), 0.05)
        assert await numbers.fetchval("SELECT 7") == 7


async def test_a_query_cancelled_twice_does_not_break_the_connection(numbers) -> None:
    query = asyncio.create_task(numbers.fetchval("SELECT pg_sleep(0.5)"))
    for _ in range(3):
        await asyncio.wait([query], timeout=0.05)
        query.cancel()
    assert await numbers.fetchval("SELECT 7") == 7
    with pytest.raises(asyncio.CancelledError):
        await query


async def test_queries_cancelled_while_they_wait_for_their_turn_are_not_run(numbers) -> None:
    first = asyncio.create_task(numbers.fetchval("SELECT pg_sleep(0.3)"))
    waiting = [asyncio.create_task(numbers.execute("INSERT INTO chatops.numbers VALUES ($1)", n)) for n in range(5)]
    await asyncio.wait([first], timeout=0.05)
    for task in waiting:
        task.cancel()
    await first
    assert await stored(numbers) == []


async def test_a_transaction_is_committed_when_its_block_ends(numbers) -> None:
    async with numbers.transaction() as transaction:
        await transaction.execute("INSERT INTO chatops.numbers VALUES (1)")
    assert await stored(numbers) == [1]


@pytest.mark.parametrize("error", [ValueError, asyncio.CancelledError, KeyboardInterrupt])
async def test_a_transaction_whose_block_raises_is_rolled_back(numbers, error) -> None:
    with contextlib.suppress(error):
        async with numbers.transaction() as transaction:
            await transaction.execute("INSERT INTO chatops.numbers VALUES (1)")
            raise error
    assert await stored(numbers) == []


async def test_a_transaction_with_a_failed_statement_is_rolled_back(numbers) -> None:
    with contextlib.suppress(asyncpg.UniqueViolationError):
        async with numbers.transaction() as transaction:
            for _ in range(2):
                await transaction.execute("INSERT INTO chatops.numbers VALUES (1)")
    assert await stored(numbers) == []


@pytest.mark.parametrize("cancellations", [1, 3])
async def test_a_transaction_cancelled_in_a_statement_is_rolled_back(numbers, cancellations) -> None:
    began = asyncio.Event()

    async def work() -> None:
        async with numbers.transaction() as transaction:
            await transaction.execute("INSERT INTO chatops.numbers VALUES (1)")
            began.set()
            await transaction.execute("SELECT pg_sleep(0.5)")

    task = asyncio.create_task(work())
    await asyncio.wait_for(began.wait(), WITHIN_S)
    for _ in range(cancellations):
        await asyncio.wait([task], timeout=0.05)
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await stored(numbers) == []
    async with numbers.transaction() as transaction:
        await transaction.execute("INSERT INTO chatops.numbers VALUES (2)")
    assert await stored(numbers) == [2]


async def test_statements_of_others_wait_for_the_end_of_a_transaction(numbers) -> None:
    async with numbers.transaction() as transaction:
        await transaction.execute("INSERT INTO chatops.numbers VALUES (1)")
        other = asyncio.create_task(numbers.execute("DELETE FROM chatops.numbers"))
        await transaction.execute("INSERT INTO chatops.numbers VALUES (2)")
        assert [row["n"] for row in await transaction.fetch("SELECT n FROM chatops.numbers ORDER BY n")] == [1, 2]
        assert not other.done()
    assert await other == "DELETE 2"


async def test_many_callers_at_once_all_get_their_own_answer(numbers) -> None:
    answers = await asyncio.gather(*(numbers.fetchval("SELECT $1::integer", n) for n in range(200)))
    assert answers == list(range(200))


async def test_with_nothing_there_it_says_so_after_its_patience(tmp_path) -> None:
    database = EmbeddedDatabase(socket_path(tmp_path), patience_s=0.2)
    with pytest.raises(DatabaseUnavailableError, match="does not answer"):
        await database.fetchval("SELECT 1")
    await database.close()
