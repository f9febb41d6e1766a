"""What a collector is, and how its readings become rows. `collection.py` runs them."""

import math
from collections.abc import Mapping
from typing import Any, Protocol

from chatops_protocol.catalog import Field, Measurement

# Of what is no whole number. Beyond them a share or a rate of a few seconds says nothing, and the columnstore, which
# keeps what differs between neighbours, would need twice the room for it (docs/performance.md).
SIGNIFICANT_BITS = 16

Row = list[Any]
Readings = dict[str, float | None]


class Collector(Protocol):
    """Reads one measurement. `now` is in seconds of a clock that never steps. It may raise: the caller counts that."""

    measurement: Measurement

    def collect(self, now: float) -> list[Row]: ...


def row(measurement: Measurement, labels: Mapping[str, str], readings: Mapping[str, float | None]) -> Row:
    """Order labels and readings by the catalogue; what was not read, or is not a finite number, is None.

    Sizes and counts are exact, times are whole seconds, and all else has `SIGNIFICANT_BITS`: off by 0.0008 % at most.
    """
    names = measurement.field_names
    if not readings.keys() <= set(names):
        raise ValueError(f"{measurement.name} has no field {', '.join(sorted(readings.keys() - set(names)))}")
    return [
        *(_text(labels[name]) for name in measurement.label_names),
        *(_reading(field, readings.get(field.name)) for field in measurement.fields),
    ]


def _reading(field: Field, value: float | None) -> float | None:
    if value is None or not math.isfinite(value):
        return None
    return float(round(value)) if field.unit == "seconds" else significant(float(value))


def significant(value: float) -> float:
    """The nearest number of `SIGNIFICANT_BITS`; a whole number as it is."""
    if value.is_integer():
        return value
    part, exponent = math.frexp(value)
    return math.ldexp(round(part * 2**SIGNIFICANT_BITS), exponent - SIGNIFICANT_BITS)


def _text(label: str) -> str:
    """Names of the file system need not be UTF-8, the wire must be; PostgreSQL stores no NUL."""
    return label.encode("utf-8", "surrogateescape").decode("utf-8", "replace").replace("\0", "�")
