"""The charts of a server around a moment of the past: a line where it is, the values there, what fired and what ran."""

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta, tzinfo
from typing import Any

from dash import dcc, html

from chatops_client import ApiError
from chatops_dashboards.components.attributes import dashed
from chatops_dashboards.components.core_strip import core_strip
from chatops_dashboards.figures.bands import add_strip, spans_of_metrics
from chatops_dashboards.figures.command_marks import add_commands
from chatops_dashboards.figures.cursor import add_cursor
from chatops_dashboards.figures.frame import GRAPH_CONFIG
from chatops_dashboards.figures.live_charts import CHART_HEIGHT, CHARTS, LiveChart, chart_scale, live_figure
from chatops_dashboards.moments import on_axis
from chatops_dashboards.pages.server.alert_marks import alerts_of
from chatops_dashboards.pages.server.command_marks import commands_of
from chatops_dashboards.pages.server.live_words import now_texts
from chatops_dashboards.pages.server.past.absence import as_then, nothing_stored
from chatops_dashboards.pages.server.past.events import event_panels
from chatops_dashboards.pages.server.past.moment import around, kept_of
from chatops_dashboards.pages.server.past.reading import last_of, read_at
from chatops_dashboards.session import Session
from chatops_protocol.resources import MetricSeries, Series

POINTS = 240
NO_READINGS = "No readings around this moment"
# What the charts and the words beside their titles need.
FIELDS = tuple(dict.fromkeys([*(line.field for chart in CHARTS for line in chart.lines), "memory_total_bytes"]))


async def charts_then(
    session: Session, server_id: int, moment: datetime, _choice: str | None, zone: tzinfo, now: datetime
) -> Any:
    start, end = around(moment, now)
    answers, cores, alerts, commands, events = await asyncio.gather(
        asyncio.gather(*(_history(session, server_id, f"host.{field}", start, end) for field in FIELDS)),
        read_at(session, server_id, "cpu", moment, now, ("cpu_percent",)),
        alerts_of(session, server_id, start, end),
        commands_of(session, server_id, start, end),
        event_panels(session, server_id, moment, now, zone),
    )
    known = {field: answer for field, answer in zip(FIELDS, answers, strict=True) if answer is not None}
    history = {answer.metric: answer.series[0] if answer.series else None for answer in known.values()}
    # What the charts were drawn from has the values of the moment in it.
    found = last_of(known, moment)
    if found is not None and found.time < moment - max(
        kept_of(moment, now).reach, timedelta(seconds=found.bucket_seconds)
    ):
        found = None
    host = found.rows[0] if found is not None else {}
    panels = []
    for chart in CHARTS:
        figure = figure_then(chart, history, host, moment, start, end, zone)
        add_strip(figure, spans_of_metrics(alerts, [line.metric for line in chart.lines]), start, end, zone)
        add_commands(figure, commands, start, end, zone)
        panels.append(chart_panel(chart.name, chart.title, now_texts(host)[chart.name] if host else "", figure))
    panels.append(
        html.Section(
            [html.Div(html.H2("Cores"), className="panel-head"), core_strip(cores.rows if cores is not None else [])],
            className="panel",
        )
    )
    head: Any = as_then(found, zone, "The dotted line is the moment.") if found is not None else None
    if found is None:
        head = await nothing_stored(session, server_id, "this host", moment, now, zone)
    return html.Div([head, html.Div(events, className="chart-grid"), html.Div(panels, className="chart-grid")])


async def _history(
    session: Session, server_id: int, metric: str, start: datetime, end: datetime
) -> MetricSeries | None:
    """A metric that fails takes no other along, but there has to be such a server."""
    try:
        return await session.client.history_series(server_id, metric, start, end, points=POINTS)
    except ApiError as error:
        if error.status == 404:
            raise
        return None


def figure_then(
    chart: LiveChart,
    history: Mapping[str, Series | None],
    sizes: Mapping[str, Any],
    moment: datetime,
    start: datetime,
    end: datetime,
    zone: tzinfo,
) -> dict[str, Any]:
    """`sizes`: the fields that say how large an axis is."""
    largest = max(
        (
            value
            for line in chart.lines
            if (series := history.get(line.metric)) is not None
            for value in series.avg
            if value is not None
        ),
        default=None,
    )
    scale = chart_scale(chart, sizes, largest)
    top = chart.top
    if chart.sized_by and (total := sizes.get(chart.sized_by)):
        top = total / scale.divisor
    figure = live_figure(chart, history, scale, top, zone, NO_READINGS)
    figure["layout"]["xaxis"] |= {"range": [on_axis(start, zone), on_axis(end, zone)], "autorange": False}
    figure["layout"]["uirevision"] = f"{chart.name} {start} {end}"
    add_cursor(figure, moment, zone)
    return figure


def chart_panel(name: str, title: str, words: str, figure: dict[str, Any]) -> html.Section:
    return html.Section(
        [
            html.Div(
                [html.H2(title), html.Span(words, id=f"then-now-{name}", className="panel-now numeric")],
                className="panel-head",
            ),
            dcc.Graph(
                id=f"then-chart-{name}",
                figure=figure,
                config=GRAPH_CONFIG,
                style={"height": CHART_HEIGHT},
                className="chart",
            ),
        ],
        className="panel",
        **dashed(aria_label=f"{title}, around the moment"),
    )
