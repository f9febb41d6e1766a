"""A fleet on one backend with the embedded database: 2,000 simulated agents, a frame each every 5 s, for 3 minutes.

Prints frames lost and stored twice (from the stored rows), the time from sending a frame to its acknowledgement, and
the memory of the backend's and the database's processes. The load generator shares the machine.
"""

import argparse
import asyncio
import random
import time

import psutil

from benchmarks.environment import describe_machine, fresh_settings, percentile, table
from benchmarks.simulated_agents import SimulatedAgent, ledger
from chatops_backend.database.open import open_database
from chatops_backend.settings import Settings
from tests.stack import Backend, running_backend

INTERVAL_S = 5.0
ACK_P99_LIMIT_S = 2.0
MEMORY_LIMIT_MB = 400.0


class Fleet:
    def __init__(self, backend: Backend, size: int) -> None:
        self.keys = [backend.add_server(f"host-{number:04d}") for number in range(size)]
        self.agents = [SimulatedAgent(backend.agents_url, key, "fleet", INTERVAL_S) for _, key in self.keys]
        self._random = random.Random(1)
        self._tasks: list[asyncio.Task[None]] = []

    async def run(self, seconds: float) -> list[float]:
        """Produce for `seconds` after everybody is connected, then drain; return the acknowledgement times."""
        for number, agent in enumerate(self.agents):
            self._tasks.append(asyncio.create_task(agent.run()))
            if number % 20 == 19:
                await asyncio.sleep(0.1)
        while any(agent.connections == 0 for agent in self.agents):
            await asyncio.sleep(0.1)
        end = time.monotonic() + seconds
        producers = [
            asyncio.create_task(self._produce(agent, server_id, end))
            for agent, (server_id, _) in zip(self.agents, self.keys, strict=True)
        ]
        await asyncio.gather(*producers)
        await asyncio.wait_for(asyncio.gather(*(agent.drained() for agent in self.agents)), 120)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        return [second for agent in self.agents for second in agent.ack_seconds]

    async def _produce(self, agent: SimulatedAgent, server_id: int, end: float) -> None:
        due = time.monotonic() + self._random.uniform(0, INTERVAL_S)
        while due < end:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            agent.produce(server_id)
            due += INTERVAL_S


async def watch_memory(pid: int, peaks: dict[str, float]) -> None:
    """Keep the greatest resident memory, in MB, of the backend's process and of the database it runs."""
    backend = psutil.Process(pid)
    while True:
        peaks["backend"] = max(peaks["backend"], backend.memory_info().rss / 1e6)
        children = sum(child.memory_info().rss for child in backend.children(recursive=True)) / 1e6
        peaks["database"] = max(peaks["database"], children)
        await asyncio.sleep(1)


async def measure(settings: Settings, size: int, seconds: float) -> list[list[str]]:
    peaks = {"backend": 0.0, "database": 0.0}
    with running_backend(settings) as backend:
        fleet = Fleet(backend, size)
        watcher = asyncio.create_task(watch_memory(backend.program.process.pid, peaks))
        acks = await fleet.run(seconds)
        watcher.cancel()
    produced = {server_id: agent.sequence for agent, (server_id, _) in zip(fleet.agents, fleet.keys, strict=True)}
    async with open_database(settings) as database:
        counts = await ledger(database.fetch, list(produced), produced)
    frames = sum(produced.values())
    return [
        ["frames acknowledged", f"{frames:,}", ""],
        ["frames lost", str(counts["lost"]), "0"],
        ["frames stored twice", str(counts["duplicated"]), "0"],
        ["frames wrong", str(counts["wrong"]), "0"],
        ["acknowledgement p50", f"{percentile(acks, 0.5) * 1000:,.0f} ms", ""],
        ["acknowledgement p99", f"{percentile(acks, 0.99) * 1000:,.0f} ms", f"≤ {ACK_P99_LIMIT_S * 1000:,.0f} ms"],
        ["acknowledgement max", f"{max(acks) * 1000:,.0f} ms", ""],
        ["backend memory, peak", f"{peaks['backend']:,.0f} MB", f"≤ {MEMORY_LIMIT_MB:,.0f} MB"],
        ["database memory, peak", f"{peaks['database']:,.0f} MB", ""],
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agents", type=int, default=2000, help="how many agents (%(default)s)")
    parser.add_argument("--seconds", type=float, default=180, help="how long they send (%(default)s)")
    arguments = parser.parse_args()
    print(describe_machine())
    print(
        f"{arguments.agents:,} agents, a frame each every {INTERVAL_S:g} s, {arguments.seconds:g} s, embedded database"
    )
    with fresh_settings(None) as settings:
        rows = asyncio.run(measure(settings, arguments.agents, arguments.seconds))
    print(table(["figure", "measured", "limit"], rows))


if __name__ == "__main__":
    main()
