"""Reads one container's log in a thread, as fast as the engine gives it, and hands out what there is room for.

The oldest lines of what nobody has taken yet are left out and counted, so that a container that writes without end
fills neither this host's memory nor the socket that its readings travel on.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator
from typing import Any

from chatops_agent.containers.log_frames import LogReader
from chatops_protocol.container_messages import MAX_LOG_BYTES, ContainerLogLine, ContainerLogs

PIECE_BYTES = 64 * 1024
# Time, stream and what encloses them in a message.
LINE_OVERHEAD_BYTES = 48
FOLLOWED_BYTES_PER_S = 256 * 1024
# Who only follows a log may not cost the host a core. The engine sends each line by itself, and a sleep for each would
# take longer than the line.
READ_BYTES_PER_S = 1024 * 1024
READ_BYTES_AT_ONCE = 64 * 1024


class LogReading:
    def __init__(self, stream: Any, *, has_terminal: bool, follow: bool) -> None:
        self._follow = follow
        self._stream, self._reader = stream, LogReader(has_terminal=has_terminal)
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._lines: deque[tuple[ContainerLogLine, int]] = deque()
        self._bytes = self._skipped = 0
        self._ended = False
        self._news = asyncio.Event()
        threading.Thread(target=self._read, name="container-log", daemon=True).start()

    async def pieces(self) -> AsyncGenerator[ContainerLogs, None]:
        """At least one, the first at once when it follows: a container may be silent for hours."""
        try:
            if self._follow:
                yield ContainerLogs([])
            else:
                while not self._ended:
                    await self._something_new()
            while True:
                piece, size = self._take()
                if piece is not None:
                    yield piece
                    if self._follow:
                        await asyncio.sleep(size / FOLLOWED_BYTES_PER_S)
                elif self._ended:
                    return
                else:
                    await self._something_new()
        finally:
            self._stream.close()

    async def _something_new(self) -> None:
        await self._news.wait()
        self._news.clear()

    def _take(self) -> tuple[ContainerLogs | None, int]:
        lines: list[ContainerLogLine] = []
        taken = 0
        with self._lock:
            skipped, self._skipped = self._skipped, 0
            while self._lines and taken < PIECE_BYTES:
                line, size = self._lines.popleft()
                lines.append(line)
                taken += size
            self._bytes -= taken
        return (ContainerLogs(lines, skipped) if lines else None), taken

    # -- in the thread -------------------------------------------------------------------------------------------

    def _read(self) -> None:
        read = 0
        try:
            for data in self._stream:
                for line in self._reader.feed(data):
                    self._put(line)
                self._tell()
                read += len(data)
                if self._follow and read > READ_BYTES_AT_ONCE:
                    time.sleep(read / READ_BYTES_PER_S)
                    read = 0
            for line in self._reader.end():
                self._put(line)
        except Exception as error:  # whoever reads must be told, whatever it was
            self._put(ContainerLogLine(None, None, f"(the log could not be read on: {error})"))
        finally:
            self._ended = True
            self._tell()

    def _put(self, line: ContainerLogLine) -> None:
        size = len(line.text.encode("utf-8", "replace")) + LINE_OVERHEAD_BYTES
        with self._lock:
            self._lines.append((line, size))
            self._bytes += size
            while self._bytes > MAX_LOG_BYTES and len(self._lines) > 1:
                self._bytes -= self._lines.popleft()[1]
                self._skipped += 1

    def _tell(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._news.set)
        except RuntimeError:
            pass  # the loop has ended, and with it whoever would want to know
