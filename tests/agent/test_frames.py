"""Frames fit the wire, whatever a host has."""

from chatops_agent.frames import encode_frames
from chatops_protocol.agent_messages import MAX_FRAME_BYTES, Samples, decode_from_agent_msgpack


def test_a_small_collection_is_one_frame() -> None:
    frames, too_large = encode_frames({"host": [[1.0]]}, 12.5, 3, first_sequence=9)
    assert too_large == 0
    assert [frame.sequence for frame in frames] == [9]
    assert decode_from_agent_msgpack(frames[0].data) == Samples(9, 12.5, 3, {"host": [[1.0]]})


def test_a_collection_over_the_limit_is_split_into_frames_that_hold_every_row_once() -> None:
    rows = {"host": [[1.0]], "network": [[f"veth{i}" + "x" * 300, float(i)] for i in range(10_000)]}
    frames, too_large = encode_frames(rows, 1.0, 1, first_sequence=5)
    decoded = [decode_from_agent_msgpack(frame.data) for frame in frames]
    assert too_large == 0
    assert len(frames) > 2
    assert max(len(frame.data) for frame in frames) <= MAX_FRAME_BYTES
    assert [frame.sequence for frame in frames] == list(range(5, 5 + len(frames)))
    assert [row for d in decoded if isinstance(d, Samples) for row in d.rows.get("network", [])] == rows["network"]
    assert [row for d in decoded if isinstance(d, Samples) for row in d.rows.get("host", [])] == rows["host"]


def test_a_row_that_fits_no_frame_is_counted_and_costs_nothing_else() -> None:
    frames, too_large = encode_frames({"host": [["x" * 2_000_000]], "cpu": [["0", 1.0]]}, 1.0, 1, first_sequence=1)
    assert too_large == 1
    assert [frame.sequence for frame in frames] == [1]
