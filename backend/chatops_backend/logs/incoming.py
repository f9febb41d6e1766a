"""Checks the log lines of a frame and brings them into the order of the table's columns. Pure.

As with readings one bad line costs one line. A line has a time of its own, and is judged by it alone.
"""

import math
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from chatops_backend.ingest.rows import LayoutError, Refusals, decode_rows
from chatops_protocol.agent_messages import RefusalReason
from chatops_protocol.log_lines import LOG_COLUMNS, Level, Message, Source

# What retention would soon drop again.
OLDEST_S = 30 * 86_400.0
NEWEST_S = 300.0
_TYPES: dict[str, Any] = {"time": float, "source": Source, "level": Level | None, "message": Message}
_NONE_REFUSED: Refusals = Counter()

# time, source, level, message
Line = tuple[datetime, str, str | None, str]


class LineReader:
    """Reads lines whose values stand in the order of `offered`; columns we do not know are skipped."""

    def __init__(self, offered: Sequence[str]) -> None:
        if set(LOG_COLUMNS) - set(offered) or len(set(offered)) != len(offered):
            raise LayoutError(f"log: the columns must be {', '.join(LOG_COLUMNS)}, each once")
        self.ignored = [column for column in offered if column not in LOG_COLUMNS]
        row: Any = tuple[tuple(_TYPES.get(column, Any) for column in offered)]  # type: ignore[misc]
        self._row = row
        self._width = len(offered)
        self._places = tuple(offered.index(column) for column in LOG_COLUMNS)
        self._decode_json = msgspec.json.Decoder(list[row]).decode
        self._decode_msgpack = msgspec.msgpack.Decoder(list[row]).decode

    def read(self, encoded: msgspec.Raw, now: float, *, binary: bool) -> tuple[list[Line], Refusals]:
        """Return the good lines, and how many were refused for which reason.

        Raises msgspec's `DecodeError` when what is there is not even a list.
        """
        refused = _NONE_REFUSED
        try:
            rows: list[Any] = self._decode_msgpack(encoded) if binary else self._decode_json(encoded)
        except msgspec.DecodeError:
            rows, refused = self._one_by_one(encoded, binary=binary)
        lines: list[Line] = []
        time_, source, level, message = self._places
        for row in rows:
            reason = _refusal_of(row[time_], now)
            if reason is None:
                lines.append((datetime.fromtimestamp(row[time_], UTC), row[source], row[level], row[message]))
            else:
                refused = refused + Counter({reason: 1})
        return lines, refused

    def _one_by_one(self, encoded: msgspec.Raw, *, binary: bool) -> tuple[list[Any], Refusals]:
        good: list[Any] = []
        refused: Refusals = Counter()
        for row in decode_rows(encoded, binary=binary):
            try:
                good.append(msgspec.convert(row, self._row))
            except msgspec.ValidationError:
                is_row = isinstance(row, list | tuple) and len(row) == self._width
                refused["wrong_type" if is_row else "malformed"] += 1
        return good, refused


def _refusal_of(time: float, now: float) -> RefusalReason | None:
    if not math.isfinite(time):
        return "not_finite"
    if time < now - OLDEST_S:
        return "too_old"
    return "in_the_future" if time > now + NEWEST_S else None
