"""The fleet's board over the real database: what the clock and a lost database make of it."""

import asyncio
import secrets
import time
from datetime import UTC, datetime
from typing import Any, cast

import asyncpg
import pytest

from chatops_backend.database.interface import Database, DatabaseUnavailableError
from chatops_backend.ingest.frame import Frame, Origin
from chatops_backend.ingest.rows import RowReader
from chatops_backend.live.board import Watcher
from chatops_backend.live.fleet import FleetBoard
from chatops_protocol.catalog import HOST
from chatops_protocol.live_messages import FleetEntry, FleetState, decode_to_person

pytestmark = pytest.mark.anyio


class LosableDatabase:
    """The real database, whose queries fail while it is `lost`."""

    runs_policies = True

    def __init__(self, real: Database) -> None:
        self._real = real
        self.lost: Exception | None = None

    async def fetch(self, query: str, *args: Any) -> Any:
        if self.lost is not None:
            raise self.lost
        return await self._real.fetch(query, *args)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


async def heard_of(database: Database, seconds_ago: float, interval_s: float = 5.0) -> int:
    """A new server whose agent was heard of so long ago, with one reading of that moment."""
    server_id: int = await database.fetchval(
        "INSERT INTO chatops.servers (name, interval_s) VALUES ($1, $2) RETURNING id", secrets.token_hex(6), interval_s
    )
    await database.execute(
        "INSERT INTO chatops.stream_marks VALUES ($1, 's', 1, now() - make_interval(secs => $2))",
        server_id,
        seconds_ago,
    )
    await database.execute(
        "INSERT INTO metrics.host (time, server_id, cpu_percent) VALUES (now() - make_interval(secs => $2), $1, 7.5)",
        server_id,
        seconds_ago,
    )
    return server_id


async def shown(watcher: Watcher[FleetEntry], server_id: int, status: str | None = None) -> FleetEntry:
    """What the watcher is told of a server, once it is told that it has this status."""
    async with asyncio.timeout(30):
        async for message in watcher.messages():
            state = decode_to_person(message)
            assert isinstance(state, FleetState)
            for entry in state.servers:
                if entry.server_id == server_id and status in (None, entry.status):
                    return entry
    raise AssertionError("the watcher ended")


@pytest.mark.parametrize(
    ("seconds_ago", "interval_s", "status"),
    [(0, 5, "online"), (13, 1, "online"), (20, 5, "offline"), (100, 60, "online"), (200, 60, "offline")],
)
async def test_a_server_is_online_for_three_of_its_intervals(database, seconds_ago, interval_s, status) -> None:
    server_id = await heard_of(database, seconds_ago, interval_s)
    board = FleetBoard(database)
    assert (await shown(await board.watch(), server_id)).status == status
    view = await database.fetchval("SELECT status FROM chatops.server_states WHERE id = $1", server_id)
    assert view == status


@pytest.mark.parametrize("lost", [None, DatabaseUnavailableError("lost"), asyncpg.QueryCanceledError("cancelled")])
async def test_a_server_that_falls_silent_goes_offline_even_when_the_database_is_lost(database, lost) -> None:
    now = time.time()
    server_id = await heard_of(database, 0)
    losable = LosableDatabase(database)
    board = FleetBoard(losable, lambda: now)
    watcher = await board.watch()
    running = asyncio.create_task(board.run())
    assert (await shown(watcher, server_id, "online")).cpu_percent == 7.5
    losable.lost = lost
    now += 60
    assert (await shown(watcher, server_id, "offline")).cpu_percent == 7.5
    assert not running.done()
    running.cancel()
    await asyncio.wait([running])


async def test_a_board_whose_first_look_found_no_database_shows_the_newest_values_later(database) -> None:
    server_id = await heard_of(database, 1)
    losable = LosableDatabase(database)
    losable.lost = DatabaseUnavailableError("lost")
    board = FleetBoard(losable)
    with pytest.raises(DatabaseUnavailableError):
        await board.watch()
    losable.lost = None
    entry = await shown(await board.watch(), server_id)
    assert (entry.status, entry.cpu_percent) == ("online", 7.5)


async def test_the_readings_of_a_backlog_are_not_shown_as_the_present(database) -> None:
    server_id = await heard_of(database, 0)
    now = time.time()
    board = FleetBoard(database, lambda: now)
    watcher = await board.watch()
    for age_s, shown_percent in ((3_600.0, None), (1.0, 42.0), (-60.0, 42.0)):
        taken = datetime.fromtimestamp(now - age_s, UTC)
        rows = {"host": (RowReader(HOST, ["cpu_percent"]), [(42.0,)])}
        board.publish([Frame(cast("Origin", None), server_id, "s", 1, taken, rows, 1)])
        entry = await shown(watcher, server_id)
        assert (entry.status, entry.cpu_percent) == ("online", shown_percent)
        assert entry.age_on_arrival_s == pytest.approx(age_s, abs=0.01)
