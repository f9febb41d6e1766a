"""Backlog ingest: WebSocket → committed rows, 20 simulated agents with full frames, against the bare writer statement.

Both store the same rows in the same database in the same run: first the statements alone, called from Python on
prepared columns in batches as large as the writer's, then the whole way through sockets, decoding, checks and marks.
"""

import argparse
import asyncio
import statistics
import time
from datetime import UTC, datetime

from benchmarks.environment import databases, describe_machine, fresh_settings, table
from benchmarks.simulated_agents import LAYOUT, ROWS_PER_FULL_FRAME, VALUES_PER_FULL_FRAME, SimulatedAgent, frame
from chatops_backend.database.interface import Database
from chatops_backend.database.migrations import migrate
from chatops_backend.database.open import open_database
from chatops_backend.ingest.frame import ROW_OVERHEAD_BYTES, Frame
from chatops_backend.ingest.rows import readers_for
from chatops_backend.ingest.writer import MAX_BATCH_BYTES, tables_of
from chatops_backend.settings import Settings
from chatops_protocol.agent_messages import encode_msgpack
from tests.stack import running_backend

AGENTS = 20
REQUIRED_SHARE = 0.5


class _Nobody:
    def acknowledge(self, sequence: int) -> None: ...

    def refuse_frame(self, sequence: int, detail: str) -> None: ...

    def mark_is_gone(self) -> None: ...


async def bare_rows_per_second(database: Database, server_ids: list[int], frames: int, start: float) -> float:
    """Rows per second of the insert statements alone, the columns made beforehand."""
    readers, _ = readers_for(LAYOUT)
    nobody = _Nobody()
    prepared: list[Frame] = []
    for sequence in range(1, frames + 1):
        for server_id in server_ids:
            samples = frame(server_id, sequence, start + sequence, full=True)
            rows = {name: (readers[name], [tuple(row) for row in sent]) for name, sent in samples.rows.items()}
            size = len(encode_msgpack(samples)) + ROW_OVERHEAD_BYTES * ROWS_PER_FULL_FRAME
            at = datetime.fromtimestamp(samples.time, UTC)
            prepared.append(Frame(nobody, server_id, "bare", sequence, at, rows, size))
    per_batch = max(1, MAX_BATCH_BYTES // prepared[0].size)
    batches = [tables_of(prepared[at : at + per_batch]) for at in range(0, len(prepared), per_batch)]
    del prepared
    began = time.perf_counter()
    for batch in batches:
        async with database.transaction() as transaction:
            for name, (columns, values) in batch.items():
                await transaction.insert_columns(name, columns, values)
    return frames * len(server_ids) * ROWS_PER_FULL_FRAME / (time.perf_counter() - began)


async def through_sockets(url: str, keys: list[tuple[int, str]], frames: int, start: float) -> float:
    """Rows per second from the first byte sent to the last acknowledgement received."""
    agents = [SimulatedAgent(url, key, "backlog") for _, key in keys]
    for agent, (server_id, _) in zip(agents, keys, strict=True):
        for sequence in range(1, frames + 1):
            agent.produce(server_id, start + sequence, full=True)
    began = time.perf_counter()
    tasks = [asyncio.create_task(agent.run()) for agent in agents]
    await asyncio.gather(*(agent.drained() for agent in agents))
    seconds = time.perf_counter() - began
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return frames * len(agents) * ROWS_PER_FULL_FRAME / seconds


async def run(settings: Settings, frames: int) -> tuple[float, float]:
    start = time.time() - 3600 - frames
    async with open_database(settings) as database:
        await migrate(database)
        bare = await bare_rows_per_second(database, list(range(900_001, 900_001 + AGENTS)), frames, start)
    with running_backend(settings) as backend:
        keys = [backend.add_server(f"backlog {number}") for number in range(AGENTS)]
        whole = await through_sockets(backend.agents_url, keys, frames, start)
    return bare, whole


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=300, help="frames per agent (%(default)s)")
    parser.add_argument("--runs", type=int, default=3, help="runs, of which the median counts (%(default)s)")
    arguments = parser.parse_args()
    print(describe_machine())
    rows = []
    for name, database_url in databases():
        results = []
        for _ in range(arguments.runs):
            with fresh_settings(database_url) as settings:
                results.append(asyncio.run(run(settings, arguments.frames)))
        bare = statistics.median(result[0] for result in results)
        whole = statistics.median(result[1] for result in results)
        share = statistics.median(result[1] / result[0] for result in results)
        values = whole / ROWS_PER_FULL_FRAME * VALUES_PER_FULL_FRAME
        rows.append(
            [name, f"{bare:,.0f}", f"{whole:,.0f}", f"{values:,.0f}", f"{share:.0%}", f"≥ {REQUIRED_SHARE:.0%}"]
        )
    print(table(["database", "bare rows/s", "WebSocket rows/s", "values/s", "share", "limit"], rows))


if __name__ == "__main__":
    main()
