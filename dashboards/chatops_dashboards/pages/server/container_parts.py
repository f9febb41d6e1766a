"""Charts and details of the chosen container, kept fresh while one looks."""

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from dash import dcc, html

from chatops_client import ApiError, BackendUnreachableError
from chatops_dashboards.components.container_details import details
from chatops_dashboards.components.container_hosts import still_reason
from chatops_dashboards.components.states import notice
from chatops_dashboards.figures.frame import GRAPH_CONFIG
from chatops_dashboards.figures.history_chart import describe, history_figure
from chatops_dashboards.live import Push, View
from chatops_dashboards.pages.server.chosen_container import Chosen
from chatops_dashboards.session import Session
from chatops_protocol.resources import MetricSeries

CHARTS = {
    "cpu": ("container.cpu_percent", "CPU", "share of one core"),
    "memory": ("container.memory_used_bytes", "Memory", "in use, page cache left out"),
}
SPAN = timedelta(hours=1)
POINTS = 240
HEIGHT = 230
DRAW_EVERY_S = 10.0
TRY_AGAIN_S = 10.0
# As the agent shortens it in the label.
SHORT_ID = 12
HIDDEN = {"display": "none"}


def charts_frame() -> html.Div:
    return html.Div(
        [
            html.Section(
                [
                    html.Div(
                        [
                            html.Div([html.H3(title), html.Span(of, className="dim small")]),
                            html.Span(id=f"container-chart-{name}-tier", className="dim small"),
                        ],
                        className="panel-head wrap",
                    ),
                    html.Div("Asking for the readings…", id=f"container-chart-{name}-note", className="state-line"),
                    html.Div(
                        dcc.Graph(
                            id=f"container-chart-{name}",
                            figure={"data": [], "layout": {"height": HEIGHT}},
                            config=GRAPH_CONFIG,
                            style={"height": HEIGHT},
                            className="chart",
                        ),
                        id=f"container-chart-{name}-box",
                        style=HIDDEN,
                    ),
                ],
                className="container-chart",
            )
            for name, (_, title, of) in CHARTS.items()
        ],
        className="container-charts",
    )


def figure_of(answer: MetricSeries, start: datetime, end: datetime, zone: tzinfo) -> dict[str, Any]:
    """The history's figure for one series: from zero to what it needs, and a zoom survives the next reading."""
    figure = history_figure(answer, start, end, zone)
    layout = figure["layout"]
    layout |= {"height": HEIGHT, "showlegend": False, "uirevision": f"{answer.metric}"}
    layout["yaxis"] = {key: value for key, value in layout["yaxis"].items() if key not in ("range", "dtick")}
    layout["yaxis"]["autorange"] = True
    return figure


async def draw_charts(session: Session, view: View, chosen: Chosen, zone: tzinfo, push: Push) -> None:
    """The last hour, of this container alone: one that is made anew begins anew."""
    server_id = int(view["server_id"])
    while True:
        while chosen.entry is None:
            await chosen.changed()
        end = datetime.now(UTC)
        labels = {"container_id": chosen.entry.id[:SHORT_ID]}
        for name, (metric, _, _) in CHARTS.items():
            try:
                answer = await session.client.history_series(
                    server_id, metric, end - SPAN, end, points=POINTS, labels=labels
                )
            except (ApiError, BackendUnreachableError) as error:
                push(f"container-chart-{name}-note", children=notice(still_reason(error), "warning"))
                continue
            known = any(value is not None for series in answer.series for value in series.avg)
            words = None if known else "No readings in the last hour: it did not run, or has just begun."
            push(f"container-chart-{name}-note", children=words)
            push(f"container-chart-{name}-box", style={} if known else HIDDEN)
            if known:
                push(f"container-chart-{name}", figure=figure_of(answer, end - SPAN, end, zone))
                push(f"container-chart-{name}-tier", children=f"Last hour, {describe(answer)}")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(chosen.changed(), DRAW_EVERY_S)


async def draw_details(session: Session, view: View, chosen: Chosen, zone: tzinfo, push: Push) -> None:
    """Asked again when the container lives differently."""
    while True:
        while chosen.entry is None:
            await chosen.changed()
        within: float | None = None
        try:
            found = await session.client.containers.inspect(int(view["server_id"]), chosen.entry.id)
        except (ApiError, BackendUnreachableError) as error:
            push("container-details", children=notice(f"{still_reason(error)} Trying again…", "warning"))
            within = TRY_AGAIN_S
        else:
            push("container-details", children=details(found, datetime.now(UTC), zone))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(chosen.changed(), within)
