"""Turns stored pieces of output into text. Pure."""

import codecs
from collections.abc import Sequence

from msgspec import Struct

from chatops_protocol.control_messages import Stream
from chatops_protocol.live_messages import CommandOutput

STREAMS: tuple[Stream, ...] = ("stdout", "stderr")


class Assembled(Struct, frozen=True):
    stdout: str
    stderr: str
    truncated: bool


class OutputText:
    """The text of pieces as they come, each stream by itself: a character may be cut between two pieces."""

    def __init__(self) -> None:
        self._decoders = {stream: codecs.getincrementaldecoder("utf-8")("replace") for stream in STREAMS}
        self._expected = dict.fromkeys(STREAMS, 0)

    def take(self, stream: Stream, start: int, data: bytes) -> CommandOutput:
        skipped = max(0, start - self._expected[stream])
        if skipped:
            self._decoders[stream].reset()
        self._expected[stream] = start + len(data)
        return CommandOutput(stream, start, self._decoders[stream].decode(data), skipped)

    def rest(self) -> list[CommandOutput]:
        """What was cut off in the middle of a character, at the very end."""
        ends = [
            CommandOutput(stream, self._expected[stream], self._decoders[stream].decode(b"", final=True))
            for stream in STREAMS
        ]
        return [end for end in ends if end.text]


def assemble(pieces: Sequence[tuple[Stream, int, bytes]]) -> Assembled:
    """All of both streams; where something is left out, a line of its own says how much."""
    text = OutputText()
    parts: dict[Stream, list[str]] = {stream: [] for stream in STREAMS}
    truncated = False
    for stream, start, data in pieces:
        taken = text.take(stream, start, data)
        if taken.skipped:
            truncated = True
            parts[stream].append(f"\n… {taken.skipped} bytes left out …\n")
        parts[stream].append(taken.text)
    for end in text.rest():
        parts[end.stream].append(end.text)
    return Assembled("".join(parts["stdout"]), "".join(parts["stderr"]), truncated)
