"""What a program wrote and the backend has not stored yet: its beginning whole, then what fits, and its end.

A program is never kept waiting for the network. Up to the first half MiB everything is kept until it is sent. After
that a program that writes faster than `LIVE_BYTES_PER_S` loses the oldest that waits, so that what is left when it ends
is the last half MiB. Places that are left out show as jumps of the offset.

Which stream was written to first is told by the order of pieces, as long as not too many of them wait: a program that
writes single bytes to both in turn would otherwise cost hundreds of bytes, and a row of the database, for each.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from chatops_protocol.control_messages import HEAD_BYTES, MAX_CHUNK_BYTES, OUTPUT_WINDOW_BYTES, TAIL_BYTES, Stream

# More a person cannot read; the backend and the network are others' too.
LIVE_BYTES_PER_S = 256 * 1024
# Small pieces are collected for so long.
COLLECT_S = 0.05
# Of either half. When so many wait, what comes joins the last piece of its own stream, past one of the other.
MOST_WAITING = 256
# Sent and not confirmed, however small they are.
MOST_UNSTORED = 512


@dataclass
class Piece:
    stream: Stream
    offset: int
    data: bytearray
    sequence: int = 0


@dataclass
class Output:
    """`monotonic` is the clock. `ended`: the program writes no more, and what waits may go without pause."""

    monotonic: Callable[[], float]
    written: dict[Stream, int] = field(default_factory=lambda: {"stdout": 0, "stderr": 0})
    ended: bool = False
    _head: deque[Piece] = field(default_factory=deque)
    _rest: deque[Piece] = field(default_factory=deque)
    _rest_bytes: int = 0
    _unstored: deque[Piece] = field(default_factory=deque)
    _unstored_bytes: int = 0
    _resend: int = 0
    _sequence: int = 0
    _next_at: float = 0.0

    def put(self, stream: Stream, data: bytes) -> None:
        inside_head = self.written["stdout"] + self.written["stderr"] < HEAD_BYTES
        waiting = self._head if inside_head else self._rest
        last = self._last_of(waiting, stream)
        if last is not None and len(last.data) + len(data) <= MAX_CHUNK_BYTES:
            last.data += data
        else:
            for start in range(0, len(data), MAX_CHUNK_BYTES):
                part = data[start : start + MAX_CHUNK_BYTES]
                waiting.append(Piece(stream, self.written[stream] + start, bytearray(part)))
        self.written[stream] += len(data)
        if not inside_head:
            self._rest_bytes += len(data)
            while self._rest_bytes - len(self._rest[0].data) >= TAIL_BYTES:
                self._rest_bytes -= len(self._rest.popleft().data)

    def _last_of(self, waiting: deque[Piece], stream: Stream) -> Piece | None:
        """The piece that the next bytes of the stream may join."""
        for place in (-1, -2) if len(waiting) >= MOST_WAITING else (-1,):
            if len(waiting) >= -place:
                piece = waiting[place]
                if piece.stream == stream and piece.offset + len(piece.data) == self.written[stream]:
                    return piece
        return None

    def take(self) -> tuple[Piece | None, float | None]:
        """The next piece to send; or None, and after how many seconds to ask again (None: when something changes)."""
        if self._resend < len(self._unstored):
            self._resend += 1
            return self._unstored[self._resend - 1], None
        waiting = self._head or self._rest
        if not waiting or len(self._unstored) >= MOST_UNSTORED:
            return None, None
        if self._unstored_bytes + len(waiting[0].data) > OUTPUT_WINDOW_BYTES:
            return None, None
        now = self.monotonic()
        if not self.ended and now < self._next_at:
            return None, self._next_at - now
        piece = waiting.popleft()
        size = len(piece.data)
        if waiting is self._rest:
            self._rest_bytes -= size
            self._next_at = now + max(COLLECT_S, size / LIVE_BYTES_PER_S)
        else:
            self._next_at = now + (COLLECT_S if size < MAX_CHUNK_BYTES // 2 else 0.0)
        self._sequence += 1
        piece.sequence = self._sequence
        self._unstored.append(piece)
        self._unstored_bytes += size
        self._resend = len(self._unstored)
        return piece, None

    def stored(self, sequence: int) -> None:
        while self._unstored and self._unstored[0].sequence <= sequence:
            self._unstored_bytes -= len(self._unstored.popleft().data)
            self._resend = max(0, self._resend - 1)

    def rewind(self) -> None:
        """A new connection: what is not known to be stored is sent again."""
        self._resend = 0

    @property
    def is_sent(self) -> bool:
        return self.ended and not self._head and not self._rest and self._resend >= len(self._unstored)
