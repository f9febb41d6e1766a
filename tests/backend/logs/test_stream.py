"""``/ws/logs/{server_id}``: every new line once, filtered as the history is; a slow reader holds up nobody."""

import asyncio
import contextlib
import secrets
import socket as sockets
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

import httpx
import msgspec
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from chatops_backend.database.interface import Database
from chatops_backend.live.logs import MOST_LINES, LineFilter, LogTail
from chatops_protocol.live_messages import LogLines, decode_to_person
from chatops_protocol.log_lines import LogLine
from tests.backend.logs.log_sending import logging_agent
from tests.conftest import ADMIN_PASSWORD
from tests.stack import Backend

pytestmark = pytest.mark.anyio

WITHIN_S = 30.0


@contextlib.asynccontextmanager
async def watching(
    backend: Backend, server_id: int, token: str | None = None, query: dict[str, str] | None = None, **options: Any
) -> AsyncIterator[ClientConnection]:
    address = f"ws://127.0.0.1:{backend.settings.port}/api/v1/ws/logs/{server_id}"
    if query:
        address += f"?{urlencode(query)}"
    async with connect(address, compression=None, max_size=None, proxy=None, **options) as socket:
        first = {"type": "auth", "access_token": token or backend.headers()["Authorization"].split()[1]}
        await socket.send(msgspec.json.encode(first).decode())
        yield socket


async def until_watched(backend: Backend, count: int) -> None:
    line = f'chatops_live_sockets{{kind="logs"}} {float(count)}'
    async with asyncio.timeout(WITHIN_S), httpx.AsyncClient(trust_env=False, timeout=30) as client:
        while line not in (await client.get(f"{backend.url}/metrics")).text:
            await asyncio.sleep(0.02)


async def seen(socket: ClientConnection, until: str) -> list[LogLine]:
    """Hosts' lines until one has that message."""
    lines: list[LogLine] = []
    async with asyncio.timeout(WITHIN_S):
        while not lines or lines[-1].message != until:
            message = decode_to_person(await socket.recv())
            assert isinstance(message, LogLines)
            lines += [line for line in message.lines if line.source != "chatops"]
    return lines


async def close_code(socket: ClientConnection, within_s: float = WITHIN_S) -> int | None:
    async with asyncio.timeout(within_s):
        with contextlib.suppress(ConnectionClosed):
            while True:
                await socket.recv()
    return socket.close_code


def texts(lines: list[LogLine]) -> list[str]:
    return [line.message for line in lines]


async def test_new_lines_come_once_and_in_order(backend, new_server) -> None:
    (server_id, key), (_, other_key) = new_server(), new_server()
    async with logging_agent(backend, key) as agent, logging_agent(backend, other_key) as other:
        await agent.send("before")
        async with watching(backend, server_id) as socket:
            await until_watched(backend, 1)
            for n in range(10):
                await agent.send(*(f"{n}.{m}" for m in range(10)))
                await other.send("of another server")
            await agent.send("end")
            lines = await seen(socket, "end")
    assert texts(lines) == [*(f"{n}.{m}" for n in range(10) for m in range(10)), "end"]
    assert [line.id for line in lines] == sorted(line.id for line in lines)


async def test_history_read_after_the_first_message_joins_without_a_gap(backend, new_server) -> None:
    server_id, key = new_server()
    async with logging_agent(backend, key) as agent:
        await agent.send("before")
        async with watching(backend, server_id) as socket, asyncio.timeout(WITHIN_S):
            first = decode_to_person(await socket.recv())
            assert (first.lines, first.incomplete) == ([], False)
            await agent.send("at once")
            assert texts(await seen(socket, "at once")) == ["at once"]


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ({"level": "warning"}, ["disk is full", "end"]),
        ({"source": "a.log"}, ["hello", "disk is full", "end"]),
        ({"search": "disk or end"}, ["disk is full", "disk is fine", "end"]),
        ({"search": "disk or end", "level": "error", "source": "a.log"}, ["disk is full", "end"]),
    ],
)
async def test_the_filter_is_that_of_the_history(backend, new_server, query, shown) -> None:
    server_id, key = new_server()
    now = time.time()
    async with logging_agent(backend, key) as agent, watching(backend, server_id, query=query) as socket:
        await until_watched(backend, 1)
        await agent.send([now, "a.log", "info", "hello"], [now, "a.log", "error", "disk is full"])
        await agent.send([now, "b.log", None, "disk is fine"], [now, "a.log", "critical", "end"])
        assert texts(await seen(socket, "end")) == shown


async def test_what_happens_to_the_server_comes_too(backend, new_server) -> None:
    server_id, key = new_server()
    async with watching(backend, server_id, query={"source": "chatops"}) as socket:
        await until_watched(backend, 1)
        async with logging_agent(backend, key):
            pass
        told: list[str] = []
        async with asyncio.timeout(WITHIN_S):
            while len(told) < 2:
                told += texts(decode_to_person(await socket.recv()).lines)
    assert told[0].startswith("agent connected")
    assert told[1].startswith("agent disconnected")


@pytest.mark.parametrize(
    ("query", "code"), [({"level": "loud"}, None), ({"search": "---"}, 4400), ({"search": "x" * 501}, None)]
)
async def test_a_filter_that_cannot_be_closes_the_socket(backend, new_server, query, code) -> None:
    server_id, _ = new_server()
    async with watching(backend, server_id, query=query) as socket:
        closed = await close_code(socket)
        assert closed is not None
        assert closed >= 4000
        assert code in (None, closed)
    assert "Traceback" not in backend.program.log.read_text()


async def test_a_server_that_does_not_exist_closes_the_socket(backend) -> None:
    for server_id in (2_000_000_000, 2**40):
        async with watching(backend, server_id) as socket:
            assert await close_code(socket) == 4404


async def test_the_end_of_a_session_closes_its_socket(backend, new_server) -> None:
    server_id, _ = new_server()
    login = {"username": "admin", "password": ADMIN_PASSWORD}
    tokens = httpx.post(f"{backend.url}/api/v1/auth/login", json=login, trust_env=False).json()
    async with watching(backend, server_id, tokens["access_token"]) as socket:
        await until_watched(backend, 1)
        httpx.post(
            f"{backend.url}/api/v1/auth/logout", json={"refresh_token": tokens["refresh_token"]}, trust_env=False
        ).raise_for_status()
        assert await close_code(socket, 5) == 4401


async def test_a_reader_that_does_not_read_gets_the_newest_later_and_holds_up_nobody(backend, new_server) -> None:
    server_id, key = new_server()
    batches, width = 14, 300
    with sockets.socket() as small:
        small.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
        small.connect(("127.0.0.1", backend.settings.port))
        small.setblocking(False)
        async with (
            watching(backend, server_id, max_queue=1, sock=small, close_timeout=1) as slow,
            watching(backend, server_id) as fast,
            logging_agent(backend, key) as agent,
        ):
            await until_watched(backend, 2)
            slow.transport.pause_reading()
            for n in range(batches):
                await agent.send(*(f"{n}.{m} " + "x" * 3_000 for m in range(width - 1)), f"end {n}")
                await seen(fast, f"end {n}")
            slow.transport.resume_reading()
            incomplete, got = False, 0
            async with asyncio.timeout(WITHIN_S):
                while True:
                    message = decode_to_person(await slow.recv())
                    got += len(message.lines)
                    incomplete = incomplete or message.incomplete
                    assert len(message.lines) <= MOST_LINES
                    if message.lines and message.lines[-1].message == f"end {batches - 1}":
                        break
    assert incomplete
    assert got < batches * width


async def test_a_line_that_is_committed_after_one_with_a_higher_id_is_not_missed(database: Database) -> None:
    server_id = await database.fetchval(
        "INSERT INTO chatops.servers (name) VALUES ($1) RETURNING id", f"late-{secrets.token_hex(4)}"
    )
    tail = LogTail(database)
    watcher = await tail.watch(server_id, LineFilter())
    shown: list[str] = []

    async def store(identifier: int, message: str) -> None:
        await database.execute(
            "INSERT INTO chatops.logs (time, server_id, id, source, message) "
            "OVERRIDING SYSTEM VALUE VALUES (now(), $1, $2, 'x', $3)",
            server_id,
            identifier,
            message,
        )

    async def look() -> None:
        found = await watcher._look()
        shown.extend(texts(found.lines) if found is not None else [])

    for identifier, message in ((1_000_002, "second"), (1_000_001, "first"), (1_000_003, "third")):
        await store(identifier, message)
        await look()
        await look()
    assert shown == ["second", "first", "third"]
    tail.unwatch(watcher)
