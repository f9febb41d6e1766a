"""What an agent holds of a program's output: bounded however the program writes, nothing of it out of its stream."""

import tracemalloc

import pytest

from chatops_agent.control.output import MOST_UNSTORED, MOST_WAITING, Output, Piece
from chatops_protocol.control_messages import HEAD_BYTES, MAX_CHUNK_BYTES, TAIL_BYTES, Stream

PIECES_OF_TEXT = (HEAD_BYTES + TAIL_BYTES) // MAX_CHUNK_BYTES + 4


def output() -> Output:
    return Output(lambda: 0.0)


def alternate(into: Output, count: int, size: int = 1) -> dict[Stream, bytes]:
    """So many bytes to either stream in turn; what was written in all."""
    written: dict[Stream, bytearray] = {"stdout": bytearray(), "stderr": bytearray()}
    for number in range(count):
        stream: Stream = "stderr" if number % 2 else "stdout"
        some = bytes([33 + number % 90]) * size
        into.put(stream, some)
        written[stream] += some
    return {stream: bytes(data) for stream, data in written.items()}


def sent(of: Output) -> list[Piece]:
    """Everything, as a backend that stores at once gets it."""
    of.ended = True
    pieces: list[Piece] = []
    while (piece := of.take()[0]) is not None:
        pieces.append(piece)
        of.stored(piece.sequence)
    return pieces


def joined(pieces: list[Piece], stream: Stream) -> bytes:
    """Fails where a piece does not go on where the one before it ended."""
    found = b""
    for piece in pieces:
        if piece.stream == stream:
            assert piece.offset == len(found)
            found += piece.data
    return found


def test_a_few_small_pieces_keep_their_order_between_the_streams() -> None:
    of = output()
    alternate(of, 100)
    assert [piece.stream for piece in sent(of)] == ["stdout", "stderr"] * 50


def test_many_small_pieces_become_few_and_each_stream_stays_whole() -> None:
    of = output()
    written = alternate(of, 100_000)
    pieces = sent(of)
    assert len(pieces) <= MOST_WAITING + PIECES_OF_TEXT
    assert max(len(piece.data) for piece in pieces) <= MAX_CHUNK_BYTES
    assert {stream: joined(pieces, stream) for stream in written} == written
    # As far as they were told apart one by one, they still are.
    assert [piece.stream for piece in pieces[: MOST_WAITING - 2]] == ["stdout", "stderr"] * (MOST_WAITING // 2 - 1)


def test_endless_small_pieces_take_no_more_memory_than_endless_large_ones() -> None:
    of = output()
    tracemalloc.start()
    try:
        for _ in range(4):
            alternate(of, 50_000, size=8)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 3 * (HEAD_BYTES + TAIL_BYTES)
    pieces = sent(of)
    assert len(pieces) <= 2 * MOST_WAITING + PIECES_OF_TEXT
    assert of.written == {"stdout": 800_000, "stderr": 800_000}
    assert sum(len(piece.data) for piece in pieces) >= HEAD_BYTES + TAIL_BYTES
    last = [piece for piece in pieces if piece.stream == "stderr"][-1]
    assert last.offset + len(last.data) == 800_000


@pytest.mark.parametrize("ended", [False, True])
def test_a_backend_that_confirms_nothing_gets_a_bounded_number_of_pieces(ended: bool) -> None:
    moments = iter(range(10_000_000))
    of = Output(lambda: float(next(moments)))
    of.ended = ended
    taken = 0
    for _ in range(3 * MOST_UNSTORED):
        alternate(of, 2)
        taken += of.take()[0] is not None
    assert taken == MOST_UNSTORED
    of.stored(10)
    assert of.take()[0] is not None
