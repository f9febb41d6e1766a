"""One open log file: reads whole lines from an offset on, without ever holding more than a block and one bounded line.

Used by `log_file.py`, which decides which files are read, and from where.
"""

import os
import stat
import zlib
from pathlib import Path

from msgspec import Struct

from chatops_agent.following import links
from chatops_agent.following.lines import KEPT_BYTES

BLOCK_BYTES = 65_536
HEAD_BYTES = 256
MOST_BYTES_AT_ONCE = 1 << 20


class Place(Struct, frozen=True, array_like=True):
    """Where reading goes on: a file by its identity and how it begins, and the offset of the first line not read.

    The beginning tells a file that was emptied and grew again, and an inode that was used again, from the same file.
    """

    device: int
    inode: int
    offset: int
    head_length: int
    head_checksum: int


class OpenedFile:
    """`offset` is where the first line begins that was not returned yet."""

    def __init__(self, path: Path, offset: int = 0) -> None:
        """Raise OSError when it cannot be opened, may not be followed, or is no regular file: opening a FIFO would wait
        for its writer."""
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        try:
            status = os.fstat(self._descriptor)
            _require_followable(path, status)
        except OSError:
            os.close(self._descriptor)
            raise
        self.identity = (status.st_dev, status.st_ino)
        self._head = os.pread(self._descriptor, HEAD_BYTES, 0)
        self.go_on_at(offset)

    def close(self) -> None:
        os.close(self._descriptor)

    def go_on_at(self, offset: int) -> None:
        self.offset = offset
        self._kept = b""
        self._length = 0  # of the line that has no end yet

    @property
    def size(self) -> int:
        return os.fstat(self._descriptor).st_size

    @property
    def modified_at(self) -> float:
        return os.fstat(self._descriptor).st_mtime

    @property
    def place(self) -> Place:
        return Place(*self.identity, self.offset, len(self._head), zlib.crc32(self._head))

    def holds(self, place: Place) -> bool:
        """Whether this is the file of `place`, or a copy of it: it begins the same, and reaches as far."""
        return self.size >= place.offset and (
            zlib.crc32(os.pread(self._descriptor, place.head_length, 0)) == place.head_checksum
        )

    def begins_as_known(self) -> bool:
        return os.pread(self._descriptor, len(self._head), 0) == self._head

    def go_to_end(self) -> None:
        """Go on with the line that is being written now, if it has begun, else with the next one."""
        start = max(0, self.size - KEPT_BYTES)
        tail = os.pread(self._descriptor, KEPT_BYTES, start)
        newline = tail.rfind(b"\n")
        # In the middle of a line that is too long to find its beginning: what is left of it becomes a line.
        self.go_on_at(start + newline + 1 if newline >= 0 or start == 0 else start + len(tail))

    @property
    def at_end(self) -> bool:
        return self.offset + self._length >= self.size

    def read_lines(self, most: int) -> list[tuple[bytes, int]]:
        """At most so many lines, each with its true length; of a long one only the beginning."""
        lines: list[tuple[bytes, int]] = []
        held = 0
        while True:
            block = os.pread(self._descriptor, BLOCK_BYTES, self.offset + self._length)
            if not block:
                return lines
            self._learn_head(block)
            start = 0
            while (end := block.find(b"\n", start)) >= 0:
                if len(lines) == most or held >= MOST_BYTES_AT_ONCE:
                    return lines
                self._keep(block[start:end])
                lines.append((self._kept, self._length))
                held += len(self._kept)
                self.go_on_at(self.offset + self._length + 1)
                start = end + 1
            if len(lines) == most or held >= MOST_BYTES_AT_ONCE:
                return lines
            self._keep(block[start:])

    def read_rest(self) -> tuple[bytes, int] | None:
        """The last line of a file to which nothing is added any more, when no newline ends it."""
        if not self._length:
            return None
        rest = (self._kept, self._length)
        self.go_on_at(self.offset + self._length)
        return rest

    def skip_to(self, offset: int, at_most: int) -> int:
        """Leave out whole lines until `offset`, reading at most so many bytes; return how many lines."""
        lines = 0
        end = min(offset, self.offset + at_most)
        at, after_last = self.offset, self.offset
        while at < end and (block := os.pread(self._descriptor, min(1 << 20, end - at), at)):
            lines += block.count(b"\n")
            newline = block.rfind(b"\n")
            after_last = at + newline + 1 if newline >= 0 else after_last
            at += len(block)
        # One line that is longer than all that: it is given up in its middle.
        self.go_on_at(after_last if after_last > self.offset else at)
        return lines or 1

    def _learn_head(self, block: bytes) -> None:
        """Of a file that was shorter when it was opened. Not read again: it may be another file's by now."""
        at, known = self.offset + self._length, len(self._head)
        if at <= known < HEAD_BYTES:
            self._head += block[known - at : HEAD_BYTES - at]

    def _keep(self, part: bytes) -> None:
        self._length += len(part)
        self._kept += part[: max(0, KEPT_BYTES - len(self._kept))]


def _require_followable(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise OSError(f"{path} is not a regular file")
    if not links.are_trusted(path, status.st_uid):
        raise PermissionError(f"{path} is or has a link of a user who owns neither the file nor this agent")
    # Looked at after it was opened: a link that was put aside for the look led elsewhere.
    if not os.path.samestat(status, path.stat()):
        raise OSError(f"{path} was exchanged while it was opened")
