"""The heat map of the Explore page: servers by time for one metric, each cell a way to its server at its moment."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from dash import dcc, html

from chatops_dashboards.components.attributes import dashed
from chatops_dashboards.components.states import failure, notice
from chatops_dashboards.components.tables import data_table
from chatops_dashboards.figures.explore_chart import NamedSeries
from chatops_dashboards.figures.frame import GRAPH_CONFIG
from chatops_dashboards.figures.heat_map import MOST_ROWS, heat_figure, row_names
from chatops_dashboards.figures.history_chart import describe
from chatops_dashboards.moments import absolute, from_axis
from chatops_dashboards.pages.explore.absent import metric_title, no_readings
from chatops_dashboards.pages.explore.reading import Answered, Reading
from chatops_dashboards.units import format_value

HIGHEST_LISTED = 10


def heat_panel(answered: Answered, reading: Reading, zone: tzinfo) -> html.Section:
    title = metric_title(answered.metric)
    if answered.answer is None:
        error = answered.error or RuntimeError("no answer and no reason")
        return html.Section([title, failure(error, answered.metric)], className="panel")
    rows = list(answered.shown(MOST_ROWS))
    if not rows:
        return html.Section([title, no_readings(reading)], className="panel")
    figure = heat_figure(answered.answer, rows, reading.start, reading.end, zone)
    silent = len(reading.servers) - len(rows)
    return html.Section(
        [
            html.Div([title, html.Span(describe(answered.answer), className="dim small")], className="panel-head wrap"),
            html.P("The highest first. Choose a cell to see that server at that moment.", className="dim small tight"),
            dcc.Graph(
                id="explore-heat",
                figure=figure,
                config=GRAPH_CONFIG | {"doubleClick": False},
                style={"height": figure["layout"]["height"]},
                className="chart explore-heat",
            ),
            dcc.Store(
                id="explore-heat-rows",
                data={
                    "servers": dict(zip(row_names(rows), [row.series.server_id for row in rows], strict=True)),
                    "bucket_s": answered.answer.bucket_seconds,
                },
            ),
            notice(f"{silent} more servers have no readings in this range.") if silent > 0 else None,
            html.H3("The highest moments"),
            _highest(rows, answered, zone),
        ],
        className="panel",
        **dashed(aria_label=f"{answered.metric}, heat map"),
    )


def _highest(rows: list[NamedSeries], answered: Answered, zone: tzinfo) -> html.Div:
    """The same way to a server at a moment for the keyboard, and for who does not see the colours."""
    unit = answered.answer.unit if answered.answer else "value"
    width = timedelta(seconds=answered.answer.bucket_seconds if answered.answer else 0)
    peaks: list[tuple[float, datetime, NamedSeries]] = []
    for row in rows:
        known = [(v, m) for v, m in zip(row.series.max, row.series.time, strict=True) if v is not None]
        if known:
            peaks.append((*max(known, key=lambda one: one[0]), row))
    peaks.sort(key=lambda one: (-one[0], one[2].name))
    return data_table(
        [("Server", False), ("When", False), ("Highest", True)],
        [
            [
                dcc.Link(row.name, href=server_at(row.series.server_id or 0, moment + width / 2)),
                absolute(moment, zone)[:16],
                format_value(value, unit),
            ]
            for value, moment, row in peaks[:HIGHEST_LISTED]
        ],
        caption="Each server's highest moment",
    )


def server_at(server_id: int, moment: datetime) -> str:
    """The server's page at a moment of the past."""
    return f"/servers/{server_id}?at={moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def clicked_cell(click: Mapping[str, Any] | None, rows: Mapping[str, Any] | None, zone: tzinfo) -> str | None:
    """Where a click on the map leads; None when it hit no cell."""
    point = next(iter((click or {}).get("points") or []), None) or {}
    server_id = ((rows or {}).get("servers") or {}).get(point.get("y"))
    if not isinstance(server_id, int):
        return None
    try:
        moment = from_axis(str(point.get("x")), zone)
    except ValueError:
        return None
    return server_at(server_id, moment + timedelta(seconds=float((rows or {}).get("bucket_s") or 0) / 2))
