"""The controls of the Explore page, set as a query says. What they are set to is read in `drawing.py`."""

from collections.abc import Sequence
from datetime import datetime, tzinfo
from typing import Any

import dash_mantine_components as dmc
from dash import html

from chatops_dashboards.components.attributes import dashed
from chatops_dashboards.components.icons import icon
from chatops_dashboards.moments import absolute
from chatops_dashboards.pages.explore.query import (
    AGGREGATE_WORDS,
    MOST_GROUPS,
    MOST_METRICS,
    MOST_SERVERS,
    TOP_BY,
    TOPS,
    VIEWS,
    ExploreQuery,
    group_choices,
)
from chatops_dashboards.pages.server.history_query import PRESET_WORDS
from chatops_protocol.catalog import MEASUREMENTS, find_metric
from chatops_protocol.resources import Server

UNIT_WORDS = {
    "percent": "%",
    "bytes": "bytes",
    "bytes_per_second": "bytes/s",
    "per_second": "per second",
    "seconds": "seconds",
    "celsius": "°C",
    "count": "count",
    "load": "tasks",
    "value": "value",
}
# What people say, by the measurements they mean.
SAID = {"filesystem": "disk full space", "cpu": "processor", "host": "processor ram"}
GROUP_WORDS = {"server_id": "server", "tag": "tag"}


def metric_choices() -> list[dict[str, Any]]:
    """The catalogue as groups of a picker. What a metric means and its unit are searched too."""
    return [
        {
            "group": measurement.description,
            "items": [
                {"value": name, "label": f"{name} · {field.description} ({UNIT_WORDS[field.unit]})"}
                for field in measurement.fields
                if find_metric(name := f"{measurement.name}.{field.name}")
            ],
        }
        for measurement in MEASUREMENTS
    ]


def server_choices(servers: Sequence[Server]) -> list[dict[str, str]]:
    return [{"value": str(one.id), "label": one.name} for one in sorted(servers, key=lambda one: one.name.lower())]


def tag_choices(servers: Sequence[Server]) -> list[str]:
    return sorted({tag for server in servers for tag in server.tags})


def group_data(metrics: tuple[str, ...]) -> list[dict[str, str]]:
    return [{"value": name, "label": GROUP_WORDS.get(name, name)} for name in group_choices(metrics)]


def local(moment: datetime, zone: tzinfo) -> str:
    return moment.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")


def controls(asked: ExploreQuery, servers: Sequence[Server], now: datetime, zone: tzinfo) -> list[Any]:
    """Three rows: what, when, how."""
    return [_what(asked, servers), _when(asked, now, zone), _how(asked)]


def _what(asked: ExploreQuery, servers: Sequence[Server]) -> html.Div:
    known = server_choices(servers)
    strange = [str(one) for one in asked.servers if one not in {server.id for server in servers}]
    return html.Div(
        [
            html.Div(
                dmc.MultiSelect(
                    id="explore-metrics",
                    data=metric_choices(),
                    filter={"function": "exploreMetricFilter", "options": {"said": SAID}},
                    value=list(asked.metrics),
                    maxValues=MOST_METRICS,
                    searchable=True,
                    hidePickedOptions=True,
                    label="Metrics",
                    placeholder="Search by name or meaning" if not asked.metrics else "",
                    nothingFoundMessage="No metric is called so",
                    maxDropdownHeight=360,
                ),
                className="explore-field explore-metrics",
            ),
            html.Div(
                dmc.MultiSelect(
                    id="explore-servers",
                    data=known + [{"value": one, "label": f"server {one} (not there)"} for one in strange],
                    value=[str(one) for one in asked.servers],
                    maxValues=MOST_SERVERS,
                    searchable=True,
                    clearable=True,
                    hidePickedOptions=True,
                    label="Servers",
                    placeholder="All" if not asked.servers else "",
                    limit=100,
                ),
                className="explore-field",
            ),
            dmc.Select(
                id="explore-tag",
                data=sorted({*tag_choices(servers), *([asked.tag] if asked.tag else [])}),
                value=asked.tag or None,
                label="and all with the tag",
                placeholder="–",
                clearable=True,
                searchable=True,
                w=170,
            ),
        ],
        className="toolbar",
    )


def _when(asked: ExploreQuery, now: datetime, zone: tzinfo) -> html.Div:
    start, end = asked.range(now)
    return html.Div(
        [
            dmc.SegmentedControl(
                id="explore-preset",
                value="custom" if asked.start else asked.preset,
                data=[{"value": key, "label": word} for key, word in PRESET_WORDS.items()]
                + [{"value": "custom", "label": "Custom"}],
                size="xs",
                **dashed(aria_label="Range"),
            ),
            html.Div(
                [_time("start", "From", start, zone), _time("end", "To", end, zone)],
                id="explore-custom",
                className="custom-range",
                style={} if asked.start else {"display": "none"},
            ),
            dmc.Button(
                [icon("refresh", 16), html.Span("Refresh", className="button-word")],
                id="explore-refresh",
                variant="default",
                size="xs",
            ),
            dmc.SegmentedControl(
                id="explore-view",
                value=asked.view,
                data=[{"value": key, "label": word} for key, word in VIEWS.items()],
                size="xs",
                **dashed(aria_label="Show as"),
            ),
        ],
        className="toolbar",
    )


def _time(name: str, label: str, moment: datetime, zone: tzinfo) -> dmc.DateTimePicker:
    return dmc.DateTimePicker(
        id=f"explore-{name}",
        value=local(moment, zone),
        label=label,
        size="xs",
        w=190,
        withSeconds=False,
        valueFormat="YYYY-MM-DD HH:mm",
    )


def _how(asked: ExploreQuery) -> html.Div:
    return html.Div(
        [
            dmc.Select(
                id="explore-aggregate",
                data=[{"value": key, "label": word} for key, word in AGGREGATE_WORDS.items()],
                value=asked.aggregate,
                label="Join series by",
                placeholder="each by itself",
                clearable=True,
                size="xs",
                w=170,
            ),
            dmc.MultiSelect(
                id="explore-group",
                data=group_data(asked.metrics),
                value=list(asked.group_by),
                maxValues=MOST_GROUPS,
                label="One for each",
                placeholder="one in all" if not asked.group_by else "",
                clearable=True,
                size="xs",
                w=220,
                disabled=not asked.aggregate,
            ),
            dmc.Select(
                id="explore-top",
                data=[{"value": str(number), "label": f"{number} highest"} for number in TOPS],
                value=str(asked.top),
                label="Show the",
                allowDeselect=False,
                size="xs",
                w=120,
            ),
            dmc.Select(
                id="explore-by",
                data=[{"value": key, "label": word} for key, word in TOP_BY.items()],
                value=asked.top_by,
                label="measured",
                allowDeselect=False,
                size="xs",
                w=150,
            ),
            dmc.Switch(id="explore-events", label="Alerts, commands, agents", checked=asked.events, size="xs", mb=6),
        ],
        className="toolbar",
        id="explore-how",
    )


def range_words(start: datetime, end: datetime, zone: tzinfo) -> str:
    return f"{absolute(start, zone)} to {absolute(end, zone)}"
