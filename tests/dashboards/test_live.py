"""One stream per tab: replaced by the next view, ended with its tab, its session or its backend's refusal."""

import asyncio
import json
from datetime import UTC, tzinfo
from typing import Any

import pytest
from dash.exceptions import WebsocketDisconnected

from chatops_client import ApiError, BackendUnreachableError
from chatops_dashboards import live
from chatops_dashboards.live import LiveViews, Push, SocketPush, View
from chatops_dashboards.pages.server.silence import with_silence
from chatops_dashboards.session import Session

pytestmark = pytest.mark.anyio


class Socket:
    """What Dash hands to a callback, with a tab that answers until it is closed."""

    def __init__(self) -> None:
        self.is_shutdown = False
        self.answers = True
        self.sent: list[tuple[str, str, Any]] = []

    def set_prop_sync(self, component_id: str, prop: str, value: Any) -> None:
        self.sent.append((component_id, prop, value))

    async def get_prop(self, component_id: str, prop: str, timeout: float) -> Any:
        if not self.answers:
            raise TimeoutError
        return "tab"

    def values(self, component_id: str) -> list[Any]:
        return [value for known, _, value in self.sent if known == component_id]


class Running:
    """A stream that pushes once and then waits; it knows how many of it run."""

    def __init__(self) -> None:
        self.now = 0
        self.started = asyncio.Event()

    async def __call__(self, session: Session, view: View, zone: tzinfo, push: Push) -> None:
        self.now += 1
        self.started.set()
        try:
            push("shown", children=view["kind"])
            await asyncio.Event().wait()
        finally:
            self.now -= 1


async def until_ended(task: "asyncio.Task[None]") -> None:
    async with asyncio.timeout(5):
        await task


async def test_a_new_view_in_the_tab_ends_the_one_before(session: Session) -> None:
    views, first, second = LiveViews(), Running(), Running()
    views.add("first", first)
    views.add("second", second)
    one = asyncio.create_task(views.serve(session, {"kind": "first"}, UTC, "tab", Socket()))
    await first.started.wait()
    two = asyncio.create_task(views.serve(session, {"kind": "second"}, UTC, "tab", Socket()))
    await until_ended(one)
    await second.started.wait()
    assert (first.now, second.now, views.active) == (0, 1, 1)
    two.cancel()
    await asyncio.gather(two, return_exceptions=True)
    assert (second.now, views.active) == (0, 0)


async def test_two_tabs_do_not_disturb_each_other(session: Session) -> None:
    views, stream = LiveViews(), Running()
    views.add("view", stream)
    tasks = [asyncio.create_task(views.serve(session, {"kind": "view"}, UTC, tab, Socket())) for tab in "ab"]
    while stream.now < 2:
        await asyncio.sleep(0)
    session.ended.set()
    for task in tasks:
        await until_ended(task)
    assert stream.now == 0


async def test_a_tab_that_no_longer_answers_ends_its_stream(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "PROBE_S", 0.05)
    monkeypatch.setattr(live, "HEARTBEAT_S", 0.01)
    views, stream, socket = LiveViews(), Running(), Socket()
    views.add("view", stream)
    task = asyncio.create_task(views.serve(session, {"kind": "view"}, UTC, "tab", socket))
    while len(socket.values("live-heartbeat")) < 12:
        await asyncio.sleep(0.01)
    assert stream.now == 1
    socket.answers = False
    await until_ended(task)
    assert stream.now == 0


async def test_a_view_nobody_knows_runs_nothing(session: Session) -> None:
    views = LiveViews()
    await views.serve(session, {"kind": "no such"}, UTC, "tab", Socket())
    assert views.active == 0


async def test_an_ended_backend_session_ends_the_session_here(session: Session) -> None:
    async def refused(session: Session, view: View, zone: tzinfo, push: Push) -> None:
        raise ApiError(401, "revoked")

    views = LiveViews()
    views.add("view", refused)
    await until_ended(asyncio.create_task(views.serve(session, {"kind": "view"}, UTC, "tab", Socket())))
    assert session.ended.is_set()


async def test_a_lost_backend_is_said_and_tried_again(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "RETRY_S", 0.01)
    tries = 0
    recovered = asyncio.Event()

    async def flaky(session: Session, view: View, zone: tzinfo, push: Push) -> None:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise BackendUnreachableError("no answer")
        push("shown", children="data")
        recovered.set()
        await asyncio.Event().wait()

    views, socket = LiveViews(), Socket()
    views.add("view", flaky)
    task = asyncio.create_task(views.serve(session, {"kind": "view"}, UTC, "tab", socket))
    async with asyncio.timeout(5):
        await recovered.wait()
    problems = socket.values("live-problem")
    assert "does not answer" in problems[1]
    assert problems[-1] == ""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_server_that_is_gone_is_said_and_not_tried_again(session: Session) -> None:
    calls = 0

    async def gone(session: Session, view: View, zone: tzinfo, push: Push) -> None:
        nonlocal calls
        calls += 1
        raise ApiError(404, "There is no server 7.")

    views, socket = LiveViews(), Socket()
    views.add("view", gone)
    task = asyncio.create_task(views.serve(session, {"kind": "view"}, UTC, "tab", socket))
    while len(socket.values("live-problem")) < 2:
        await asyncio.sleep(0)
    assert socket.values("live-problem") == ["", "There is no server 7."]
    assert calls == 1
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_ids_that_are_mappings_go_out_as_json() -> None:
    socket = Socket()
    SocketPush(socket)({"type": "fleet-card", "server": 3}, children=[])
    assert json.loads(socket.sent[0][0]) == {"type": "fleet-card", "server": 3}


async def test_a_closed_socket_while_settling_is_no_error(session: Session) -> None:
    class Closed(Socket):
        async def get_prop(self, component_id: str, prop: str, timeout: float) -> Any:
            raise WebsocketDisconnected

    async def settling(session: Session, view: View, zone: tzinfo, push: Push) -> None:
        await push.settle()

    views, socket = LiveViews(), Closed()
    views.add("view", settling)
    task = asyncio.create_task(views.serve(session, {"kind": "view"}, UTC, "tab", socket))
    await asyncio.sleep(0.05)
    socket.is_shutdown = True
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert socket.values("live-problem") == [""]


async def test_silence_is_told_and_ends_with_the_source() -> None:
    async def source() -> Any:
        yield 1
        await asyncio.sleep(0.05)
        yield 2

    heard = [item async for item in with_silence(source(), 0.02)]
    assert heard[0] == 1
    assert heard[-1] == 2
    assert None in heard
