"""The panels of the history tab: one metric each, read side by side."""

import asyncio
from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime, tzinfo
from typing import Any

from dash import dcc, html

from chatops_client import ApiError, BackendUnreachableError
from chatops_dashboards.components.attributes import dashed
from chatops_dashboards.components.states import failure
from chatops_dashboards.figures.bands import Span, add_strip, spans_of_metrics
from chatops_dashboards.figures.command_marks import add_commands
from chatops_dashboards.figures.cursor import add_cursor
from chatops_dashboards.figures.frame import GRAPH_CONFIG
from chatops_dashboards.figures.history_chart import HEIGHT, MOST_SERIES, choose, describe, history_figure, series_name
from chatops_dashboards.pages.server.alert_marks import alerts_of
from chatops_dashboards.pages.server.command_marks import commands_of
from chatops_dashboards.pages.server.history_query import HistoryQuery
from chatops_dashboards.session import Session
from chatops_dashboards.units import UNKNOWN, format_value
from chatops_protocol.catalog import find_metric
from chatops_protocol.command_resources import Command
from chatops_protocol.resources import MetricSeries

POINTS = 400


async def charts(
    session: Session,
    server_id: int,
    asked: HistoryQuery,
    zone: tzinfo,
    now: datetime,
    moment: datetime | None = None,
) -> tuple[list[Any], list[str]]:
    """A panel per metric, and the names of all series there are. A metric that fails takes no other along. `moment`: of
    the past, marked by a line, with the values there."""
    start, end = asked.range(now, moment)

    async def fetch(metric: str) -> MetricSeries | Exception:
        try:
            return await session.client.history_series(server_id, metric, start, end, points=POINTS)
        except (ApiError, BackendUnreachableError) as error:
            return error

    alerts, commands, answers = await asyncio.gather(
        alerts_of(session, server_id, start, end),
        commands_of(session, server_id, start, end),
        asyncio.gather(*(fetch(metric) for metric in asked.metrics)),
    )
    names: dict[str, None] = {}
    panels = []
    for metric, answer in zip(asked.metrics, answers, strict=True):
        if isinstance(answer, MetricSeries):
            names |= {series_name(series.labels): None for series in answer.series if series.labels}
            spans = spans_of_metrics(alerts, (metric,))
            panels.append(panel(metric, answer, asked.series, start, end, zone, spans, commands, moment))
        else:
            panels.append(html.Section(failure(answer, metric), className="panel"))
    return panels, sorted(names)


def panel(
    metric: str,
    answer: MetricSeries,
    shown: Sequence[str],
    start: datetime,
    end: datetime,
    zone: tzinfo,
    spans: Sequence[Span] = (),
    commands: Sequence[Command] = (),
    moment: datetime | None = None,
) -> html.Section:
    found = find_metric(metric)
    description = found[1].description if found else ""
    has_data = any(value is not None for series in answer.series for value in series.avg)
    hidden = len(answer.series) - len(choose(answer, shown)) if not shown else 0
    figure = history_figure(answer, start, end, zone, shown)
    add_strip(figure, spans, start, end, zone)
    add_commands(figure, commands, start, end, zone)
    if moment is not None:
        add_cursor(figure, moment, zone)
    return html.Section(
        [
            html.Div(
                [
                    html.Div(
                        [
                            html.H2(metric),
                            html.Span(description, className="dim small"),
                            moment_values(answer, shown, moment) if moment is not None else None,
                        ]
                    ),
                    html.Span(
                        describe(answer), className="dim small", title="Average line; the band is minimum to maximum"
                    )
                    if has_data
                    else None,
                ],
                className="panel-head wrap",
            ),
            dcc.Graph(
                id={"type": "history-chart", "metric": metric},
                figure=figure,
                config=GRAPH_CONFIG,
                style={"height": HEIGHT},
                className="chart",
            )
            if has_data
            else html.Div("No readings in this range.", className="state-line"),
            html.P(f"{hidden} more series; choose which to show above.", className="dim small")
            if hidden and len(answer.series) > MOST_SERIES
            else None,
        ],
        className="panel",
        **dashed(aria_label=f"{metric}, history"),
    )


def moment_values(answer: MetricSeries, shown: Sequence[str], moment: datetime) -> html.Div:
    """What each series of the chart was at the moment: the point that holds it, or none."""
    words = []
    for series in choose(answer, shown):
        value = value_at(series.time, series.avg, moment, answer.bucket_seconds)
        text = UNKNOWN if value is None else format_value(value, answer.unit)
        words.append(" ".join(part for part in (series_name(series.labels) if series.labels else "", text) if part))
    return html.Div(["At the moment: ", html.B(", ".join(words) or UNKNOWN)], className="small numeric moment-values")


def value_at(
    times: Sequence[datetime], values: Sequence[float | None], moment: datetime, bucket_seconds: float
) -> float | None:
    """The last point at or before it that is not further away than points are apart, with room for a late one."""
    index = bisect_right(times, moment) - 1
    if index < 0 or (moment - times[index]).total_seconds() > max(2 * bucket_seconds, 30.0):
        return None
    return values[index]
