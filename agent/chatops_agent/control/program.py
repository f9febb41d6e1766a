"""Runs one program to its end: in a session of its own, its output read as it comes, and nothing of it left behind.

Called by `orders.py`. It decides nothing about whether a program may run. Whatever ends the program, what it has
started ends with it, as far as `remnants.py` finds it. To leave something running, a program has to ask the host's
service manager.
"""

import asyncio
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import IO, Any, NamedTuple

from chatops_agent.control.output import Output
from chatops_agent.control.remnants import MARK, is_of_group, left_of, send_signal, signal_group
from chatops_protocol.control_messages import EndState, Stream

GRACE_S = 5.0
READ_BYTES = 65_536
# Beyond its first MiB a program's output is read at 32 MiB/s at most: reading faster would take this host's CPU for
# bytes that nobody will see.
FREE_BYTES = 1_048_576
PAUSE_S = READ_BYTES / (32 * 1_048_576)
# What was killed ends at once, unless it hangs in the kernel.
KILLED_WITHIN_S = 5.0
# Looking at every process costs some milliseconds.
LOOK_FIRST_S, LOOK_LAST_S = 0.02, 0.25


class Program(NamedTuple):
    """What to run, and the whole environment it gets beside `MARK`."""

    argv: list[str]
    directory: str
    environment: Mapping[str, str]
    timeout_s: float


class Ending(NamedTuple):
    state: EndState
    exit_code: int | None
    detail: str


class Stop:
    """Asks a running program to end; the first reason counts."""

    def __init__(self) -> None:
        self._asked = asyncio.Event()
        self.reason = ""
        self.grace_s = GRACE_S

    def ask(self, reason: str, grace_s: float = GRACE_S) -> None:
        self.grace_s = min(self.grace_s, grace_s)
        if not self._asked.is_set():
            self.reason = reason
            self._asked.set()

    async def wait(self) -> None:
        await self._asked.wait()


async def run_program(
    program: Program, nonce: str, output: Output, on_output: Callable[[], None], stop: Stop, threads: ThreadPoolExecutor
) -> Ending:
    """Return how it ended. `threads` has room for one that waits for the program, and one for short work."""
    loop = asyncio.get_running_loop()
    try:
        # In a thread: a working directory on a dead network disk must not stop the agent.
        process = await loop.run_in_executor(threads, _start, program, nonce)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return Ending("failed", None, f"{program.argv[0]} could not be started in {program.directory}: {reason}")
    pipes: list[tuple[IO[bytes] | None, Stream]] = [(process.stdout, "stdout"), (process.stderr, "stderr")]
    readers = [_Reader(pipe, stream, output, on_output) for pipe, stream in pipes if pipe is not None]
    # A thread of its own: `threads` would be full of those that wait.
    ended = _wait_in_thread(process, loop)
    asked = asyncio.ensure_future(stop.wait())
    waited: set[asyncio.Future[Any]] = {ended, asked}
    try:
        done, _ = await asyncio.wait(waited, timeout=program.timeout_s, return_when=asyncio.FIRST_COMPLETED)
        state: EndState | None = None
        detail = ""
        if ended not in done:
            state = "cancelled" if asked in done else "timed_out"
            detail = stop.reason if asked in done else f"it was ended after {program.timeout_s:g} s"
        left = await _end_all(process, ended, nonce, stop, threads)
        if left:
            detail = f"{detail}; {left} of its processes could not be ended".lstrip("; ")
        await _drain(readers)
    finally:
        asked.cancel()
        for reader in readers:
            reader.close()
    code = process.returncode
    if state is None:
        state = "ok" if code == 0 else "failed"
        if code is not None and code < 0:
            detail = f"it was ended by {_signal_name(-code)}" + (f"; {detail}" if detail else "")
    return Ending(state, code, detail)


def _start(program: Program, nonce: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - the policy of this host has allowed it
        program.argv,
        cwd=program.directory,
        env={**program.environment, MARK: nonce},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        bufsize=0,
    )


def _wait_in_thread(process: subprocess.Popen[bytes], loop: asyncio.AbstractEventLoop) -> "asyncio.Future[int]":
    ended: asyncio.Future[int] = loop.create_future()

    def tell(code: int) -> None:
        if not ended.done():
            ended.set_result(code)

    def wait() -> None:
        code = process.wait()
        try:
            loop.call_soon_threadsafe(tell, code)
        except RuntimeError:
            pass  # the agent has ended

    threading.Thread(target=wait, name="order", daemon=True).start()
    return ended


async def _end_all(
    process: subprocess.Popen[bytes],
    ended: "asyncio.Future[int]",
    nonce: str,
    stop: Stop,
    threads: ThreadPoolExecutor,
) -> int:
    """TERM to everything of the program that is left, KILL to what is left after the grace. Return how many stay."""
    loop = asyncio.get_running_loop()
    began, pause = time.monotonic(), LOOK_FIRST_S
    termed: set[int] = set()
    told_group = not ended.done()
    if told_group:
        signal_group(process.pid, signal.SIGTERM)
    while True:
        left = set(await loop.run_in_executor(threads, left_of, process.pid, nonce))
        if ended.done() and not left:
            return 0
        for pid in left - termed:
            # Once each: some programs take a second TERM for impatience.
            if not (told_group and is_of_group(pid, process.pid)):
                send_signal(pid, signal.SIGTERM)
        termed |= left
        told_group = False
        if time.monotonic() - began >= stop.grace_s:
            break
        await asyncio.sleep(pause)
        pause = min(LOOK_LAST_S, pause * 2)
    deadline, pause = time.monotonic() + KILLED_WITHIN_S, LOOK_FIRST_S
    while True:
        if not ended.done():
            signal_group(process.pid, signal.SIGKILL)
        left = set(await loop.run_in_executor(threads, left_of, process.pid, nonce))
        if ended.done() and not left:
            return 0
        for pid in left:
            send_signal(pid, signal.SIGKILL)
        if time.monotonic() >= deadline:
            return len(left) or 1
        await asyncio.sleep(pause)
        pause = min(LOOK_LAST_S, pause * 2)


async def _drain(readers: list["_Reader"]) -> None:
    """What is in the pipes still. Somebody who may not be ended can hold one open; that is not waited for."""
    waits = [asyncio.ensure_future(reader.at_end.wait()) for reader in readers]
    await asyncio.wait(waits, timeout=10.0 if any(reader.busy for reader in readers) else 1.0)
    for wait in waits:
        wait.cancel()


class _Reader:
    """Takes what one pipe holds, in bounded pieces; pauses now and then, so that others get their turn."""

    def __init__(self, pipe: IO[bytes], stream: Stream, output: Output, on_output: Callable[[], None]) -> None:
        self.at_end = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._pipe, self._stream, self._output, self._on_output = pipe, stream, output, on_output
        self._resume: asyncio.TimerHandle | None = None
        os.set_blocking(pipe.fileno(), False)
        self._loop.add_reader(pipe.fileno(), self._read)

    @property
    def busy(self) -> bool:
        return self._resume is not None

    def close(self) -> None:
        if self._resume is not None:
            self._resume.cancel()
        if not self._pipe.closed:
            self._loop.remove_reader(self._pipe.fileno())
            self._pipe.close()
        self.at_end.set()

    def _read(self) -> None:
        self._resume = None
        try:
            data = os.read(self._pipe.fileno(), READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        self._output.put(self._stream, data)
        self._on_output()
        if self._output.written[self._stream] > FREE_BYTES and len(data) > READ_BYTES // 8:
            self._loop.remove_reader(self._pipe.fileno())
            self._resume = self._loop.call_later(PAUSE_S * len(data) / READ_BYTES, self._go_on)

    def _go_on(self) -> None:
        self._resume = None
        self._loop.add_reader(self._pipe.fileno(), self._read)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
