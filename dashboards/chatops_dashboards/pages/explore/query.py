"""The state of the Explore page as the address bar, a share link and a saved view hold it. Decodes what people may have
edited: whatever is not understood is the default."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import msgspec

from chatops_dashboards.pages.server.history_query import PRESETS, HistoryQuery
from chatops_protocol.analysis_resources import SeriesForecast
from chatops_protocol.catalog import find_metric
from chatops_protocol.resources import AGGREGATES, Aggregate, Series, Tag, TopBy

PLACE = "/explore"
MOST_METRICS = 6
MOST_SERVERS = 200
MOST_GROUPS = 6
LONGEST_SERIES = 2000
VIEWS = {"chart": "Chart", "table": "Table", "heat": "Heat map"}
AGGREGATE_WORDS: dict[str, str] = {
    "avg": "Average",
    "min": "Lowest",
    "max": "Highest",
    "sum": "Sum",
    "count": "Count of readings",
    "last": "Last",
    "p50": "Median",
    "p90": "90th percentile",
    "p95": "95th percentile",
    "p99": "99th percentile",
}
TOPS = (5, 10, 20, 50, 100)
DEFAULT_TOP = 10
TOP_BY: dict[TopBy, str] = {"avg": "on average", "max": "at their maximum"}


@dataclass(frozen=True)
class SeriesChoice:
    """One series of one metric, chosen for a forecast and for explanations."""

    metric: str
    server_id: int | None
    labels: tuple[tuple[str, str], ...]

    def text(self) -> str:
        return msgspec.json.encode([self.metric, self.server_id, dict(self.labels)]).decode()

    @classmethod
    def of(cls, metric: str, series: Series | SeriesForecast) -> "SeriesChoice":
        return cls(metric, series.server_id, tuple((name, _word(value)) for name, value in series.labels.items()))

    @classmethod
    def read(cls, text: Any) -> "SeriesChoice | None":
        if not isinstance(text, str) or len(text) > LONGEST_SERIES:
            return None
        try:
            metric, server_id, labels = msgspec.json.decode(text, type=tuple[str, int | None, dict[str, str]])
        except (msgspec.MsgspecError, RecursionError):
            return None
        return cls(metric, server_id, tuple(labels.items())) if find_metric(metric) else None


@dataclass(frozen=True)
class ExploreQuery:
    """No server and no tag: all servers that whoever looks may see. A preset range ends now; a custom one has `start`
    and `end` (UTC)."""

    metrics: tuple[str, ...] = ()
    servers: tuple[int, ...] = ()
    tag: str = ""
    preset: str = "6h"
    start: datetime | None = None
    end: datetime | None = None
    aggregate: Aggregate | None = None
    group_by: tuple[str, ...] = ()
    top: int = DEFAULT_TOP
    top_by: TopBy = "avg"
    view: str = "chart"
    events: bool = True
    series: SeriesChoice | None = None
    forecast: bool = False

    def range(self, now: datetime) -> tuple[datetime, datetime]:
        if self.start is not None and self.end is not None and self.start < self.end:
            return self.start, self.end
        return now - PRESETS[self.preset], now

    def to_query(self) -> dict[str, str]:
        """Only what differs from the defaults, so that links stay short."""
        query: dict[str, str] = {}
        if self.metrics:
            query["metric"] = ",".join(self.metrics)
        if self.servers:
            query["server"] = ",".join(map(str, self.servers))
        if self.tag:
            query["tag"] = self.tag
        query |= HistoryQuery(preset=self.preset, start=self.start, end=self.end).to_query()
        del query["tab"]
        if self.aggregate:
            query["aggregate"] = self.aggregate
            if self.group_by:
                query["group"] = ",".join(self.group_by)
        if self.top != DEFAULT_TOP:
            query["top"] = str(self.top)
        if self.top_by != "avg":
            query["by"] = self.top_by
        if self.view != "chart":
            query["view"] = self.view
        if not self.events:
            query["events"] = "off"
        if self.series is not None:
            query["series"] = self.series.text()
        if self.forecast:
            query["forecast"] = "on"
        return query

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> "ExploreQuery":
        metrics = tuple(dict.fromkeys(name for name in query.get("metric", "").split(",") if find_metric(name)))
        aggregate = read_aggregate(query.get("aggregate"))
        time = HistoryQuery.from_query({"range": "6h"} | {k: query[k] for k in ("range", "start", "end") if k in query})
        preset = query.get("range", "6h")
        top = query.get("top", "")
        return cls(
            metrics=metrics[:MOST_METRICS],
            servers=_ids(query.get("server", "")),
            tag=read_tag(query.get("tag")),
            preset=preset if preset in PRESETS else "6h",
            start=time.start,
            end=time.end,
            aggregate=aggregate,
            group_by=groups(query.get("group", "").split(","), metrics[:MOST_METRICS])
            if aggregate in AGGREGATES
            else (),
            top=int(top) if top in map(str, TOPS) else DEFAULT_TOP,
            top_by=read_top_by(query.get("by")),
            view=query.get("view", "chart") if query.get("view") in VIEWS else "chart",
            events=query.get("events") != "off",
            series=SeriesChoice.read(query.get("series")),
            forecast=query.get("forecast") == "on",
        )

    def but(self, **changes: Any) -> "ExploreQuery":
        return replace(self, **changes)


def group_choices(metrics: tuple[str, ...]) -> tuple[str, ...]:
    """What all of these metrics can be grouped by."""
    found = [find_metric(metric) for metric in metrics]
    labels = [set(one[0].label_names) for one in found if one is not None]
    shared = set.intersection(*labels) if labels else set()
    first = found[0][0].label_names if found and found[0] else ()
    return ("server_id", "tag", *(name for name in first if name in shared))


def groups(names: Any, metrics: tuple[str, ...]) -> tuple[str, ...]:
    known = group_choices(metrics)
    return tuple(dict.fromkeys(name for name in names or () if name in known))[:MOST_GROUPS]


def read_aggregate(text: Any) -> Aggregate | None:
    return next((one for one in AGGREGATES if one == text), None)


def read_top_by(text: Any) -> TopBy:
    return next((one for one in TOP_BY if one == text), "avg")


def read_tag(text: Any) -> str:
    try:
        tag: str = msgspec.convert(text, Tag)
    except msgspec.ValidationError:
        return ""
    return tag


def _ids(text: str) -> tuple[int, ...]:
    found = (int(word) for word in text.split(",") if word.isascii() and word.isdecimal() and len(word) < 11)
    return tuple(dict.fromkeys(one for one in found if 0 < one < 2**31))[:MOST_SERVERS]


def _word(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else msgspec.json.encode(value).decode()
