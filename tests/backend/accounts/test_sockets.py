"""WebSockets of people behind a real server: origin, first message, and the end of the session."""

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import AsyncIterator

import httpx
import pytest
import websockets

from chatops_backend.accounts import sockets
from chatops_backend.accounts.service import STATE_KEY

pytestmark = pytest.mark.anyio

OTHERS = [
    "http://evil.example",
    "null",
    "http://127.0.0.1.evil.example",
    "https://localhost",
    "http://localhost",
    "file://",
    "",
]
SECRETS = ["?token={}", "?access_token={}", "?x={}", "?Authorization=Bearer%20{}", "?api_key=1"]


def address(port: int, path: str = "echo", query: str = "") -> str:
    return f"ws://127.0.0.1:{port}/api/v1/ws/{path}{query}"


@contextlib.asynccontextmanager
async def opened(port, person, path="echo", **options) -> AsyncIterator[websockets.ClientConnection]:
    async with websockets.connect(address(port, path), **options) as socket:
        await socket.send(json.dumps({"type": "auth", "access_token": person.access_token}))
        assert await socket.recv() == f"hello {person.username}"
        yield socket


async def close_code(socket: websockets.ClientConnection, within_s: float = 5.0) -> int | None:
    async with asyncio.timeout(within_s):
        with contextlib.suppress(websockets.ConnectionClosed):
            while True:
                await socket.recv()
    return socket.close_code


async def test_the_first_message_authenticates(port, viewer) -> None:
    async with opened(port, viewer) as socket:
        await socket.send("anybody there?")
        assert await socket.recv() == "anybody there?"


@pytest.mark.parametrize("path", ["echo", "agents"])
@pytest.mark.parametrize("origin", OTHERS)
async def test_pages_of_other_origins_are_refused_before_accepting(port, path, origin) -> None:
    with pytest.raises(websockets.InvalidStatus) as refused:
        await websockets.connect(address(port, path), additional_headers={"Origin": origin})
    assert refused.value.response.status_code == 403


async def test_two_origins_are_refused(port, settings) -> None:
    headers = [("Origin", settings.origins[0]), ("Origin", "http://evil.example")]
    with pytest.raises(websockets.InvalidStatus) as refused:
        await websockets.connect(address(port), additional_headers=headers)
    assert refused.value.response.status_code in (400, 403)


async def test_the_dashboards_own_pages_are_let_in(port, viewer, settings) -> None:
    for origin in settings.origins:
        async with opened(port, viewer, origin=origin):
            pass


@pytest.mark.parametrize(
    "query", ["?token={}", "?access_token={}", "?x={}", "?Authorization=Bearer%20{}", "?api_key=1"]
)
async def test_a_secret_in_the_address_is_refused_though_it_is_good(port, viewer, query) -> None:
    with pytest.raises(websockets.InvalidStatus) as refused:
        await websockets.connect(address(port, query=query.format(viewer.access_token)))
    assert refused.value.response.status_code == 403


@pytest.mark.parametrize(
    "first",
    [
        "hello",
        "{}",
        '{"type": "auth"}',
        '{"type": "auth", "access_token": null}',
        '{"type": "other", "access_token": "x"}',
        "[]",
        "null",
        '{"type": "auth", "access_token": "\\ud800"}',
        b"\x81\xa4type\xa4auth",
        '{"type": "auth", "access_token": "x", "more": ' + "[" * 60_000,
        b"",
        "",
    ],
)
async def test_anything_else_as_first_message_closes_the_socket(port, first) -> None:
    async with websockets.connect(address(port)) as socket:
        await socket.send(first)
        assert await close_code(socket) == 4401


async def test_a_first_message_over_64_kib_closes_the_socket(port, viewer) -> None:
    async with websockets.connect(address(port)) as socket:
        await socket.send(json.dumps({"type": "auth", "access_token": viewer.access_token, "filler": "x" * 65_536}))
        assert await close_code(socket) == 1009


async def test_sockets_that_never_authenticate_are_closed_within_five_seconds_or_so(port) -> None:
    async with contextlib.AsyncExitStack() as stack:
        sockets = [await stack.enter_async_context(websockets.connect(address(port))) for _ in range(20)]
        started = time.monotonic()
        codes = await asyncio.gather(*(close_code(socket, 6) for socket in sockets))
        assert set(codes) == {4401}
        assert 4 < time.monotonic() - started < 6


async def test_a_client_that_leaves_before_it_authenticates_is_no_error(port, caplog) -> None:
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            socket = await websockets.connect(address(port))
            await socket.close()
        socket = await websockets.connect(address(port))
        socket.transport.abort()
        await asyncio.sleep(0.1)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_a_role_that_is_too_low_is_told_so(port, viewer, operator) -> None:
    async with opened(port, operator, "operators"):
        pass
    async with websockets.connect(address(port, "operators")) as socket:
        await socket.send(json.dumps({"type": "auth", "access_token": viewer.access_token}))
        assert await close_code(socket) == 4403


async def end_by_logout(person, admin, anonymous, database) -> None:
    await anonymous.post("/auth/logout", json={"refresh_token": person.refresh_token})


async def end_by_misuse(person, admin, anonymous, database) -> None:
    for _ in range(2):
        await anonymous.post("/auth/refresh", json={"refresh_token": person.refresh_token})


async def end_by_disabling(person, admin, anonymous, database) -> None:
    await admin.api.patch(f"/users/{person.id}", json={"active": False})


async def end_by_lower_role(person, admin, anonymous, database) -> None:
    await admin.api.patch(f"/users/{person.id}", json={"role": "viewer"})


async def end_by_reset_password(person, admin, anonymous, database) -> None:
    await admin.api.patch(f"/users/{person.id}", json={"password": "set by the administrator"})


async def end_by_deletion(person, admin, anonymous, database) -> None:
    await admin.api.delete(f"/users/{person.id}")


async def end_by_time(person, admin, anonymous, database) -> None:
    await database.execute("UPDATE chatops.sessions SET expires_at = now() WHERE user_id = $1", person.id)


WAYS_TO_END = (
    end_by_logout,
    end_by_misuse,
    end_by_disabling,
    end_by_lower_role,
    end_by_reset_password,
    end_by_deletion,
    end_by_time,
)


# The requests go to another application object than the sockets: to another backend process, as it were.
async def test_whatever_ends_a_session_closes_its_sockets(port, new_person, admin, anonymous, database) -> None:
    async def codes_after(end) -> list[int | None]:
        person = await new_person("operator")
        async with opened(port, person, "operators") as first, opened(port, person) as second:
            await end(person, admin, anonymous, database)
            return await asyncio.gather(close_code(first), close_code(second))

    other = await new_person("operator")
    async with opened(port, other) as kept:
        codes = await asyncio.gather(*(codes_after(end) for end in WAYS_TO_END))
        names = [end.__name__ for end in WAYS_TO_END]
        assert dict(zip(names, codes, strict=True)) == {name: [4401, 4401] for name in names}
        await kept.send("still there?")
        assert await kept.recv() == "still there?"


async def test_the_same_process_closes_the_sockets_at_once(port, new_person) -> None:
    person = await new_person()
    async with opened(port, person) as socket, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/api/v1") as client:
        await client.post("/auth/logout", json={"refresh_token": person.refresh_token})
        assert await close_code(socket, 0.5) == 4401


async def test_one_person_cannot_open_sockets_without_end(port, viewer, operator, monkeypatch) -> None:
    monkeypatch.setattr(sockets, "MOST_SOCKETS", 3)
    async with contextlib.AsyncExitStack() as held:
        for _ in range(3):
            await held.enter_async_context(opened(port, viewer))
        async with websockets.connect(address(port, "echo")) as surplus:
            await surplus.send(json.dumps({"type": "auth", "access_token": viewer.access_token}))
            assert await close_code(surplus) == 1013
        async with opened(port, operator):
            pass  # everybody has their own
    async with opened(port, viewer):
        pass


async def test_a_socket_outlives_its_access_token(
    build_app, socket_handlers, serve, database, settings, new_person
) -> None:
    now = time.time()
    app = build_app(database, settings, handlers=socket_handlers, clock=lambda: now)
    person = await new_person(into=app)
    async with opened(await serve(app), person) as socket:
        now += 1000
        assert (await person.api.get("/auth/me")).status_code == 401
        # Looks at the session again, as it does from time to time.
        app.state[STATE_KEY].principals.user_changed(person.id)
        await socket.send("still there?")
        assert await socket.recv() == "still there?"
