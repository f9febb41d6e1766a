"""Log lines of a frame: a bad one costs itself alone."""

import math
from datetime import UTC, datetime

import msgspec
import pytest

from chatops_backend.ingest.rows import LayoutError
from chatops_backend.logs.incoming import NEWEST_S, OLDEST_S, LineReader
from chatops_protocol.log_lines import LOG_COLUMNS, MAX_MESSAGE_LENGTH, MAX_SOURCE_LENGTH

NOW = 1_795_515_300.0
AT = datetime.fromtimestamp(NOW, UTC)


def read(rows, *, binary: bool, offered=LOG_COLUMNS):
    encode = msgspec.msgpack.encode if binary else msgspec.json.encode
    return LineReader(offered).read(msgspec.Raw(encode(rows)), NOW, binary=binary)


@pytest.mark.parametrize("binary", [True, False])
def test_good_lines_come_in_the_tables_order(binary: bool) -> None:
    lines, refused = read([[NOW, "a", "error", "it broke"], [NOW, "b", None, ""]], binary=binary)
    assert lines == [(AT, "a", "error", "it broke"), (AT, "b", None, "")]
    assert not refused


def test_other_orders_and_columns_of_a_later_agent_are_read_too() -> None:
    offered = ["message", "pid", "level", "time", "source"]
    lines, refused = read([["text", 17, "info", NOW, "a"]], binary=True, offered=offered)
    assert lines == [(AT, "a", "info", "text")]
    assert not refused
    assert LineReader(offered).ignored == ["pid"]


@pytest.mark.parametrize("offered", [["time", "source", "message"], [*LOG_COLUMNS, "time"], []])
def test_a_layout_without_what_a_line_needs_is_refused(offered) -> None:
    with pytest.raises(LayoutError, match="log"):
        LineReader(offered)


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ([NOW, "a", "loud", "x"], "wrong_type"),
        ([NOW, "a", None, "nul \0 in it"], "wrong_type"),
        ([NOW, "nul \0", None, "x"], "wrong_type"),
        ([NOW, "", None, "x"], "wrong_type"),
        ([NOW, "a" * (MAX_SOURCE_LENGTH + 1), None, "x"], "wrong_type"),
        ([NOW, "a", None, "x" * (MAX_MESSAGE_LENGTH + 1)], "wrong_type"),
        (["now", "a", None, "x"], "wrong_type"),
        ([None, "a", None, "x"], "wrong_type"),
        ([NOW, "a", None, None], "wrong_type"),
        ([NOW, "a", None], "malformed"),
        ("a line", "malformed"),
        ({"time": NOW}, "malformed"),
        ([NOW - OLDEST_S - 60, "a", None, "x"], "too_old"),
        ([-1e300, "a", None, "x"], "too_old"),
        ([NOW + NEWEST_S + 60, "a", None, "x"], "in_the_future"),
        ([1e300, "a", None, "x"], "in_the_future"),
    ],
)
def test_a_bad_line_costs_itself_alone(bad, reason: str, binary: bool) -> None:
    good = [NOW, "a", "info", "good"]
    lines, refused = read([good, bad, good], binary=binary)
    assert [line[3] for line in lines] == ["good", "good"]
    assert dict(refused) == {reason: 1}


@pytest.mark.parametrize("time", [math.nan, math.inf, -math.inf])
def test_a_time_that_is_no_number_is_refused(time: float) -> None:
    lines, refused = read([[time, "a", None, "x"]], binary=True)
    assert lines == []
    assert dict(refused) == {"not_finite": 1}


def test_what_is_no_list_is_an_error() -> None:
    with pytest.raises(msgspec.DecodeError):
        read({"no": "list"}, binary=True)
