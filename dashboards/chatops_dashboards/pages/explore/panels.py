"""The middle of the Explore page: a chart per metric, a table, or a heat map."""

from collections.abc import Mapping
from datetime import tzinfo
from typing import Any

from dash import dcc, html

from chatops_dashboards.components.attributes import dashed
from chatops_dashboards.components.explore_legend import legend
from chatops_dashboards.components.states import failure
from chatops_dashboards.figures.bands import Span, add_strip, spans_of_metrics
from chatops_dashboards.figures.command_marks import add_commands
from chatops_dashboards.figures.connection_marks import add_connections
from chatops_dashboards.figures.explore_chart import HEIGHT, explore_figure
from chatops_dashboards.figures.frame import GRAPH_CONFIG
from chatops_dashboards.figures.history_chart import describe
from chatops_dashboards.figures.series_styles import styles
from chatops_dashboards.pages.explore.absent import metric_title, no_readings, no_servers
from chatops_dashboards.pages.explore.heat import heat_panel
from chatops_dashboards.pages.explore.marks import Happened
from chatops_dashboards.pages.explore.query import TOPS, ExploreQuery
from chatops_dashboards.pages.explore.reading import Answered, Reading
from chatops_dashboards.pages.explore.table import table_panel
from chatops_protocol.analysis_resources import SeriesForecast

# Bands of alerts along the foot of a chart; more would be one band.
MOST_SPANS = 60


def panels(
    asked: ExploreQuery,
    reading: Reading,
    happened: Happened,
    trends: Mapping[str, SeriesForecast],
    zone: tzinfo,
) -> list[Any]:
    """`trends` are by metric, of its chosen series."""
    if not reading.servers:
        return [no_servers(asked)]
    if asked.view == "heat":
        return [heat_panel(reading.answers[0], reading, zone)]
    if asked.view == "table":
        return [*_failures(reading), table_panel(asked, reading, zone)]
    return [_chart(answered, asked, reading, happened, trends, zone) for answered in reading.answers]


def _chart(
    answered: Answered,
    asked: ExploreQuery,
    reading: Reading,
    happened: Happened,
    trends: Mapping[str, SeriesForecast],
    zone: tzinfo,
) -> html.Section:
    title = metric_title(answered.metric)
    if answered.answer is None:
        error = answered.error or RuntimeError("no answer and no reason")
        return html.Section([title, failure(error, answered.metric)], className="panel")
    shown = answered.shown(asked.top)
    if not shown:
        return html.Section([title, no_readings(reading)], className="panel")
    style_of = styles(one.key for one in shown)
    figure = explore_figure(
        answered.answer, shown, style_of, reading.start, reading.end, zone, trends.get(answered.metric)
    )
    spans: list[Span] = spans_of_metrics(happened.alerts, (answered.metric,))[:MOST_SPANS]
    add_strip(figure, spans, reading.start, reading.end, zone)
    add_commands(figure, happened.commands, reading.start, reading.end, zone)
    names = {key: server.name for key, server in reading.servers.items()}
    add_connections(figure, happened.connections, names, reading.start, reading.end, zone)
    hidden = len(answered.series) - len(shown)
    lower = "lower on average" if asked.top_by == "avg" else "with a lower maximum"
    more = "“Show the” takes more of them in." if asked.top < TOPS[-1] else "Choose fewer servers, or join series."
    return html.Section(
        [
            html.Div([title, html.Span(describe(answered.answer), className="dim small")], className="panel-head wrap"),
            dcc.Graph(
                id={"type": "explore-chart", "metric": answered.metric},
                figure=figure,
                config=GRAPH_CONFIG | {"doubleClick": False},
                style={"height": HEIGHT},
                className="chart",
            ),
            legend(shown, style_of, answered.answer.unit),
            html.P(f"There are more series, all {lower}. {more}", className="dim small tight") if hidden else None,
        ],
        className="panel",
        **dashed(aria_label=f"{answered.metric}, chart"),
    )


def _failures(reading: Reading) -> list[Any]:
    return [failure(answered.error, answered.metric) for answered in reading.answers if answered.error is not None]
