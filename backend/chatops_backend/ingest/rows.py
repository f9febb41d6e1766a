"""Checks the rows of a frame and brings them into the order of the hypertable's columns. Pure.

One bad row costs one row: a whole measurement is decoded and checked in one call, and only when that fails row by row.
"""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from chatops_protocol.agent_messages import Layout, RefusalReason
from chatops_protocol.catalog import AGENT_MEASUREMENTS, Measurement

MAX_LABEL_LENGTH = 1024

# PostgreSQL refuses to sum or average what overflows, squares included: one reading of 1e160 would stop the roll-up of
# its metric, and the rules on it, for the whole fleet. The bounds shut out NaN and both infinities as well.
LARGEST_VALUE = 1e100
_Number = Annotated[float, Meta(ge=-LARGEST_VALUE, le=LARGEST_VALUE)]
_Label = Annotated[str, Meta(max_length=MAX_LABEL_LENGTH)]
_AGENT_MEASUREMENTS = {m.name: m for m in AGENT_MEASUREMENTS}

Row = tuple[Any, ...]
Refusals = Counter[RefusalReason]
_NONE_REFUSED: Refusals = Counter()


class LayoutError(Exception):
    """An offered layout cannot be used; the message says why."""


class RowReader:
    """Reads rows of one measurement whose values stand in the order of `offered`.

    `order[i]` is the place in an offered row of the hypertable's i-th column (labels, then fields), or None where the
    agent does not offer it.
    """

    def __init__(self, measurement: Measurement, offered: Sequence[str]) -> None:
        missing = [label for label in measurement.label_names if label not in offered]
        if missing or len(set(offered)) != len(offered):
            raise LayoutError(
                f"{measurement.name}: {'labels missing: ' + ', '.join(missing) if missing else 'a column twice'}"
            )
        self.measurement = measurement
        self.offered = tuple(offered)
        self.order = tuple(offered.index(c) if c in offered else None for c in measurement.columns)
        self.ignored = [c for c in offered if c not in measurement.columns]
        row: Any = tuple[tuple(self._type_of(column) for column in offered)]  # type: ignore[misc]
        self._row = row
        self._decode_json = msgspec.json.Decoder(list[row]).decode
        self._decode_msgpack = msgspec.msgpack.Decoder(list[row]).decode
        self._label_places = [offered.index(label) for label in measurement.label_names]

    def _type_of(self, column: str) -> Any:
        if column in self.measurement.label_names:
            return _Label
        return _Number | None if column in self.measurement.field_names else Any

    def read(self, encoded: msgspec.Raw, *, binary: bool) -> tuple[list[Row], Refusals]:
        """Return the good rows, and how many were refused for which reason.

        Raises msgspec's `DecodeError` when what is there is not even a list.
        """
        try:
            good: list[Row] = self._decode_msgpack(encoded) if binary else self._decode_json(encoded)
        except msgspec.DecodeError:
            return self._read_one_by_one(encoded, binary=binary)
        if self._has_null_characters(good):
            return self._read_one_by_one(encoded, binary=binary)
        return good, _NONE_REFUSED

    def _read_one_by_one(self, encoded: msgspec.Raw, *, binary: bool) -> tuple[list[Row], Refusals]:
        rows = decode_rows(encoded, binary=binary)
        good: list[Row] = []
        refused: Refusals = Counter()
        for row in rows:
            try:
                checked: Row = msgspec.convert(row, self._row)
            except msgspec.ValidationError:
                refused[_why(row, len(self.offered))] += 1
            else:
                if self._has_null_characters([checked]):
                    refused["wrong_type"] += 1
                else:
                    good.append(checked)
        return good, refused

    def _has_null_characters(self, rows: list[Row]) -> bool:
        """PostgreSQL's text cannot hold U+0000."""
        return any("\0" in "".join([row[place] for row in rows]) for place in self._label_places)


def decode_rows(encoded: msgspec.Raw, *, binary: bool) -> list[Any]:
    """The rows as they came, unchecked. Raises msgspec's `DecodeError`."""
    return msgspec.msgpack.decode(encoded, type=list) if binary else msgspec.json.decode(encoded, type=list)


def _why(row: Any, columns: int) -> RefusalReason:
    if not isinstance(row, list | tuple) or len(row) != columns:
        return "malformed"
    if any(isinstance(value, float) and not math.isfinite(value) for value in row):
        return "not_finite"
    return "wrong_type"


def readers_for(layout: Layout) -> tuple[dict[str, RowReader], dict[str, list[str]]]:
    """Return a reader for each measurement we know, and the offered names that are ignored.

    Raises `LayoutError` when labels are missing or a column is there twice.
    """
    readers: dict[str, RowReader] = {}
    ignored: dict[str, list[str]] = {}
    for name, offered in layout.items():
        measurement = _AGENT_MEASUREMENTS.get(name)
        if measurement is None:
            ignored[name] = list(offered)
            continue
        readers[name] = RowReader(measurement, offered)
        if readers[name].ignored:
            ignored[name] = readers[name].ignored
    return readers, ignored


def columns_of(groups: list[tuple[RowReader, list[Row]]]) -> list[list[Any]]:
    """Turn rows into the hypertable's label and field columns, None where a reader's agent does not offer one."""
    columns: list[list[Any]] = [[] for _ in groups[0][0].measurement.columns]
    for reader, rows in groups:
        offered = list(zip(*rows, strict=True))
        for column, place in zip(columns, reader.order, strict=True):
            column.extend(offered[place] if place is not None else [None] * len(rows))
    return columns
