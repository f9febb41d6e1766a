"""What happens on one open socket: authenticate, resume, keep some frames in flight, take acknowledgements.

Called by `connection.py`. It reads frames from the spool alone, so that nothing is sent that is not on disk. Orders and
questions go to the desk; what it has to say is sent between frames, in small pieces.
"""

import asyncio
import logging
import time
from collections import deque

from msgspec import DecodeError
from websockets.asyncio.client import ClientConnection

from chatops_agent.control.desk import Desk
from chatops_agent.counters import Counters
from chatops_agent.frames import Frame
from chatops_agent.spool import Spool
from chatops_agent.worker import Worker
from chatops_protocol import agent_messages as messages

log = logging.getLogger("chatops_agent")

WELCOME_WITHIN_S = 15.0
WINDOW_FRAMES = 64
WINDOW_BYTES = 4 * 1024 * 1024
# A backend whose database stands still is waited for; one that forgot about our frames is not.
ACKNOWLEDGED_WITHIN_S = 300.0
CLOCKS_MAY_DIFFER_S = 30.0
# Sequences stay exact in JSON, and this far from the end of SQLite's integers.
HIGHEST_SEQUENCE = 2**53


class ProtocolError(Exception):
    """The other side does not speak this protocol."""


class SpoolReplacedError(Exception):
    """The spool was found damaged and replaced: the backend must be told what is in the new one."""


class Sender:
    def __init__(self, spool: Spool, counters: Counters, worker: Worker, desk: Desk) -> None:
        self._spool, self._counters, self._worker, self._desk = spool, counters, worker, desk
        self._wake = asyncio.Event()
        self._in_flight: deque[tuple[int, int]] = deque()  # sequence, size
        self._bytes_in_flight = 0
        self._progress_at = 0.0
        self.was_welcome = False

    def wake(self) -> None:
        self._wake.set()

    async def run(self, socket: ClientConnection, hello: messages.Authenticate) -> None:
        """Return or raise when the connection ended."""
        generation = self._spool.generation
        await socket.send(messages.encode_msgpack(hello))
        welcome = await self._receive_welcome(socket)
        await self._worker.run(self._spool.resume, welcome.last_sequence)
        self._in_flight.clear()
        self._bytes_in_flight = 0
        self.was_welcome = True
        log.info("connected as server %d, sending what follows sequence %d", welcome.server_id, welcome.last_sequence)
        _warn(welcome)
        await self._desk.met(welcome)
        tasks = {
            asyncio.create_task(self._send_words(socket)),
            asyncio.create_task(self._send_frames(socket, welcome.last_sequence, generation)),
            asyncio.create_task(self._take_answers(socket)),
        }
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        # If both ended, the one that takes answers knows why: it has the close code.
        for task in sorted(done, key=lambda task: task.get_coro().__name__ != "_take_answers"):  # type: ignore[union-attr]
            task.result()

    async def _receive_welcome(self, socket: ClientConnection) -> messages.Welcome:
        async with asyncio.timeout(WELCOME_WITHIN_S):
            message = _decode(await socket.recv())
        if not isinstance(message, messages.Welcome):
            raise ProtocolError("the backend answered the key with something else than a welcome")
        if not 0 <= message.last_sequence <= HIGHEST_SEQUENCE:
            raise ProtocolError(f"the backend wants to resume after {message.last_sequence}")
        return message

    async def _send_frames(self, socket: ClientConnection, after: int, generation: int) -> None:
        while True:
            self._wake.clear()
            frames = await self._next_frames(after)
            if self._spool.generation != generation:
                raise SpoolReplacedError("the spool was replaced, announcing the new one")
            for frame in frames:
                self._in_flight.append((frame.sequence, len(frame.data)))
                self._bytes_in_flight += len(frame.data)
                self._spool.mark_sent(frame.sequence)
                await socket.send(frame.data)
                after = frame.sequence
            if not frames:
                await self._wait_for_news()

    async def _send_words(self, socket: ClientConnection) -> None:
        while True:
            await socket.send(messages.encode_msgpack(await self._desk.next_message()))

    async def _next_frames(self, after: int) -> list[Frame]:
        frames, size = WINDOW_FRAMES - len(self._in_flight), WINDOW_BYTES - self._bytes_in_flight
        if frames <= 0 or size <= 0:
            return []
        if not self._in_flight:
            self._progress_at = time.monotonic()
        return await self._worker.run(self._spool.read, after, frames, size)

    async def _wait_for_news(self) -> None:
        """Until a frame was spooled, or an acknowledgement made room."""
        while not self._wake.is_set():
            try:
                async with asyncio.timeout(ACKNOWLEDGED_WITHIN_S):
                    await self._wake.wait()
            except TimeoutError:
                pass
            if self._in_flight and time.monotonic() - self._progress_at > ACKNOWLEDGED_WITHIN_S:
                raise ProtocolError(f"the backend acknowledged nothing for {ACKNOWLEDGED_WITHIN_S:.0f} s")

    async def _take_answers(self, socket: ClientConnection) -> None:
        while True:
            message = _decode(await socket.recv())
            match message:
                case messages.FramesStored(sequence=sequence):
                    self._acknowledged(sequence)
                case messages.RowsRefused():
                    self._refused(message)
                case messages.Welcome():
                    raise ProtocolError("the backend sent a second welcome")
                case _:
                    await self._desk.received(message)

    def _acknowledged(self, sequence: int) -> None:
        while self._in_flight and self._in_flight[0][0] <= sequence:
            self._bytes_in_flight -= self._in_flight.popleft()[1]
        self._progress_at = time.monotonic()
        self._spool.acknowledge(sequence)
        if len(self._in_flight) < WINDOW_FRAMES // 2:  # reading a few frames at a time costs more than waiting for room
            self._wake.set()

    def _refused(self, refused: messages.RowsRefused) -> None:
        self._counters.refused_rows += refused.count
        self._counters.log_once(
            refused.measurement[:100],
            f"{refused.reason} {refused.detail[:200]}".rstrip(),
            "the backend refuses rows of %s: %s (counted from now on, not repeated)",
        )


def _decode(message: str | bytes) -> messages.ToAgent:
    try:
        decoded: messages.ToAgent = (
            messages.decode_to_agent_msgpack(message)
            if isinstance(message, bytes)
            else messages.decode_to_agent_json(message)
        )
    except DecodeError as error:
        raise ProtocolError(f"the backend sent a message that is none ({error})") from None
    return decoded


def _warn(welcome: messages.Welcome) -> None:
    for measurement, columns in welcome.ignored.items():
        log.warning("this backend does not know %s of %s: it is older than the agent", ", ".join(columns), measurement)
    ahead = time.time() - welcome.server_time
    if abs(ahead) > CLOCKS_MAY_DIFFER_S:
        log.warning("this host's clock is %.0f s %s the backend's", abs(ahead), "ahead of" if ahead > 0 else "behind")
