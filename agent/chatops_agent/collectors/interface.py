"""What a collector is, and how its readings become rows. `collection.py` runs them."""

import math
from collections.abc import Mapping
from typing import Any, Protocol

from chatops_protocol.catalog import Measurement

Row = list[Any]
Readings = dict[str, float | None]


class Collector(Protocol):
    """Reads one measurement. `now` is in seconds of a clock that never steps. It may raise: the caller counts that."""

    measurement: Measurement

    def collect(self, now: float) -> list[Row]: ...


def row(measurement: Measurement, labels: Mapping[str, str], readings: Mapping[str, float | None]) -> Row:
    """Order labels and readings by the catalogue; what was not read, or is not a finite number, is None."""
    fields = measurement.field_names
    if not readings.keys() <= set(fields):
        raise ValueError(f"{measurement.name} has no field {', '.join(sorted(readings.keys() - set(fields)))}")
    return [
        *(_text(labels[name]) for name in measurement.label_names),
        *(_finite(readings.get(name)) for name in fields),
    ]


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


def _text(label: str) -> str:
    """Names of the file system need not be UTF-8, the wire must be; PostgreSQL stores no NUL."""
    return label.encode("utf-8", "surrogateescape").decode("utf-8", "replace").replace("\0", "�")
