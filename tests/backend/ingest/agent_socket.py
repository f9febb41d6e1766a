"""An agent's end of the socket, for tests that send what no agent would."""

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from chatops_protocol.agent_messages import (
    FramesStored,
    Layout,
    RowsRefused,
    ToAgent,
    Welcome,
    decode_to_agent_json,
    decode_to_agent_msgpack,
)
from tests.stack import Backend

WITHIN_S = 20.0
LAYOUT: Layout = {
    "host": ["cpu_percent", "load_1m"],
    "cpu": ["core", "cpu_percent"],
    "log": ["time", "source", "level", "message"],
}

encode_msgpack: Callable[[Any], bytes] = msgspec.msgpack.encode


def encode_json(message: Any) -> str:
    return msgspec.json.encode(message).decode()


def authenticate(key: str, stream: str, **changes: Any) -> dict[str, Any]:
    return {"type": "auth", "api_key": key, "stream": stream, "layouts": {1: LAYOUT}} | changes


def samples(sequence: int, *cpu_percents: Any, **changes: Any) -> dict[str, Any]:
    rows = {"host": [[value, None] for value in cpu_percents]} if cpu_percents else {}
    return {"type": "samples", "sequence": sequence, "time": time.time(), "layout": 1, "rows": rows} | changes


def new_stream() -> str:
    return secrets.token_hex(8)


class AgentSocket:
    """Encodes dicts, decodes answers; what was refused is kept in `refused`, in the order it came."""

    def __init__(self, socket: ClientConnection, encode: Callable[[Any], bytes | str]) -> None:
        self.socket = socket
        self.refused: list[RowsRefused] = []
        self._encode = encode

    async def send(self, message: Any) -> None:
        await self.socket.send(self._encode(message))

    async def receive(self) -> ToAgent:
        async with asyncio.timeout(WITHIN_S):
            message = await self.socket.recv()
        return decode_to_agent_json(message) if isinstance(message, str) else decode_to_agent_msgpack(message)

    async def welcomed(self) -> Welcome:
        answer = await self.receive()
        assert isinstance(answer, Welcome)
        return answer

    async def stored(self, sequence: int) -> None:
        """Return when the backend says that everything up to `sequence` is stored, and nothing beyond."""
        async with asyncio.timeout(WITHIN_S):
            while True:
                answer = await self.receive()
                if isinstance(answer, RowsRefused):
                    self.refused.append(answer)
                else:
                    assert isinstance(answer, FramesStored)
                    assert answer.sequence <= sequence
                    if answer.sequence == sequence:
                        return

    async def close_code(self, within_s: float = WITHIN_S) -> int | None:
        async with asyncio.timeout(within_s):
            with contextlib.suppress(ConnectionClosed):
                while True:
                    await self.socket.recv()
        return self.socket.close_code


@contextlib.asynccontextmanager
async def opened(backend: Backend, encode: Callable[[Any], bytes | str] = encode_msgpack) -> AsyncIterator[AgentSocket]:
    """A socket that has not said anything yet."""
    async with connect(backend.agents_url, compression=None, max_size=None, proxy=None, open_timeout=30) as socket:
        yield AgentSocket(socket, encode)


@contextlib.asynccontextmanager
async def welcomed(
    backend: Backend,
    key: str,
    stream: str | None = None,
    encode: Callable[[Any], bytes | str] = encode_msgpack,
    **changes: Any,
) -> AsyncIterator[AgentSocket]:
    async with opened(backend, encode) as agent:
        await agent.send(authenticate(key, stream or new_stream(), **changes))
        await agent.welcomed()
        yield agent


def stored_values(backend: Backend, server_id: int, metric: str = "host.cpu_percent", **labels: str) -> list[float]:
    """Every stored value of one series in the order of time: raw rows, so that one stored twice is there twice."""
    query = {
        "metric": metric,
        "start": (datetime.now(UTC) - timedelta(hours=1)).isoformat(),
        "end": (datetime.now(UTC) + timedelta(hours=1)).isoformat(),
        "points": "10000",
        "labels": encode_json(labels),
    }
    answer = backend.call("GET", f"/metrics/{server_id}/history", params=query).raise_for_status().json()
    assert answer["tier"] == "raw"
    return [value for series in answer["series"] for value in series["avg"] if value is not None]


def metric_value(backend: Backend, line: str) -> float:
    """What ``/metrics`` counts under a name with its labels, as it stands there; 0 when it is not there yet."""
    text = httpx.get(f"{backend.url}/metrics", trust_env=False, timeout=30).raise_for_status().text
    return next((float(found.rpartition(" ")[2]) for found in text.splitlines() if found.startswith(f"{line} ")), 0.0)
