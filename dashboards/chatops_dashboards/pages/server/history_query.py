"""The state of the history tab as the address bar holds it. Decodes what people may have edited."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from chatops_dashboards.pages.server.past.moment import stretch
from chatops_protocol.catalog import find_metric

PRESETS: dict[str, timedelta] = {
    "15m": timedelta(minutes=15),
    "1h": timedelta(hours=1),
    "6h": timedelta(hours=6),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
    "90d": timedelta(days=90),
    "1y": timedelta(days=365),
}
PRESET_WORDS = {
    "15m": "15 min",
    "1h": "1 h",
    "6h": "6 h",
    "24h": "24 h",
    "7d": "7 d",
    "30d": "30 d",
    "90d": "90 d",
    "1y": "1 y",
}
DEFAULT_METRICS = ("host.cpu_percent", "host.memory_used_percent")
MOST_METRICS = 6


@dataclass(frozen=True)
class HistoryQuery:
    """A preset range ends now; a custom one has `start` and `end` (UTC)."""

    metrics: tuple[str, ...] = DEFAULT_METRICS
    series: tuple[str, ...] = ()
    preset: str = "1h"
    start: datetime | None = None
    end: datetime | None = None

    def range(self, now: datetime, moment: datetime | None = None) -> tuple[datetime, datetime]:
        """`moment`: of the past, which a preset range holds."""
        if self.start is not None and self.end is not None and self.start < self.end:
            return self.start, self.end
        return stretch(PRESETS[self.preset], moment, now)

    def to_query(self) -> dict[str, str]:
        """Only what differs from the defaults, so that links stay short."""
        query = {"tab": "history"}
        if self.metrics != DEFAULT_METRICS:
            query["metric"] = ",".join(self.metrics)
        if self.series:
            query["series"] = "\n".join(self.series)
        if self.start is not None and self.end is not None:
            query |= {"start": _text(self.start), "end": _text(self.end)}
        else:
            query["range"] = self.preset
        return query

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> "HistoryQuery":
        """Whatever is not understood is the default."""
        metrics = tuple(name for name in query.get("metric", "").split(",") if find_metric(name))[:MOST_METRICS]
        start, end = _moment(query.get("start")), _moment(query.get("end"))
        custom = start is not None and end is not None and start < end
        preset = query.get("range", "1h")
        return cls(
            metrics or DEFAULT_METRICS,
            tuple(name for name in query.get("series", "").split("\n") if name),
            preset if preset in PRESETS else "1h",
            start if custom else None,
            end if custom else None,
        )


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _moment(text: str | None) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment is not None and moment.tzinfo is not None else None
