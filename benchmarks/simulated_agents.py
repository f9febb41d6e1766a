"""Agents without a host: they speak the real protocol and keep a ledger. Used by benchmarks and by the kill tests.

Every value is a function of server, sequence and column, so that what is stored can be checked cell by cell.
"""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from chatops_protocol.agent_messages import (
    Authenticate,
    FramesStored,
    Layout,
    RowsRefused,
    Samples,
    Welcome,
    decode_to_agent_msgpack,
    encode_msgpack,
)
from chatops_protocol.catalog import CPU, DISK, FILESYSTEM, HOST, NETWORK, PROCESS

RECONNECT_S = 0.1
WINDOW = 64

# What a small host with 4 cores, 3 file systems, 2 disks, 2 interfaces and 20 groups of processes sends. Processes go
# with every sixth frame only, as the agent's own interval for them has it.
_SERIES = {
    HOST.name: [()],
    CPU.name: [(str(core),) for core in range(4)],
    FILESYSTEM.name: [(f"/mnt/{n}", f"/dev/vd{n}", "ext4") for n in range(3)],
    DISK.name: [(f"vd{n}",) for n in range(2)],
    NETWORK.name: [(f"eth{n}",) for n in range(2)],
    PROCESS.name: [(f"program {n}", "root") for n in range(20)],
}
_MEASUREMENTS = (HOST, CPU, FILESYSTEM, DISK, NETWORK, PROCESS)
PROCESS_EVERY = 6
LAYOUT: Layout = {m.name: list(m.columns) for m in _MEASUREMENTS}
ROWS_PER_FULL_FRAME = sum(map(len, _SERIES.values()))
VALUES_PER_FULL_FRAME = sum(len(_SERIES[m.name]) * len(m.fields) for m in _MEASUREMENTS)


def value(server_id: int, sequence: int, column: int) -> float:
    """Exact in binary, and small enough that no rule of the starting set fires."""
    return sequence / 2**14 + server_id % 64 / 2**24 + column / 2**32


def frame(server_id: int, sequence: int, at: float, *, full: bool = False) -> Samples:
    """One collection; `full` has every measurement."""
    rows = {
        m.name: [
            [*labels, *(value(server_id, sequence, column) for column in range(len(m.fields)))]
            for labels in _SERIES[m.name]
        ]
        for m in _MEASUREMENTS
        if full or m is not PROCESS or sequence % PROCESS_EVERY == 0
    }
    return Samples(sequence, at, 1, rows)


@dataclass
class SimulatedAgent:
    """One agent with a spool in memory. `produce` a frame, then `run` delivers what is not acknowledged yet.

    `ack_seconds` holds, for each frame, the time from its sending to its acknowledgement.
    """

    url: str
    api_key: str
    stream: str
    interval_s: float = 5.0
    sequence: int = 0
    acknowledged: int = 0
    connections: int = 0
    server_id: int | None = None
    refused: Counter[str] = field(default_factory=Counter)
    ack_seconds: list[float] = field(default_factory=list)
    _spool: dict[int, bytes] = field(default_factory=dict)
    _sent_at: dict[int, float] = field(default_factory=dict)
    _work: asyncio.Event = field(default_factory=asyncio.Event)
    _drained: asyncio.Event = field(default_factory=asyncio.Event)

    def produce(self, server_id: int, at: float | None = None, *, full: bool = False) -> None:
        self.sequence += 1
        self._spool[self.sequence] = encode_msgpack(frame(server_id, self.sequence, at or time.time(), full=full))
        self._drained.clear()
        self._work.set()

    async def drained(self) -> None:
        """Return when everything produced is acknowledged."""
        await self._drained.wait()

    async def run(self) -> None:
        """Deliver until cancelled, over as many connections as it takes."""
        while True:
            with contextlib.suppress(OSError, ConnectionClosed, InvalidHandshake, TimeoutError, EOFError):
                async with connect(self.url, compression=None, max_size=None, open_timeout=30, proxy=None) as socket:
                    await self._deliver(socket)
            await asyncio.sleep(RECONNECT_S)

    async def _deliver(self, socket: ClientConnection) -> None:
        await socket.send(
            encode_msgpack(Authenticate(self.api_key, self.stream, {1: LAYOUT}, "simulated", "", self.interval_s))
        )
        welcome = decode_to_agent_msgpack(await socket.recv(decode=False))
        if not isinstance(welcome, Welcome):
            raise TypeError(f"no welcome but {welcome}")
        self.server_id = welcome.server_id
        self.connections += 1
        self._acknowledge(welcome.last_sequence)
        sender = asyncio.create_task(self._send(socket))
        try:
            async for message in socket:
                answer = decode_to_agent_msgpack(message)  # type: ignore[arg-type]
                if isinstance(answer, FramesStored):
                    self._acknowledge(answer.sequence)
                elif isinstance(answer, RowsRefused):
                    self.refused[answer.reason] += answer.count
        finally:
            sender.cancel()
            await asyncio.gather(sender, return_exceptions=True)

    async def _send(self, socket: ClientConnection) -> None:
        following = self.acknowledged + 1
        while True:
            while following <= self.sequence and following - self.acknowledged <= WINDOW:
                self._sent_at[following] = time.monotonic()
                await socket.send(self._spool[following])
                following += 1
            self._work.clear()
            await self._work.wait()

    def _acknowledge(self, sequence: int) -> None:
        now = time.monotonic()
        for done in range(self.acknowledged + 1, sequence + 1):
            self._spool.pop(done, None)
            sent_at = self._sent_at.pop(done, None)
            if sent_at is not None:
                self.ack_seconds.append(now - sent_at)
        self.acknowledged = max(self.acknowledged, sequence)
        self._work.set()
        if self.acknowledged >= self.sequence:
            self._drained.set()


async def ledger(fetch: Callable[..., object], server_ids: list[int], produced: dict[int, int]) -> dict[str, int]:
    """Count, over the stored `host` rows, frames that are lost, stored twice or wrong. `produced`: last sequences."""
    counts = {"lost": 0, "duplicated": 0, "wrong": 0}
    for server_id in server_ids:
        rows = await fetch(  # type: ignore[misc]
            "SELECT cpu_percent, cpu_user_percent FROM metrics.host WHERE server_id = $1", server_id
        )
        seen = Counter(int(row["cpu_percent"] * 2**14) for row in rows)
        expected = range(1, produced[server_id] + 1)
        counts["lost"] += sum(1 for sequence in expected if sequence not in seen)
        counts["duplicated"] += sum(times - 1 for times in seen.values() if times > 1)
        counts["wrong"] += sum(1 for sequence in seen if sequence not in expected)
        for row in rows:
            sequence = int(row["cpu_percent"] * 2**14)
            right = [value(server_id, sequence, column) for column in (0, 1)]
            counts["wrong"] += [row["cpu_percent"], row["cpu_user_percent"]] != right
    return counts
