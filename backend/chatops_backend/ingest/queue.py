"""The bounded queue between sockets and writer. When it is full, `put` waits, and so the socket is not read."""

import asyncio
from collections import deque

from chatops_backend.ingest.frame import Frame

MAX_BYTES = 48 * 1024 * 1024


class FrameQueue:
    """Bounded by the size of what is in it, in bytes of the messages; one frame always fits."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._frames: deque[Frame] = deque()
        self._some = asyncio.Event()
        self._room = asyncio.Event()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._frames)

    async def put(self, frame: Frame) -> None:
        while self._frames and self.bytes + frame.size > self._max_bytes:
            self._room.clear()
            await self._room.wait()
        self._frames.append(frame)
        self.bytes += frame.size
        self._some.set()

    async def take(self, max_bytes: int) -> list[Frame]:
        """Wait for a frame, then return as many as fit into `max_bytes`, oldest first and at least one."""
        while not self._frames:
            self._some.clear()
            await self._some.wait()
        taken: list[Frame] = []
        size = 0
        while self._frames and (not taken or size + self._frames[0].size <= max_bytes):
            taken.append(self._frames.popleft())
            size += taken[-1].size
        self.bytes -= size
        self._room.set()
        return taken
