"""The network tab: interfaces as a table, one of them as a chart that grows by push."""

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

import dash_mantine_components as dmc
from dash import Dash, Input, Output, State, dcc, html, no_update

from chatops_dashboards.components.attributes import dashed
from chatops_dashboards.components.server_tables import Row, network_table
from chatops_dashboards.figures.frame import GRAPH_CONFIG
from chatops_dashboards.figures.live_charts import (
    CHART_HEIGHT,
    INTERFACE_CHART,
    NO_READINGS,
    WINDOW_S,
    Peaks,
    chart_scale,
    extension,
    first_of,
    interval_of,
    live_figure,
)
from chatops_dashboards.live import LiveViews, Push, View
from chatops_dashboards.moments import from_unix
from chatops_dashboards.pages.server.rows import as_of, rows_of, table_or_empty
from chatops_dashboards.session import Session
from chatops_protocol.resources import Series

POINTS = 180
LOOPBACK = "lo"


async def content(session: Session, server_id: int, query: dict[str, str], zone: tzinfo) -> Any:
    latest = await session.client.latest(server_id)
    rows = rows_of(latest, "network")
    first = busiest(rows)
    chart = html.Section(
        [
            html.Div(
                [
                    html.H2("Last 15 minutes"),
                    dmc.Select(
                        id="network-interface",
                        data=names_of(rows),
                        value=first,
                        allowDeselect=False,
                        size="xs",
                        w=180,
                        **dashed(aria_label="Interface"),
                    ),
                ],
                className="panel-head",
            ),
            dcc.Graph(
                id="network-chart",
                figure=live_figure(INTERFACE_CHART, {}, chart_scale(INTERFACE_CHART, {}), None, zone),
                config=GRAPH_CONFIG,
                style={"height": CHART_HEIGHT},
                className="chart",
            ),
        ],
        className="panel",
    )
    return html.Div(
        [
            html.Div(as_of(latest.time, zone), id="server-as-of"),
            html.Div(
                table_or_empty(rows, network_table, "The agent has not reported an interface."),
                id="server-rows",
                className="panel flush",
            ),
            chart,
            dcc.Store(id="live-view", data={"kind": "server-network", "server_id": server_id, "interface": first}),
        ],
        className="stack",
    )


def names_of(rows: Sequence[Row]) -> list[str]:
    return sorted(str(row.get("interface")) for row in rows)


def busiest(rows: Sequence[Row]) -> str | None:
    """The interface to show first: what a machine says to itself is of interest last."""
    found = max(
        rows,
        key=lambda row: (row.get("interface") != LOOPBACK, row.get("receive_bytes_per_second") or 0.0),
        default={},
    )
    return found.get("interface")


async def stream(session: Session, view: View, zone: tzinfo, push: Push) -> None:
    """The table, and the chosen interface's chart, with each reading; anew when its axis needs another unit."""
    while True:
        await _stream_until_outdated(session, int(view["server_id"]), view.get("interface"), zone, push)


async def _stream_until_outdated(
    session: Session, server_id: int, interface: str | None, zone: tzinfo, push: Push
) -> None:
    history = await interface_history(session, server_id, interface) if interface else {}
    peaks = Peaks(INTERFACE_CHART, history)
    scale = chart_scale(INTERFACE_CHART, {}, peaks.largest())
    times = next((series.time for series in history.values() if series), [])
    previous, interval = (times[-1].timestamp() if times else None), interval_of(times)
    if interface:
        push("network-chart", figure=live_figure(INTERFACE_CHART, history, scale, None, zone, NO_READINGS))
        await push.settle()
    names: list[str] = []
    async for samples in session.client.live_server(server_id):
        rows = samples.measurements.get("network") or []
        if not rows or (previous is not None and samples.collected_at <= previous):
            continue
        push("server-rows", children=network_table(rows))
        push("server-as-of", children=as_of(from_unix(samples.collected_at), zone))
        if names_of(rows) != names:
            names = names_of(rows)
            # Choosing one begins this anew with its chart.
            push("network-interface", data=names, **({} if interface else {"value": busiest(rows)}))
        row = next((row for row in rows if row.get("interface") == interface), None)
        if row is None:
            continue
        peaks.add(samples.collected_at, row)
        if (
            first_of(history, samples.collected_at, time.time())
            or chart_scale(INTERFACE_CHART, {}, peaks.largest()) != scale
        ):
            return
        added = extension(INTERFACE_CHART, row, samples.collected_at, previous, interval, scale, zone)
        push("network-chart", extendData=added)
        previous = samples.collected_at


async def interface_history(session: Session, server_id: int, interface: str) -> dict[str, Series | None]:
    end = datetime.now(UTC)
    start, labels = end - timedelta(seconds=WINDOW_S), {"interface": interface}
    answers = await asyncio.gather(
        *(
            session.client.history_series(server_id, line.metric, start, end, points=POINTS, labels=labels)
            for line in INTERFACE_CHART.lines
        )
    )
    return {answer.metric: answer.series[0] if answer.series else None for answer in answers}


def register(app: Dash, views: LiveViews) -> None:
    views.add("server-network", stream)

    @app.callback(
        Output("live-view", "data", allow_duplicate=True),
        Input("network-interface", "value"),
        State("server-id", "data"),
        State("live-view", "data"),
        prevent_initial_call=True,
    )
    def choose_interface(interface: str | None, server_id: int, view: View) -> Any:
        if view.get("interface") == interface:
            return no_update
        return {"kind": "server-network", "server_id": server_id, "interface": interface}
