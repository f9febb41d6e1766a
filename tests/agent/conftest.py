"""What the agent's tests share: a peer that speaks the backend's side of the protocol, real agent processes, spools."""

import asyncio
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType

import pytest
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from chatops_agent.counters import Counters
from chatops_agent.spool import Spool
from chatops_protocol import agent_messages as messages

KEY = "chatops_agent_this-is-the-canary-of-these-tests"
LAYOUT: messages.Layout = {"host": ["cpu_percent"]}


class Peer:
    """A WebSocket server in a thread. It stores every frame once, by stream and sequence, as the backend does."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.hellos: list[messages.Authenticate] = []
        self.frames: list[messages.Samples] = []
        self.marks: dict[str, int] = {}
        self.close_codes: list[int | None] = []
        self.acknowledging = True
        self.refuse_with: int | None = None
        self.answers: list[messages.ToAgent] = []  # sent after the welcome
        self._tls = tls
        self._changed = threading.Condition()
        self._sockets: set[ServerConnection] = set()
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Peer":
        self._thread.start()
        assert self._ready.wait(5)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._thread.join(10)

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://localhost:{self.port}"

    @property
    def sequences(self) -> list[int]:
        return [frame.sequence for frame in self.frames]

    def wait_until(self, condition: Callable[[], bool], within_s: float = 15.0) -> None:
        with self._changed:
            assert self._changed.wait_for(condition, within_s), "the peer waited in vain"

    def drop_connections(self, code: int = 1001) -> None:
        async def close_all() -> None:
            await asyncio.gather(*(socket.close(code) for socket in list(self._sockets)))

        asyncio.run_coroutine_threadsafe(close_all(), self._loop).result(10)

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._stopped = asyncio.Event()
        async with serve(self._agent, "127.0.0.1", 0, ssl=self._tls, max_size=messages.MAX_FRAME_BYTES) as server:
            self._server: Server = server
            self.port: int = next(iter(server.sockets)).getsockname()[1]
            self._ready.set()
            await self._stopped.wait()

    async def _stop(self) -> None:
        self._stopped.set()

    async def _agent(self, socket: ServerConnection) -> None:
        self._sockets.add(socket)
        try:
            await self._talk(socket)
        except ConnectionClosed:
            pass
        finally:
            self._sockets.discard(socket)
            with self._changed:
                self.close_codes.append(socket.close_code)
                self._changed.notify_all()

    async def _talk(self, socket: ServerConnection) -> None:
        hello = messages.decode_from_agent_msgpack(await socket.recv())
        assert isinstance(hello, messages.Authenticate)
        with self._changed:
            self.hellos.append(hello)
            self._changed.notify_all()
        if self.refuse_with is not None:
            await socket.close(self.refuse_with, "said the peer")
            return
        mark = self.marks.get(hello.stream, 0)
        await socket.send(messages.encode_msgpack(messages.Welcome(7, mark, {}, time.time())))
        for answer in self.answers:
            await socket.send(messages.encode_json(answer).decode())
        async for message in socket:
            frame = messages.decode_from_agent_msgpack(message)
            assert isinstance(frame, messages.Samples)
            with self._changed:
                if frame.sequence > self.marks.get(hello.stream, 0):
                    self.frames.append(frame)
                    self.marks[hello.stream] = frame.sequence
                self._changed.notify_all()
            if self.acknowledging:
                await socket.send(messages.encode_msgpack(messages.FramesStored(frame.sequence)))


class Agent:
    """A real agent process, one collection a second."""

    def __init__(self, url: str, spool_dir: Path, **environment: str) -> None:
        self.log_path = spool_dir.with_name(f"{spool_dir.name}-{time.monotonic_ns()}.log")
        settings = {
            "CHATOPS_API_URL": url,
            "CHATOPS_API_KEY": KEY,
            "CHATOPS_SPOOL_DIR": str(spool_dir),
            "CHATOPS_INTERVAL": "1",
        }
        with self.log_path.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "chatops_agent"], env={**os.environ, **settings, **environment}, stderr=log
            )

    @property
    def log(self) -> str:
        return self.log_path.read_text()

    def wait_for_log(self, text: str, within_s: float = 15.0) -> None:
        deadline = time.monotonic() + within_s
        while text not in self.log:
            assert time.monotonic() < deadline, f"{text!r} is not in the log:\n{self.log}"
            time.sleep(0.02)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(10)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)


@pytest.fixture
def peer() -> Iterator[Peer]:
    with Peer() as running:
        yield running


@pytest.fixture
def new_peer() -> type[Peer]:
    return Peer


@pytest.fixture
def start_agent(tmp_path: Path) -> Iterator[Callable[..., Agent]]:
    """`start_agent(url, **environment)`; agents of one test share a spool directory, one after the other."""
    started: list[Agent] = []

    def start(url: str, **environment: str) -> Agent:
        started.append(Agent(url, tmp_path / "spool", **environment))
        return started[-1]

    yield start
    for agent in started:
        if agent.process.poll() is None:
            agent.kill()
        assert KEY not in agent.log, "the key was logged"


@pytest.fixture
def counters() -> Counters:
    return Counters()


@pytest.fixture
def open_spool(tmp_path: Path, counters: Counters) -> Iterator[Callable[..., Spool]]:
    """`open_spool()` opens the spool of this test; what a test leaves open is closed."""
    opened: list[Spool] = []

    def start(
        max_bytes: int = 10_000_000, layout: messages.Layout = LAYOUT, directory: Path = tmp_path / "spool"
    ) -> Spool:
        opened.append(Spool(directory, max_bytes, layout, counters))
        return opened[-1]

    yield start
    for spool in opened:
        if not spool.closed:
            spool.close()


@pytest.fixture
def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
