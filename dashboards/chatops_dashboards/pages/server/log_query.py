"""The state of the logs tab as the address bar holds it. Decodes what people may have edited."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from chatops_client.logs import LineFilters
from chatops_dashboards.pages.server.history_query import PRESETS
from chatops_protocol.log_lines import MAX_SOURCE_LENGTH, Level

RANGES = {"15m": "15 min", "1h": "1 h", "24h": "24 h", "7d": "7 d", "30d": "30 d"}
DEFAULT_RANGE = "24h"
MOST_SEARCH = 500


@dataclass(frozen=True)
class LogQuery:
    """A preset range ends now and is followed; a custom one has `start` and `end` (UTC) and stands still."""

    level: Level | None = None
    source: str | None = None
    search: str | None = None
    preset: str = DEFAULT_RANGE
    start: datetime | None = None
    end: datetime | None = None

    @property
    def follows(self) -> bool:
        return self.start is None or self.end is None

    @property
    def filters(self) -> LineFilters:
        return {"level": self.level, "source": self.source, "search": self.search}

    @property
    def filtered(self) -> bool:
        return any(self.filters.values())

    def range(self, now: datetime) -> tuple[datetime, datetime | None]:
        """No end: to the newest line there is, also of a host whose clock is ahead."""
        if self.start is not None and self.end is not None:
            return self.start, self.end
        return now - PRESETS[self.preset], None

    def to_query(self) -> dict[str, str]:
        """Only what differs from the defaults, so that links stay short."""
        query = {"tab": "logs"} | {name: str(value) for name, value in self.filters.items() if value}
        if self.start is not None and self.end is not None:
            query |= {"start": _text(self.start), "end": _text(self.end)}
        elif self.preset != DEFAULT_RANGE:
            query["range"] = self.preset
        return query

    @classmethod
    def of(
        cls, level: Any, source: Any, search: Any, preset: Any, start: datetime | None, end: datetime | None
    ) -> "LogQuery":
        """Whatever is not understood is the default."""
        custom = start is not None and end is not None and start < end
        return cls(
            _level(level),
            str(source)[:MAX_SOURCE_LENGTH] if source else None,
            str(search).strip()[:MOST_SEARCH] or None if search else None,
            preset if preset in RANGES else DEFAULT_RANGE,
            start if custom else None,
            end if custom else None,
        )

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> "LogQuery":
        """From the address of a page; that of another tab says nothing about this one."""
        if query.get("tab") != "logs":
            return cls()
        start, end = _moment(query.get("start")), _moment(query.get("end"))
        return cls.of(query.get("level"), query.get("source"), query.get("search"), query.get("range"), start, end)


def _level(text: Any) -> Level | None:
    try:
        return msgspec.convert(text, Level | None)  # type: ignore[no-any-return]
    except msgspec.ValidationError:
        return None


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _moment(text: str | None) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment is not None and moment.tzinfo is not None else None
