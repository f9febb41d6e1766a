"""People's live sockets of a running backend, fed by agents: what is shown is what is stored."""

import asyncio
import contextlib
import secrets
import socket as sockets
import time
from collections.abc import AsyncIterator

import httpx
import msgspec
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from benchmarks.simulated_agents import SimulatedAgent, value
from chatops_protocol.live_messages import FleetEntry, FleetState, ServerSamples, decode_to_person
from tests.backend.ingest.agent_socket import samples, welcomed
from tests.conftest import ADMIN_PASSWORD
from tests.stack import Backend

pytestmark = pytest.mark.anyio

WITHIN_S = 30.0


@contextlib.asynccontextmanager
async def watching(backend: Backend, path: str, token: str | None = None, **options) -> AsyncIterator[ClientConnection]:
    address = f"ws://127.0.0.1:{backend.settings.port}/api/v1/ws/{path}"
    async with connect(address, compression=None, max_size=None, proxy=None, **options) as socket:
        token = token or (await asyncio.to_thread(log_in, backend))["access_token"]
        await socket.send(msgspec.json.encode({"type": "auth", "access_token": token}).decode())
        yield socket


def log_in(backend: Backend) -> dict[str, str]:
    login = {"username": "admin", "password": ADMIN_PASSWORD}
    answer = httpx.post(f"{backend.url}/api/v1/auth/login", json=login, trust_env=False, timeout=30)
    tokens: dict[str, str] = answer.raise_for_status().json()
    return tokens


async def received(socket: ClientConnection) -> ServerSamples | FleetState:
    async with asyncio.timeout(WITHIN_S):
        return decode_to_person(await socket.recv())


async def close_code(socket: ClientConnection, within_s: float = WITHIN_S) -> int | None:
    async with asyncio.timeout(within_s):
        with contextlib.suppress(ConnectionClosed):
            while True:
                await socket.recv()
    return socket.close_code


@contextlib.asynccontextmanager
async def running_agent(
    backend: Backend, server: tuple[int, str] | None = None
) -> AsyncIterator[tuple[int, SimulatedAgent]]:
    server_id, key = server or backend.add_server(f"live-{secrets.token_hex(4)}")
    agent = SimulatedAgent(backend.agents_url, key, secrets.token_hex(8))
    running = asyncio.create_task(agent.run())
    try:
        yield server_id, agent
    finally:
        running.cancel()
        await asyncio.wait([running])


async def test_what_is_shown_is_what_is_stored(backend) -> None:
    async with running_agent(backend) as (server_id, agent), watching(backend, f"metrics/{server_id}") as socket:
        await until_watched(backend, "metrics", 1)
        for sequence in (1, 2, 3):
            before = time.time()
            agent.produce(server_id)
            shown = await received(socket)
            assert isinstance(shown, ServerSamples)
            assert shown.server_id == server_id
            assert shown.measurements["host"]["cpu_percent"] == value(server_id, sequence, 0)
            assert before - 1 <= shown.collected_at <= shown.committed_at <= time.time() + 1
            latest = backend.call("GET", f"/metrics/{server_id}/latest").raise_for_status().json()
            assert shown.measurements["host"] == latest["host"]
            for name in ("cpu", "filesystem", "disk", "network"):
                assert sorted(map(str, shown.measurements[name])) == sorted(map(str, latest[name]))
            assert shown.measurements.keys() == {name for name, rows in latest.items() if rows and name != "time"}


async def until_watched(backend: Backend, kind: str, sockets_open: int) -> None:
    """A watcher sees what is committed after the backend has let it in, which it does not say."""
    line = f'chatops_live_sockets{{kind="{kind}"}} {float(sockets_open)}'
    async with asyncio.timeout(WITHIN_S), httpx.AsyncClient(trust_env=False, timeout=30) as client:
        while line not in (await client.get(f"{backend.url}/metrics")).text:
            await asyncio.sleep(0.02)


async def test_one_servers_watcher_sees_nothing_of_another(backend) -> None:
    async with (
        running_agent(backend) as (first_id, first),
        running_agent(backend) as (second_id, second),
        watching(backend, f"metrics/{first_id}") as socket,
    ):
        await until_watched(backend, "metrics", 1)
        for _ in range(3):
            second.produce(second_id)
        await asyncio.wait_for(second.drained(), WITHIN_S)
        first.produce(first_id)
        shown = await received(socket)
        assert isinstance(shown, ServerSamples)
        assert shown.server_id == first_id


@pytest.mark.parametrize("server_id", [2_000_000_000, 2**31, 2**63, 10**30, 0])
async def test_a_server_that_does_not_exist_closes_the_socket(backend, server_id) -> None:
    async with watching(backend, f"metrics/{server_id}") as socket:
        assert await close_code(socket) == 4404
    assert "Traceback" not in backend.program.log.read_text()


@pytest.mark.parametrize("path", ["metrics/1", "fleet"])
async def test_who_is_not_logged_in_sees_nothing(backend, path) -> None:
    _, key = backend.add_server(f"live-{secrets.token_hex(4)}")
    for token in ("", "x", key, log_in(backend)["refresh_token"]):
        async with watching(backend, path, token or "none") as socket:
            with pytest.raises(ConnectionClosed):
                await received(socket)
            assert socket.close_code == 4401


@pytest.mark.parametrize("path", ["metrics/1", "fleet"])
async def test_another_origin_is_refused_before_accepting(backend, path) -> None:
    for origin in ("http://evil.example", "null", f"http://127.0.0.1:{backend.settings.port}"):
        with pytest.raises(InvalidStatus) as refused:
            async with watching(backend, path, origin=origin):
                pass
        assert refused.value.response.status_code == 403
    async with watching(backend, "fleet", origin=backend.settings.origins[0]) as socket:
        assert isinstance(await received(socket), FleetState)


@pytest.mark.parametrize("path", ["metrics", "fleet"])
async def test_the_end_of_a_session_closes_its_sockets(backend, path) -> None:
    tokens = await asyncio.to_thread(log_in, backend)
    server_id, _ = backend.add_server(f"live-{secrets.token_hex(4)}")
    address = f"metrics/{server_id}" if path == "metrics" else path
    async with watching(backend, address, tokens["access_token"]) as socket, watching(backend, address) as other:
        await until_watched(backend, path, 2)
        body = {"refresh_token": tokens["refresh_token"]}
        httpx.post(f"{backend.url}/api/v1/auth/logout", json=body, trust_env=False).raise_for_status()
        assert await close_code(socket, 5) == 4401
        with pytest.raises(TimeoutError):
            await close_code(other, 0.2)


FRAMES, CORES = 30, 4_000


async def test_a_reader_that_does_not_read_gets_the_newest_later_and_holds_up_nobody(backend) -> None:
    server_id, key = backend.add_server(f"live-{secrets.token_hex(4)}")
    rows = [f"core-{core:060}" for core in range(CORES)]
    path = f"metrics/{server_id}"
    with sockets.socket() as small:
        small.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
        small.connect(("127.0.0.1", backend.settings.port))
        small.setblocking(False)
        async with (
            watching(backend, path, max_queue=1, sock=small, close_timeout=1) as slow,
            watching(backend, path) as fast,
            welcomed(backend, key, layouts={1: {"cpu": ["core", "cpu_percent"]}}) as agent,
        ):
            await until_watched(backend, "metrics", 2)
            slow.transport.pause_reading()
            for sequence in range(1, FRAMES + 1):
                await agent.send(samples(sequence, rows={"cpu": [[core, float(sequence)] for core in rows]}))
                await agent.stored(sequence)
                assert await newest_core(fast) == sequence
            slow.transport.resume_reading()
            seen = [await newest_core(slow)]
            while seen[-1] != FRAMES:
                seen.append(await newest_core(slow))
    assert seen == sorted(set(seen))
    assert len(seen) < FRAMES


async def newest_core(socket: ClientConnection) -> float:
    shown = await received(socket)
    assert isinstance(shown, ServerSamples)
    values = {core["cpu_percent"] for core in shown.measurements["cpu"]}
    assert len(shown.measurements["cpu"]) == CORES
    assert len(values) == 1
    return float(values.pop())


class FleetReader:
    """The fleet as somebody sees it who only follows the messages."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self.servers: dict[int, FleetEntry] = {}

    async def until_shows(self, server_id: int, **expected: object) -> FleetEntry:
        while True:
            entry = self.servers.get(server_id)
            if entry is not None and all(getattr(entry, name) == wanted for name, wanted in expected.items()):
                return entry
            await self._take()

    async def until_vanished(self, server_id: int) -> None:
        while server_id in self.servers:
            await self._take()

    async def _take(self) -> None:
        state = await received(self._socket)
        assert isinstance(state, FleetState)
        if state.complete:
            self.servers = {}
        self.servers |= {entry.server_id: entry for entry in state.servers}


async def test_the_fleet_shows_servers_come_report_and_go(backend) -> None:
    quiet, _ = backend.add_server(f"live-{secrets.token_hex(4)}")
    async with asyncio.timeout(60), watching(backend, "fleet") as socket:
        fleet = FleetReader(socket)
        assert (await fleet.until_shows(quiet)).status == "never"
        added = backend.add_server(f"live-{secrets.token_hex(4)}")
        entry = await fleet.until_shows(added[0], status="never")
        assert (entry.cpu_percent, entry.last_seen) == (None, None)
        async with running_agent(backend, added) as (server_id, agent):
            for sequence in (1, 2):
                agent.produce(server_id)
                await asyncio.wait_for(agent.drained(), WITHIN_S)
                entry = await fleet.until_shows(server_id, status="online", cpu_percent=value(server_id, sequence, 0))
            latest = backend.call("GET", f"/metrics/{server_id}/latest").json()
            assert entry.memory_used_percent == latest["host"]["memory_used_percent"]
            fullest = max(latest["filesystem"], key=lambda row: row["used_percent"])
            assert entry.fullest_used_percent == fullest["used_percent"]
            assert entry.last_seen is not None
            assert abs(entry.last_seen - time.time()) < 30
            backend.call("PATCH", f"/servers/{server_id}", json={"name": f"renamed-{server_id}", "tags": ["a"]})
            await fleet.until_shows(server_id, name=f"renamed-{server_id}", tags=["a"])
            backend.call("DELETE", f"/servers/{server_id}").raise_for_status()
            await fleet.until_vanished(server_id)
            assert fleet.servers[quiet].status == "never"


async def test_a_new_watcher_of_the_fleet_gets_all_of_it_at_once(backend) -> None:
    async with running_agent(backend) as (server_id, agent):
        agent.produce(server_id)
        await asyncio.wait_for(agent.drained(), WITHIN_S)
        for _ in range(2):
            async with watching(backend, "fleet") as socket:
                state = await received(socket)
                assert isinstance(state, FleetState)
                assert state.complete
                shown = {entry.server_id: entry for entry in state.servers}[server_id]
                assert (shown.status, shown.cpu_percent) == ("online", value(server_id, 1, 0))
