"""Rows of a frame: brought into the hypertable's order, each refused for its own fault and for nothing else."""

import math
from collections import Counter
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatops_backend.ingest.rows import (
    LARGEST_VALUE,
    MAX_LABEL_LENGTH,
    LayoutError,
    Refusals,
    Row,
    RowReader,
    columns_of,
    readers_for,
)
from chatops_protocol.agent_messages import Layout
from chatops_protocol.catalog import AGENT_MEASUREMENTS, CPU, FILESYSTEM, HOST

GOOD = ["0", 1.0, 2.0, 3.0, None]


def reader(*columns: str) -> RowReader:
    return RowReader(CPU, columns or CPU.columns)


def read(some: RowReader, sent: list[Any]) -> tuple[list[Row], Refusals]:
    """What the reader makes of rows sent as MessagePack and as JSON: the same, where both can say it."""
    answers = []
    if not contains(sent, lambda value: isinstance(value, int) and not -(2**63) <= value < 2**64):
        answers.append(some.read(msgspec.Raw(msgspec.msgpack.encode(sent)), binary=True))
    if not contains(
        sent, lambda value: isinstance(value, bytes) or (isinstance(value, float) and not math.isfinite(value))
    ):
        answers.append(some.read(msgspec.Raw(msgspec.json.encode(sent)), binary=False))
    assert answers
    assert answers[0] == answers[-1]
    return answers[0]


def contains(sent: Any, what: Any) -> bool:
    if isinstance(sent, list):
        return any(contains(value, what) for value in sent)
    return contains(list(sent.values()), what) if isinstance(sent, dict) else what(sent)


def test_values_in_another_order_land_in_their_columns() -> None:
    shuffled = reader("system_percent", "core", "cpu_percent", "iowait_percent", "user_percent")
    rows, refused = read(shuffled, [[3.0, "0", 1.0, 4.0, 2.0]])
    assert not refused
    assert columns_of([(shuffled, rows)]) == [["0"], [1.0], [2.0], [3.0], [4.0]]


def test_columns_that_an_agent_does_not_offer_are_null() -> None:
    short = reader("core", "user_percent")
    rows, _ = read(short, [["0", 2.0], ["1", None]])
    assert columns_of([(short, rows)]) == [["0", "1"], [None, None], [2.0, None], [None, None], [None, None]]


def test_columns_that_are_unknown_are_named_and_left_out_whatever_is_in_them() -> None:
    readers, ignored = readers_for({"cpu": ["moon_phase", "core", "cpu_percent"], "gpu": ["core", "load"]})
    assert ignored == {"cpu": ["moon_phase"], "gpu": ["core", "load"]}
    assert list(readers) == ["cpu"]
    rows, refused = read(readers["cpu"], [[{"any": ["thing", math.nan]}, "0", 1], [None, "1", 2]])
    assert not refused
    assert columns_of([(readers["cpu"], rows)])[:2] == [["0", "1"], [1.0, 2.0]]


def test_agents_with_different_columns_share_a_batch() -> None:
    whole, short = reader(), reader("cpu_percent", "core")
    groups = [(whole, read(whole, [GOOD])[0]), (short, read(short, [[9.0, "7"]])[0])]
    assert columns_of(groups) == [["0", "7"], [1.0, 9.0], [2.0, None], [3.0, None], [None, None]]


@pytest.mark.parametrize(
    "layout",
    [
        {"cpu": ["cpu_percent"]},
        {"cpu": []},
        {"filesystem": ["mountpoint", "device", "used_percent"]},
        {"host": ["cpu_percent", "cpu_percent"]},
        {"cpu": ["core", "core", "cpu_percent"]},
        {"cpu": ["core", "unknown", "unknown"]},
    ],
)
def test_a_layout_without_a_label_or_with_a_column_twice_is_refused(layout: Layout) -> None:
    with pytest.raises(LayoutError, match=next(iter(layout))):
        readers_for(layout)


def test_what_users_push_themselves_is_not_taken_from_agents() -> None:
    readers, ignored = readers_for({"custom": ["name", "labels", "value"]})
    assert (readers, ignored) == ({}, {"custom": ["name", "labels", "value"]})


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (["0", math.nan, 2.0, 3.0, None], "not_finite"),
        (["0", 1.0, math.inf, 3.0, None], "not_finite"),
        (["0", 1.0, 2.0, -math.inf, None], "not_finite"),
        (["0", "1.0", 2.0, 3.0, None], "wrong_type"),
        (["0", True, 2.0, 3.0, None], "wrong_type"),
        (["0", False, 2.0, 3.0, None], "wrong_type"),
        (["0", [1.0], 2.0, 3.0, None], "wrong_type"),
        (["0", {}, 2.0, 3.0, None], "wrong_type"),
        (["0", b"1", 2.0, 3.0, None], "wrong_type"),
        (["0", 10**400, 2.0, 3.0, None], "wrong_type"),
        (["0", 1e101, 2.0, 3.0, None], "wrong_type"),
        (["0", -1.7976931348623157e308, 2.0, 3.0, None], "wrong_type"),
        ([0, 1.0, 2.0, 3.0, None], "wrong_type"),
        ([None, 1.0, 2.0, 3.0, None], "wrong_type"),
        ([b"0", 1.0, 2.0, 3.0, None], "wrong_type"),
        (["x" * (MAX_LABEL_LENGTH + 1), 1.0, 2.0, 3.0, None], "wrong_type"),
        (["0\x00", 1.0, 2.0, 3.0, None], "wrong_type"),
        (["\x00", 1.0, 2.0, 3.0, None], "wrong_type"),
        (["0", 1.0, 2.0, 3.0], "malformed"),
        (["0", 1.0, 2.0, 3.0, None, None], "malformed"),
        ([], "malformed"),
        ("01234", "malformed"),
        ({"core": "0"}, "malformed"),
        (None, "malformed"),
        (7, "malformed"),
    ],
)
def test_a_bad_row_is_refused_with_its_reason_and_its_neighbours_are_kept(bad: Any, reason: str) -> None:
    rows, refused = read(reader(), [GOOD, bad, GOOD])
    assert rows == [tuple(GOOD)] * 2
    assert refused == Counter({reason: 1})


def test_several_faults_are_counted_each_by_itself() -> None:
    rows, refused = read(reader(), [["0", math.nan, 1, 1, 1], GOOD, 5, [], ["\0", 1, 1, 1, 1], ["0", "x", 1, 1, 1]])
    assert rows == [tuple(GOOD)]
    assert refused == Counter({"malformed": 2, "wrong_type": 2, "not_finite": 1})


@pytest.mark.parametrize("label", ["", "x" * MAX_LABEL_LENGTH, "Ω 🜁 \n\t'\"; DROP", "\x01", "\ufeff"])
def test_any_text_may_be_a_label(label: str) -> None:
    rows, refused = read(reader(), [[label, 1, 2, 3, 4]])
    assert (rows, refused) == ([(label, 1.0, 2.0, 3.0, 4.0)], Counter())


def test_whole_numbers_and_large_floats_are_numbers() -> None:
    rows, refused = read(reader(), [["0", 1, 2**70, 1e100, -0.0]])
    assert not refused
    assert rows == [("0", 1.0, float(2**70), 1e100, 0.0)]
    assert all(type(value) is float for value in rows[0][1:])


numbers = st.none() | st.floats(-LARGEST_VALUE, LARGEST_VALUE) | st.integers(-(2**63), 2**64 - 1)
labels = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
scalars = numbers | labels | st.booleans() | st.floats() | st.binary(max_size=4) | st.just("\0")
rows_of_any_kind = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(), inner), max_leaves=9
)


def as_stored(value: str | float | None) -> str | float | None:
    return float(value) if isinstance(value, int) else value


@given(st.data())
def test_good_rows_come_back_as_they_were_in_whatever_order_they_are_offered(data: st.DataObject) -> None:
    measurement = data.draw(st.sampled_from(AGENT_MEASUREMENTS))
    fields = data.draw(st.lists(st.sampled_from(measurement.field_names), unique=True))
    offered = data.draw(st.permutations([*measurement.label_names, *fields]))
    row = st.tuples(*(labels if column in measurement.label_names else numbers for column in offered))
    sent = data.draw(st.lists(row.map(list), max_size=5))
    some = RowReader(measurement, offered)
    rows, refused = read(some, sent)
    assert not refused
    if sent:
        columns = dict(zip(measurement.columns, columns_of([(some, rows)]), strict=True))
        for place, column in enumerate(offered):
            assert columns.pop(column) == [as_stored(values[place]) for values in sent]
        assert all(values == [None] * len(sent) for values in columns.values())


@given(st.lists(st.just(GOOD) | rows_of_any_kind, max_size=12))
def test_every_row_is_either_kept_or_refused_and_nothing_is_raised(sent: list[Any]) -> None:
    rows, refused = read(reader(), sent)
    assert len(rows) + refused.total() == len(sent)
    assert len(rows) >= sent.count(GOOD)
    for core, *values in rows:
        assert isinstance(core, str)
        assert "\0" not in core
        assert all(value is None or (type(value) is float and math.isfinite(value)) for value in values)


def test_a_fault_costs_one_row_of_a_thousand() -> None:
    offered = RowReader(FILESYSTEM, FILESYSTEM.columns)
    good = ["/", "/dev/vda", "ext4", *[1.0] * len(FILESYSTEM.fields)]
    rows, refused = read(offered, [good] * 500 + [["/", None, "ext4", *good[3:]]] + [good] * 499)
    assert (len(rows), refused) == (999, Counter({"wrong_type": 1}))


def test_a_measurement_without_labels_is_read_too() -> None:
    rows, refused = read(RowReader(HOST, ["cpu_percent"]), [[1], [None], ["x"]])
    assert (rows, refused) == ([(1.0,), (None,)], Counter({"wrong_type": 1}))
