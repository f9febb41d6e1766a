"""Backend, database and agent are killed while readings flow: nothing acknowledged is lost, nothing is stored twice."""

import asyncio
import contextlib
import itertools
import os
import secrets
import shutil
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks.simulated_agents import SimulatedAgent, ledger
from chatops_backend.database.open import open_database
from chatops_backend.settings import Settings
from chatops_protocol.agent_messages import Samples, decode_from_agent_msgpack
from tests.conftest import free_port
from tests.faults.database_faults import frozen_database, kill_database
from tests.stack import Backend, Program

pytestmark = [pytest.mark.anyio, pytest.mark.faults]

KILLS = 5
AGENTS = 3
WITHIN_S = 60.0
PRODUCED_EVERY_S = 0.02
CLEAN = {"lost": 0, "duplicated": 0, "wrong": 0}


async def until(condition: Callable[[], bool], within_s: float = WITHIN_S) -> None:
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.02)


@dataclass
class Fleet:
    """Simulated agents that produce without pause, each for a server of its own."""

    agents: dict[int, SimulatedAgent]

    async def moves_on(self, frames: int = 20) -> None:
        """Return when each agent has got that many more acknowledgements."""
        goal = {server_id: agent.acknowledged + frames for server_id, agent in self.agents.items()}
        await until(lambda: all(agent.acknowledged >= goal[server_id] for server_id, agent in self.agents.items()))

    async def backlog(self, frames: int) -> None:
        """Return when so many frames of each agent wait for their acknowledgement."""
        await until(lambda: all(agent.sequence - agent.acknowledged >= frames for agent in self.agents.values()))


@contextlib.asynccontextmanager
async def reporting(backend: Backend) -> AsyncIterator[Fleet]:
    """Agents that report; at the end all that they produced is delivered."""
    agents: dict[int, SimulatedAgent] = {}
    for _ in range(AGENTS):
        server_id, key = backend.add_server(f"fleet-{secrets.token_hex(4)}")
        agents[server_id] = SimulatedAgent(backend.agents_url, key, secrets.token_hex(8))

    async def produce() -> None:
        while True:
            for server_id, agent in agents.items():
                agent.produce(server_id)
            await asyncio.sleep(PRODUCED_EVERY_S)

    producing = asyncio.create_task(produce())
    delivering = [asyncio.create_task(agent.run()) for agent in agents.values()]
    try:
        yield Fleet(agents)
        producing.cancel()
        async with asyncio.timeout(WITHIN_S):
            for agent in agents.values():
                await agent.drained()
        assert [task for task in delivering if task.done()] == []
    finally:
        for task in (producing, *delivering):
            task.cancel()
        await asyncio.gather(producing, *delivering, return_exceptions=True)


async def check_ledger(settings: Settings, fleet: Fleet) -> None:
    """With the backend gone, look into its database."""
    produced = {server_id: agent.sequence for server_id, agent in fleet.agents.items()}
    assert all(agent.acknowledged == agent.sequence for agent in fleet.agents.values())
    async with open_database(settings) as database:
        assert await ledger(database.fetch, list(produced), produced) == CLEAN
        marks = await database.fetch("SELECT server_id, last_sequence FROM chatops.stream_marks")
        assert {row["server_id"]: row["last_sequence"] for row in marks} == produced
    assert all(not agent.refused for agent in fleet.agents.values())


async def test_a_backend_that_is_killed_loses_nothing_and_stores_nothing_twice(backend) -> None:
    async with reporting(backend) as fleet:
        for _ in range(KILLS):
            await fleet.moves_on()
            backend.kill()
            await asyncio.to_thread(backend.start)
        await fleet.moves_on()
    assert all(agent.connections > KILLS for agent in fleet.agents.values())
    assert await asyncio.to_thread(backend.stop) == 0
    await check_ledger(backend.settings, fleet)


async def test_a_backend_outlives_its_database_and_recovers_by_itself(backend) -> None:
    process = backend.program.process
    async with reporting(backend) as fleet:
        for _ in range(KILLS):
            await fleet.moves_on()
            await kill_database(backend)
        await fleet.moves_on()
    assert process is backend.program.process
    assert await asyncio.to_thread(backend.stop) == 0
    await check_ledger(backend.settings, fleet)
    log = backend.program.log.read_text()
    assert [line for line in log.splitlines() if "Traceback" in line or " CRITICAL " in line] == []


async def test_while_the_database_is_frozen_nothing_is_acknowledged_and_afterwards_everything_is(backend) -> None:
    async with reporting(backend) as fleet, httpx.AsyncClient(trust_env=False, timeout=30) as client:
        await fleet.moves_on()
        async with frozen_database(backend):
            # When so many wait, what was on its way when the database froze has long been answered.
            await fleet.backlog(50)
            at_rest = [agent.acknowledged for agent in fleet.agents.values()]
            ready = await client.get(f"{backend.url}/ready")
            await fleet.backlog(150)
            assert [agent.acknowledged for agent in fleet.agents.values()] == at_rest
        assert ready.status_code == (503 if backend.settings.database_url is None else 200)
        await fleet.moves_on()
        assert (await client.get(f"{backend.url}/ready")).status_code == 200
    assert await asyncio.to_thread(backend.stop) == 0
    await check_ledger(backend.settings, fleet)


class SpoolSnapshot:
    """What a killed agent left on disk."""

    def __init__(self, directory: Path, copy: Path) -> None:
        shutil.copytree(directory, copy)
        (file,) = copy.glob("spool-*.sqlite3")
        self.stream = file.stem.removeprefix("spool-")
        with contextlib.closing(sqlite3.connect(file)) as spool:
            rows = spool.execute("SELECT sequence, frame FROM frames ORDER BY sequence").fetchall()
            (self.highest,) = spool.execute("SELECT highest FROM mark").fetchone()
        self.times: dict[int, float] = {}
        for sequence, data in rows:
            samples = decode_from_agent_msgpack(data)
            assert isinstance(samples, Samples)
            assert samples.sequence == sequence
            self.times[sequence] = samples.time


def newest_spooled(directory: Path) -> int | None:
    """The sequence of the newest frame in the spool of a running agent."""
    (file,) = directory.glob("spool-*.sqlite3")
    with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as spool:
        newest: int | None = spool.execute("SELECT max(sequence) FROM frames").fetchone()[0]
    return newest


def agent_environment(url: str, key: str, spool: Path) -> dict[str, str]:
    kept = {name: text for name, text in os.environ.items() if not name.startswith("CHATOPS_")}
    return kept | {
        "CHATOPS_API_URL": url,
        "CHATOPS_API_KEY": key,
        "CHATOPS_INTERVAL": "1",
        "CHATOPS_SPOOL_DIR": str(spool),
        "PYTHONUNBUFFERED": "1",
    }


async def test_an_agent_that_is_killed_keeps_what_it_spooled_and_never_reuses_a_sequence(backend, tmp_path) -> None:
    server_id, key = backend.add_server("killed-agent")
    spool = tmp_path / "spool"
    snapshots: list[SpoolSnapshot] = []

    def last_seen() -> Any:
        return backend.call("GET", f"/metrics/{server_id}/latest").json()["time"]

    async def until_it_has_more(agent: Program, count: int, look: Callable[[], Any]) -> None:
        deadline = time.monotonic() + WITHIN_S
        seen = {look()}
        while len(seen) <= count:
            assert agent.process.poll() is None, agent.log.read_text()
            assert time.monotonic() < deadline, agent.log.read_text()
            await asyncio.sleep(secrets.randbelow(300) / 1000 + 0.05)
            seen.add(look())

    for round_ in range(KILLS + 2):
        # Every other time there is nobody to deliver to, and all that is spooled can be looked at.
        reached = round_ % 2 == 0
        url = backend.url if reached else f"http://127.0.0.1:{free_port()}"
        agent = Program(["agent"], agent_environment(url, key, spool), tmp_path / "agent.log")
        try:
            await until_it_has_more(agent, 2, last_seen if reached else lambda: newest_spooled(spool))
            if round_ == KILLS + 1:
                assert agent.stop() == 0
        finally:
            agent.kill()
        snapshots.append(SpoolSnapshot(spool, tmp_path / f"copy-{round_}"))
    assert len({snapshot.stream for snapshot in snapshots}) == 1
    assert await asyncio.to_thread(backend.stop) == 0

    async with open_database(backend.settings) as database:
        rows = await database.fetch(
            "SELECT extract(epoch FROM time)::float8 AS at FROM metrics.host WHERE server_id = $1 ORDER BY 1", server_id
        )
        mark = await database.fetchval("SELECT last_sequence FROM chatops.stream_marks WHERE server_id = $1", server_id)
    stored = [row["at"] for row in rows]
    assert all(later - earlier > 0.01 for earlier, later in itertools.pairwise(stored)), "something is stored twice"

    *killed, last = snapshots
    assert any(later.times.keys() - earlier.times.keys() for earlier, later in itertools.pairwise(snapshots))
    for earlier, later in zip(killed, snapshots[1:], strict=True):
        assert max(earlier.times, default=earlier.highest) <= earlier.highest
        # What is new in the later spool was numbered after everything that the earlier one had numbered.
        assert all(sequence > earlier.highest for sequence in later.times.keys() - earlier.times.keys())
        assert later.highest > earlier.highest

    def is_stored(at: float) -> bool:
        return any(abs(at - known) < 0.001 for known in stored)

    for snapshot in snapshots:
        delivered = {sequence: at for sequence, at in snapshot.times.items() if sequence <= mark}
        assert [s for s, at in delivered.items() if not is_stored(at)] == [], "something spooled is lost"
        assert all(at <= stored[-1] + 0.001 for at in delivered.values())
    # What is beyond the mark waits in the spool, and none of it is stored already.
    waiting = {sequence: at for sequence, at in last.times.items() if sequence > mark}
    assert [s for s, at in waiting.items() if is_stored(at)] == []
    assert mark <= last.highest
    # Between two readings lies an interval, or the time in which the agent was dead and started.
    gaps = [later - earlier for earlier, later in itertools.pairwise(stored)]
    assert len([gap for gap in gaps if gap > 2.5]) <= KILLS + 1
