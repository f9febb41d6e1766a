"""How many replays run at a time, and that one ends with its caller: over real sockets, and on the real database."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import uvicorn
from litestar import Litestar, Request, post
from litestar.params import JSONBody

from chatops_backend.alerts import replays
from chatops_backend.alerts.backtest import backtest
from chatops_backend.alerts.replays import Replays
from chatops_backend.database.interface import Database
from chatops_backend.problems import exception_handlers
from chatops_protocol.alert_resources import Threshold
from tests.backend.alerts.alerting import Alerting, until

pytestmark = pytest.mark.anyio


class Desk:
    """A route that replays until it is let go."""

    def __init__(self, database: Database) -> None:
        self.replays = Replays(database)
        self.running, self.most, self.ended = 0, 0, 0
        self.let_go = asyncio.Event()
        self.port = 0

    async def work(self) -> str:
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await self.let_go.wait()
            return "done"
        finally:
            self.running -= 1
            self.ended += 1

    async def ask(self) -> httpx.Response:
        async with httpx.AsyncClient(timeout=20) as client:
            return await client.post(f"http://127.0.0.1:{self.port}/", json={"some": "body"})

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        @post("/", status_code=200)
        async def replay(data: JSONBody[dict[str, Any]], request: Request[Any, Any, Any]) -> str:
            return await self.replays.run(request, self.work())

        app = Litestar([replay], exception_handlers=exception_handlers, openapi_config=None)
        listening = socket.socket()
        listening.bind(("127.0.0.1", 0))
        self.port = listening.getsockname()[1]
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
        task = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            await until(lambda: server.started)
            yield
        finally:
            self.let_go.set()
            server.should_exit = True
            await task


@pytest.fixture
async def desk(alert_database: Database) -> AsyncIterator[Desk]:
    made = Desk(alert_database)
    async with made.open():
        yield made


async def test_one_whose_caller_is_gone_ends_and_the_next_has_its_turn(desk: Desk) -> None:
    at_once = 2 if desk.replays._turns._value == 2 else 1
    leaving = [asyncio.create_task(desk.ask()) for _ in range(at_once)]
    await until(lambda: desk.running == at_once)
    staying = asyncio.create_task(desk.ask())
    waiting = asyncio.create_task(desk.ask())
    await until(lambda: desk.replays._waiting == 2)
    # One that still waits may go as well.
    waiting.cancel()
    await until(lambda: desk.replays._waiting == 1)
    for task in leaving:
        task.cancel()
    await until(lambda: desk.ended == at_once)
    await until(lambda: desk.running == 1)
    desk.let_go.set()
    assert ((await staying).status_code, (await staying).text) == (200, "done")
    assert desk.most == at_once


async def test_many_at_once_take_turns_and_too_many_are_asked_to_come_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replays, "MOST_WAITING", 3)
    at_once = desk.replays._turns._value
    asked = [asyncio.create_task(desk.ask()) for _ in range(at_once + 3)]
    await until(lambda: desk.replays._waiting == 3)
    refused = await desk.ask()
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "10")
    desk.let_go.set()
    assert [(await one).status_code for one in asked] == [200] * len(asked)
    assert desk.most == at_once


class Counted:
    """The database, which counts what is asked of it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.fetched = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    async def fetch(self, query: str, *args: Any) -> Any:
        self.fetched += 1
        return await self._database.fetch(query, *args)


async def test_a_replay_that_is_ended_asks_the_database_nothing_more(alerting: Alerting) -> None:
    server_ids = [await alerting.server() for _ in range(20)]
    database = Counted(alerting.database)
    rule = Threshold(name="x", metric="host.cpu_percent", server_ids=server_ids, critical=50.0)
    end = datetime(2026, 3, 30, tzinfo=UTC)
    running = asyncio.create_task(
        backtest(database, rule, end - timedelta(days=9), end, end.timestamp())  # type: ignore[arg-type]
    )
    await until(lambda: database.fetched > 2)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    asked = database.fetched
    assert asked < 15
    assert await alerting.database.fetchval("SELECT 1") == 1
    assert database.fetched == asked
