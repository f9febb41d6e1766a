"""The writer over the real database, with faults put between the two at the interface that both share."""

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest
from prometheus_client import REGISTRY

from chatops_backend.database.interface import Database, DatabaseUnavailableError
from chatops_backend.ingest import queue
from chatops_backend.ingest.frame import Frame
from chatops_backend.ingest.rows import Row, RowReader
from chatops_backend.ingest.writer import TooManyStreamsError, Writer
from chatops_protocol.catalog import CPU, HOST

pytestmark = pytest.mark.anyio

HOST_READER = RowReader(HOST, ["cpu_percent"])
CPU_READER = RowReader(CPU, ["core", "cpu_percent"])
WITHIN_S = 30.0


@dataclass(eq=False)
class Origin:
    """A connection that writes down what it is told."""

    acknowledged: int = 0
    refused: list[int] = field(default_factory=list)
    gone: bool = False
    told: asyncio.Event = field(default_factory=asyncio.Event)

    def acknowledge(self, sequence: int) -> None:
        self.acknowledged = max(self.acknowledged, sequence)
        self.told.set()

    def refuse_frame(self, sequence: int, detail: str) -> None:
        self.refused.append(sequence)
        self.told.set()

    def mark_is_gone(self) -> None:
        self.gone = True
        self.told.set()

    async def until(self, condition: Callable[["Origin"], bool]) -> None:
        async with asyncio.timeout(WITHIN_S):
            while not condition(self):
                self.told.clear()
                await self.told.wait()


class FaultyDatabase:
    """The real database behind faults: `before` and `after` run around each transaction and may raise."""

    runs_policies = True

    def __init__(self, real: Database) -> None:
        self._real = real
        self.before: Callable[[], Awaitable[None]] = _nothing
        self.after: Callable[[], Awaitable[None]] = _nothing
        self.statement: Callable[[], Awaitable[None]] = _nothing
        self.inserts = 0

    async def fetch(self, query: str, *args: Any) -> Any:
        await self.statement()
        return await self._real.fetch(query, *args)

    async def fetchrow(self, query: str, *args: Any) -> Any:
        return await self._real.fetchrow(query, *args)

    async def fetchval(self, query: str, *args: Any) -> Any:
        return await self._real.fetchval(query, *args)

    async def execute(self, query: str, *args: Any) -> str:
        return await self._real.execute(query, *args)

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        await self.before()
        async with self._real.transaction() as transaction:
            yield _CountingTransaction(transaction, self)
        await self.after()

    async def close(self) -> None:
        await self._real.close()


class _CountingTransaction:
    def __init__(self, real: Any, counted_by: FaultyDatabase) -> None:
        self._real, self._counted_by = real, counted_by

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    async def insert_columns(self, *args: Any) -> None:
        self._counted_by.inserts += 1
        await self._real.insert_columns(*args)


async def _nothing() -> None:
    pass


def raising(*errors: Exception) -> Callable[[], Awaitable[None]]:
    """Raise each error once, then nothing any more."""
    left = list(errors)

    async def fault() -> None:
        if left:
            raise left.pop(0)

    return fault


@pytest.fixture
async def server_id(database: Database) -> int:
    name = f"writer-{secrets.token_hex(4)}"
    found: int = await database.fetchval("INSERT INTO chatops.servers (name) VALUES ($1) RETURNING id", name)
    return found


@pytest.fixture
def faulty(database: Database) -> FaultyDatabase:
    return FaultyDatabase(database)


@pytest.fixture
def published() -> list[Frame]:
    return []


@pytest.fixture
async def writer(faulty: FaultyDatabase, published: list[Frame]) -> AsyncIterator[Writer]:
    made = Writer(faulty, published.extend)
    running = asyncio.create_task(made.run())
    yield made
    assert not running.done(), running.exception()
    running.cancel()
    await asyncio.wait([running])


def frame(
    origin: Origin, server_id: int, sequence: int, *, stream: str = "s", size: int = 1, rows: list[Row] | None = None
) -> Frame:
    taken: dict[str, tuple[RowReader, list[Row]]] = {"host": (HOST_READER, [(float(sequence),)])}
    if rows is not None:
        taken["cpu"] = (CPU_READER, rows)
    now = datetime.fromtimestamp(time.time(), UTC)
    return Frame(origin, server_id, stream, sequence, now, taken, size, [(now, "x.log", "info", str(sequence))])


async def stored(database: Database, server_id: int) -> list[float]:
    """The values of the server's frames that are stored. Each came with a log line, which is stored with it or not."""
    rows = await database.fetch("SELECT cpu_percent FROM metrics.host WHERE server_id = $1 ORDER BY 1", server_id)
    lines = await database.fetch("SELECT message FROM chatops.logs WHERE server_id = $1", server_id)
    assert sorted(float(line["message"]) for line in lines) == [row["cpu_percent"] for row in rows]
    return [row["cpu_percent"] for row in rows]


async def mark(database: Database, server_id: int, stream: str = "s") -> int | None:
    found: int | None = await database.fetchval(
        "SELECT last_sequence FROM chatops.stream_marks WHERE server_id = $1 AND stream = $2", server_id, stream
    )
    return found


async def test_frames_of_many_servers_are_stored_with_their_marks(database, writer, published) -> None:
    servers = [
        await database.fetchval("INSERT INTO chatops.servers (name) VALUES ($1) RETURNING id", secrets.token_hex(6))
        for _ in range(5)
    ]
    origins = {server_id: Origin() for server_id in servers}
    for server_id in servers:
        assert await writer.open_stream(server_id, "s") == 0
    for sequence in range(1, 21):
        for server_id in servers:
            await writer.put(frame(origins[server_id], server_id, sequence))
    for server_id in servers:
        await origins[server_id].until(lambda origin: origin.acknowledged == 20)
        assert await stored(database, server_id) == list(range(1, 21))
        assert await mark(database, server_id) == 20
    assert len(published) == 100


async def test_nothing_is_acknowledged_or_published_before_it_is_committed(
    database, faulty, writer, server_id, published
) -> None:
    origin = Origin()
    await writer.open_stream(server_id, "s")
    seen: list[tuple[list[float], int, list[Frame]]] = []

    async def look() -> None:
        seen.append((await stored(database, server_id), origin.acknowledged, list(published)))

    faulty.before = faulty.after = look
    await writer.put(frame(origin, server_id, 1))
    await origin.until(lambda origin: origin.acknowledged == 1)
    assert seen == [([], 0, []), ([1.0], 0, [])]
    assert [frame.sequence for frame in published] == [1]


async def test_a_commit_whose_answer_is_lost_stores_nothing_twice(database, faulty, writer, server_id) -> None:
    origin = Origin()
    await writer.open_stream(server_id, "s")
    faulty.after = raising(*[DatabaseUnavailableError("the answer is lost")] * 2)
    for sequence in (1, 2, 3):
        await writer.put(frame(origin, server_id, sequence))
    await origin.until(lambda origin: origin.acknowledged == 3)
    await writer.put(frame(origin, server_id, 4))
    await origin.until(lambda origin: origin.acknowledged == 4)
    assert await stored(database, server_id) == [1, 2, 3, 4]
    assert await mark(database, server_id) == 4


async def test_the_database_may_go_away_again_while_the_marks_are_read_anew(
    database, faulty, writer, server_id
) -> None:
    origin = Origin()
    await writer.open_stream(server_id, "s")
    faulty.after = raising(DatabaseUnavailableError("the answer is lost"))
    faulty.statement = raising(*[DatabaseUnavailableError("away again")] * 2)
    await writer.put(frame(origin, server_id, 1))
    await origin.until(lambda origin: origin.acknowledged == 1)
    assert await stored(database, server_id) == [1]


async def test_what_another_writer_stored_is_not_stored_again(database, faulty, writer, server_id) -> None:
    origin, others = Origin(), Origin()
    await writer.open_stream(server_id, "s")
    other = Writer(database, lambda frames: None)
    await other.open_stream(server_id, "s")
    running = asyncio.create_task(other.run())
    for sequence in (1, 2, 3):
        await other.put(frame(others, server_id, sequence))
    await others.until(lambda origin: origin.acknowledged == 3)
    for sequence in range(1, 6):
        await writer.put(frame(origin, server_id, sequence))
    await origin.until(lambda origin: origin.acknowledged == 5)
    await other.put(frame(others, server_id, 5))
    await other.put(frame(others, server_id, 6))
    await others.until(lambda origin: origin.acknowledged == 6)
    running.cancel()
    await asyncio.wait([running])
    assert await stored(database, server_id) == [1, 2, 3, 4, 5, 6]
    assert await mark(database, server_id) == 6


async def test_two_writers_at_once_store_each_frame_once(database, server_id) -> None:
    writers = [Writer(database, lambda frames: None) for _ in range(2)]
    running = [asyncio.create_task(writer.run()) for writer in writers]
    origins = [Origin() for _ in writers]
    for writer in writers:
        await writer.open_stream(server_id, "s")
    for sequence in range(1, 51):
        for writer, origin in zip(writers, origins, strict=True):
            await writer.put(frame(origin, server_id, sequence))
        await asyncio.sleep(0)
    for origin in origins:
        await origin.until(lambda origin: origin.acknowledged == 50)
    for task in running:
        task.cancel()
    await asyncio.wait(running)
    assert await stored(database, server_id) == list(range(1, 51))


async def test_a_frame_that_came_by_two_connections_is_stored_once_and_both_are_answered(
    database, writer, server_id
) -> None:
    older, newer = Origin(), Origin()
    await writer.open_stream(server_id, "s")
    for origin in (older, newer):
        for sequence in (1, 2, 3):
            await writer.put(frame(origin, server_id, sequence))
    await newer.until(lambda origin: origin.acknowledged == 3)
    assert await stored(database, server_id) == [1, 2, 3]


@pytest.mark.parametrize("poison", ["\0", "\ud800"])
async def test_a_frame_that_the_database_never_takes_leaves_the_queue_and_the_others_are_stored(
    database, faulty, writer, server_id, poison
) -> None:
    origin, other = Origin(), Origin()
    neighbour = await database.fetchval(
        "INSERT INTO chatops.servers (name) VALUES ($1) RETURNING id", secrets.token_hex(6)
    )
    for known in (server_id, neighbour):
        await writer.open_stream(known, "s")
    for sequence in range(1, 6):
        await writer.put(frame(origin, server_id, sequence, rows=[(poison if sequence == 3 else "0", 1.0)]))
        await writer.put(frame(other, neighbour, sequence))
    await origin.until(lambda origin: origin.acknowledged == 5)
    await other.until(lambda origin: origin.acknowledged == 5)
    assert origin.refused == [3]
    assert other.refused == []
    assert await stored(database, server_id) == [1, 2, 4, 5]
    assert await stored(database, neighbour) == [1, 2, 3, 4, 5]
    assert await mark(database, server_id) == 5


async def test_a_poisonous_frame_is_tried_at_most_three_times(database, faulty, writer, server_id) -> None:
    origin = Origin()
    await writer.open_stream(server_id, "s")
    await writer.put(frame(origin, server_id, 1, rows=[("\0", 1.0)]))
    await origin.until(lambda origin: origin.acknowledged == 1)
    assert origin.refused == [1]
    assert faulty.inserts <= 3 * 2  # two measurements a try


async def test_a_poisonous_frame_leaves_the_queue_although_the_database_goes_away_meanwhile(
    database, faulty, writer, server_id
) -> None:
    origin = Origin()
    await writer.open_stream(server_id, "s")

    async def away_from_the_second_time() -> None:
        faulty.before = raising(*[DatabaseUnavailableError("away")] * 2)

    faulty.before = away_from_the_second_time
    await writer.put(frame(origin, server_id, 1, rows=[("\0", 1.0)]))
    await origin.until(lambda origin: origin.acknowledged == 1)
    await writer.put(frame(origin, server_id, 2))
    await origin.until(lambda origin: origin.acknowledged == 2)
    assert origin.refused == [1]
    assert await stored(database, server_id) == [2]


@pytest.mark.parametrize(
    "error", [asyncpg.ReadOnlySQLTransactionError("a standby"), asyncpg.InsufficientPrivilegeError("not yet granted")]
)
async def test_rows_are_kept_while_the_database_takes_nothing_at_all(
    database, faulty, writer, server_id, error
) -> None:
    origin = Origin()
    await writer.open_stream(server_id, "s")
    # The rows, and then the mark without them.
    faulty.before = raising(error, error)
    await writer.put(frame(origin, server_id, 1))
    await origin.until(lambda origin: origin.acknowledged == 1)
    assert origin.refused == []
    assert await stored(database, server_id) == [1]


async def test_while_the_database_is_away_nothing_is_acknowledged_and_then_all_is_stored(
    database, faulty, writer, server_id
) -> None:
    origin = Origin()
    await writer.open_stream(server_id, "s")
    tried, back = 0, False

    async def away() -> None:
        nonlocal tried
        if not back:
            tried += 1
            origin.told.set()
            raise DatabaseUnavailableError("away")

    faulty.before = away
    for sequence in range(1, 11):
        await writer.put(frame(origin, server_id, sequence))
    await origin.until(lambda _: tried == 3)
    assert origin.acknowledged == 0
    assert await stored(database, server_id) == []
    back = True
    await origin.until(lambda origin: origin.acknowledged == 10)
    assert await stored(database, server_id) == list(range(1, 11))


async def test_frames_of_a_deleted_server_are_dropped_and_the_others_are_stored(database, writer, server_id) -> None:
    origin, lost = Origin(), Origin()
    deleted = await database.fetchval(
        "INSERT INTO chatops.servers (name) VALUES ($1) RETURNING id", secrets.token_hex(6)
    )
    for known in (server_id, deleted):
        await writer.open_stream(known, "s")
    await database.execute("DELETE FROM chatops.servers WHERE id = $1", deleted)
    await writer.put(frame(lost, deleted, 1))
    await writer.put(frame(origin, server_id, 1))
    await lost.until(lambda origin: origin.gone)
    await origin.until(lambda origin: origin.acknowledged == 1)
    assert lost.acknowledged == 0
    assert await stored(database, deleted) == []
    assert await stored(database, server_id) == [1]


async def test_a_server_keeps_64_marks_and_the_newest_of_them(database, writer, server_id) -> None:
    before = REGISTRY.get_sample_value("chatops_ingest_streams_retired_total")
    origin = Origin()
    await writer.open_stream(server_id, "first")
    await writer.put(frame(origin, server_id, 5, stream="first"))
    await origin.until(lambda origin: origin.acknowledged == 5)
    for number in range(100):
        await writer.open_stream(server_id, f"new {number}", ["first", "new 3"] if number > 3 else ["first"])
    rows = await database.fetch("SELECT stream FROM chatops.stream_marks WHERE server_id = $1", server_id)
    kept = {"first", "new 3", *(f"new {number}" for number in range(38, 100))}
    assert {row["stream"] for row in rows} == kept
    assert {stream for known, stream in writer._marks if known == server_id} == kept
    assert REGISTRY.get_sample_value("chatops_ingest_streams_retired_total") - before == 37
    # What is open goes on, and what was kept knows where it stood.
    await writer.put(frame(origin, server_id, 6, stream="first"))
    await origin.until(lambda origin: origin.acknowledged == 6)
    assert await writer.open_stream(server_id, "first") == 6


async def test_no_open_spool_is_given_up_and_a_65th_is_refused(database, writer, server_id) -> None:
    names = [f"spool {number}" for number in range(64)]
    for number, name in enumerate(names):
        await writer.open_stream(server_id, name, names[:number])
    with pytest.raises(TooManyStreamsError):
        await writer.open_stream(server_id, "one more", names)
    # One that reconnects is not one more.
    assert await writer.open_stream(server_id, names[0], names) == 0
    rows = await database.fetch("SELECT stream FROM chatops.stream_marks WHERE server_id = $1", server_id)
    assert {row["stream"] for row in rows} == set(names)


async def test_frames_of_a_spool_that_another_backend_gave_up_are_sent_again(database, writer, server_id) -> None:
    origin, lost = Origin(), Origin()
    await writer.open_stream(server_id, "s")
    await database.execute("DELETE FROM chatops.stream_marks WHERE server_id = $1", server_id)
    await writer.put(frame(lost, server_id, 1))
    await lost.until(lambda origin: origin.gone)
    assert lost.acknowledged == 0
    assert await writer.open_stream(server_id, "s") == 0
    await writer.put(frame(origin, server_id, 1))
    await origin.until(lambda origin: origin.acknowledged == 1)
    assert await stored(database, server_id) == [1]


async def test_putting_waits_while_the_queue_is_full(database, faulty, writer, server_id) -> None:
    origin = Origin()
    await writer.open_stream(server_id, "s")
    may_go_on = asyncio.Event()
    began = asyncio.Event()

    async def hold() -> None:
        began.set()
        await may_go_on.wait()

    faulty.before = hold
    half = queue.MAX_BYTES // 2
    await writer.put(frame(origin, server_id, 1))
    await asyncio.wait_for(began.wait(), WITHIN_S)
    for sequence in (2, 3):
        await asyncio.wait_for(writer.put(frame(origin, server_id, sequence, size=half)), WITHIN_S)
    waiting = [asyncio.create_task(writer.put(frame(origin, server_id, 4, size=half)))]
    done, _ = await asyncio.wait(waiting, timeout=0.3)
    assert not done
    assert origin.acknowledged == 0
    may_go_on.set()
    await origin.until(lambda origin: origin.acknowledged == 4)
    assert await stored(database, server_id) == [1, 2, 3, 4]
