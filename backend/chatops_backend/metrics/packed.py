"""Columns of points as `statements` has the database pack them: eight bytes a point. `reader` unpacks them.

Arrays of the driver made one object for each point twice as slowly, and took the embedded database a fifth longer.
"""

import math
import sys
from array import array
from datetime import UTC, datetime, timedelta

WIDTH = 8
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)  # PostgreSQL's


def packed_times(column: str) -> str:
    return f"string_agg(timestamptz_send({column}), '')"


def packed_values(column: str) -> str:
    """A missing value is NaN; so is one that somebody pushed, which no chart can show either."""
    return f"string_agg(float8send(coalesce({column}, 'NaN')), '')"


def unpack_times(packed: bytes) -> list[datetime]:
    passed = array("q", packed)
    if sys.byteorder == "little":
        passed.byteswap()
    return [_EPOCH + timedelta(microseconds=microseconds) for microseconds in passed]


def unpack_values(packed: bytes) -> list[float | None]:
    values = array("d", packed)
    if sys.byteorder == "little":
        values.byteswap()
    # One look at all: most columns have none missing.
    if not math.isnan(sum(values)):
        return [*values]
    return [None if math.isnan(value) else value for value in values]
