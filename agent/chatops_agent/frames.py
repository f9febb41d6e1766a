"""Encodes a collection into frames that fit the wire: what is too large for one is split, never sent and refused."""

from collections.abc import Iterator
from typing import NamedTuple

from chatops_agent.collection import Rows
from chatops_protocol.agent_messages import MAX_FRAME_BYTES, Samples, encode_msgpack


class Frame(NamedTuple):
    """An encoded `Samples` message, as it is stored and sent."""

    sequence: int
    data: bytes


def encode_frames(
    rows: Rows, time: float, layout: int, first_sequence: int, limit: int = MAX_FRAME_BYTES
) -> tuple[list[Frame], int]:
    """Return the frames of one collection, and how many single rows were too large for any frame."""
    frames: list[Frame] = []
    too_large = 0
    for part in _parts(rows, limit):
        sequence = first_sequence + len(frames)
        data = encode_msgpack(Samples(sequence=sequence, time=time, layout=layout, rows=part))
        if len(data) <= limit:
            frames.append(Frame(sequence, data))
        else:
            too_large += 1
    return frames, too_large


def _parts(rows: Rows, limit: int) -> Iterator[Rows]:
    """Halve `rows` until each part fits, or is a single row."""
    count = sum(len(of_one) for of_one in rows.values())
    # 64 bytes are more than the message around the rows takes.
    if count <= 1 or len(encode_msgpack(rows)) + 64 <= limit:
        yield rows
        return
    flat = [(name, row) for name, of_one in rows.items() for row in of_one]
    for half in (flat[: count // 2], flat[count // 2 :]):
        part: Rows = {}
        for name, row in half:
            part.setdefault(name, []).append(row)
        yield from _parts(part, limit)
