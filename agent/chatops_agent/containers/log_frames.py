"""Takes the engine's log stream apart: frames of stdout and stderr, lines with times. Pure.

Without a terminal each frame has a head of eight bytes (stream, three zeros, length); with one the bytes stand as they
were written. Each line begins with its time, and so does each part of a line of more than 16 KiB.
"""

from collections.abc import Iterator
from typing import Literal

from chatops_agent.containers.details import moment
from chatops_protocol.container_messages import MAX_LOG_LINE_LENGTH, ContainerLogLine

HEAD_BYTES = 8
# The longest the engine sends is a part of a line, 16 KiB and its time. Another length is no frame.
MOST_FRAME_BYTES = 1 << 20
_STREAMS: dict[int, Literal["stdout", "stderr"]] = {1: "stdout", 2: "stderr"}


class LogReader:
    """`feed` it bytes as they come. `has_terminal`: the stream is not framed."""

    def __init__(self, *, has_terminal: bool) -> None:
        self._has_terminal = has_terminal
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[ContainerLogLine]:
        self._rest += data
        return self._lines() if self._has_terminal else self._frames()

    def end(self) -> Iterator[ContainerLogLine]:
        """What stands there without a line's end."""
        if self._has_terminal and self._rest:
            yield _line(None, self._rest)
        self._rest = b""

    def _lines(self) -> Iterator[ContainerLogLine]:
        *lines, self._rest = self._rest.split(b"\n")
        if len(self._rest) > MOST_FRAME_BYTES:
            lines.append(self._rest)
            self._rest = b""
        for line in lines:
            yield _line(None, line.removesuffix(b"\r"))

    def _frames(self) -> Iterator[ContainerLogLine]:
        data, begin = self._rest, 0
        while len(data) - begin >= HEAD_BYTES:
            length = int.from_bytes(data[begin + 4 : begin + HEAD_BYTES], "big")
            if length > MOST_FRAME_BYTES:
                raise ValueError(f"a frame of {length} bytes is no log")
            end = begin + HEAD_BYTES + length
            if len(data) < end:
                break
            for part in data[begin + HEAD_BYTES : end].removesuffix(b"\n").split(b"\n"):
                yield _line(_STREAMS.get(data[begin]), part)
            begin = end
        self._rest = data[begin:]


def _line(stream: Literal["stdout", "stderr"] | None, data: bytes) -> ContainerLogLine:
    text = data.decode("utf-8", "replace").replace("\0", "\ufffd")
    first, space, rest = text.partition(" ")
    at = moment(first) if space else None
    shown = rest if at is not None else text
    return ContainerLogLine(at, stream, shown[:MAX_LOG_LINE_LENGTH])
