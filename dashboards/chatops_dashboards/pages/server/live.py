"""The live tab: charts that grow by push over a bounded window, filled first with the last minutes of history."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

import dash_mantine_components as dmc
from dash import Dash, Input, Output, State, dcc, html, no_update

from chatops_client import ApiError
from chatops_client.live import LinkState
from chatops_dashboards.alert_hub import alert_hub
from chatops_dashboards.components.attributes import dashed
from chatops_dashboards.components.core_strip import core_strip
from chatops_dashboards.components.icons import icon
from chatops_dashboards.figures.bands import add_strip, grow_strip, spans_of_metrics
from chatops_dashboards.figures.command_marks import add_commands
from chatops_dashboards.figures.frame import GRAPH_CONFIG
from chatops_dashboards.figures.live_charts import (
    CHART_HEIGHT,
    CHARTS,
    NO_READINGS,
    WINDOW_S,
    LiveChart,
    Peaks,
    chart_scale,
    extension,
    first_of,
    interval_of,
    live_figure,
)
from chatops_dashboards.fleet_hub import FleetHub, fleet_hub
from chatops_dashboards.live import LiveViews, Push, View
from chatops_dashboards.moments import absolute, from_unix
from chatops_dashboards.pages.server.alert_marks import alerts_of
from chatops_dashboards.pages.server.command_marks import commands_of, newest_states, until_changed
from chatops_dashboards.pages.server.live_words import live_note, now_texts, running_note
from chatops_dashboards.pages.server.rows import host_of, rows_of
from chatops_dashboards.pages.server.silence import with_silence
from chatops_dashboards.session import Session, request_zone
from chatops_dashboards.units import Scale
from chatops_protocol.live_messages import ServerSamples
from chatops_protocol.resources import Series, ServerStatus

HISTORY_POINTS = 180
# How long the note may lag behind the state of the server.
SILENCE_S = 2.0
# Marks do not slide out of the window with the lines; the charts are drawn anew after this long.
MARKS_LAST_S = 300.0
METRICS = tuple(line.metric for chart in CHARTS for line in chart.lines)


async def content(session: Session, server_id: int, query: dict[str, str], zone: tzinfo) -> Any:
    """The frames of the charts; the stream fills them."""
    latest, server = await asyncio.gather(session.client.latest(server_id), session.client.server(server_id))
    note = live_note(latest.time, server.status, datetime.now(UTC), zone)
    return html.Div(
        [
            html.Div(
                [
                    html.Div(note, id="live-note", className="live-note"),
                    dmc.Button(
                        [icon("pause", 16), html.Span("Pause", className="button-word")],
                        id="live-pause",
                        variant="default",
                        size="xs",
                        **dashed(aria_pressed="false"),
                    ),
                ],
                className="live-bar",
            ),
            html.Div(
                [_chart_panel(chart, zone) for chart in CHARTS]
                + [
                    html.Section(
                        [
                            html.Div([html.H2("Cores")], className="panel-head"),
                            html.Div(core_strip(rows_of(latest, "cpu")), id="live-cores"),
                        ],
                        className="panel",
                    )
                ],
                className="chart-grid",
            ),
            dcc.Store(id="live-view", data={"kind": "server", "server_id": server_id}),
        ]
    )


def _chart_panel(chart: LiveChart, zone: tzinfo) -> html.Section:
    return html.Section(
        [
            html.Div(
                [html.H2(chart.title), html.Span(id=f"live-now-{chart.name}", className="panel-now numeric")],
                className="panel-head",
            ),
            dcc.Graph(
                id=f"live-chart-{chart.name}",
                figure=live_figure(chart, {}, chart_scale(chart, {}), chart.top, zone),
                config=GRAPH_CONFIG,
                style={"height": CHART_HEIGHT},
                className="chart",
            ),
        ],
        className="panel",
        **dashed(aria_label=f"{chart.title}, live"),
    )


async def stream(session: Session, view: View, zone: tzinfo, push: Push) -> None:
    """Recent history into the charts, then each reading as it is committed; anew after a lost connection, to fill in
    what was missed, and when an axis needs another unit."""
    async with fleet_hub(session).subscribed(sparks=False) as fleet:
        while True:
            await _stream_until_outdated(session, int(view["server_id"]), fleet, zone, push)


async def _stream_until_outdated(session: Session, server_id: int, fleet: FleetHub, zone: tzinfo, push: Push) -> None:
    latest = await session.client.latest(server_id)
    history = await recent_history(session, server_id)
    size = host_of(latest)
    peaks = {chart.name: Peaks(chart, history) for chart in CHARTS}

    def scales_now() -> dict[str, Scale]:
        return {chart.name: chart_scale(chart, size, peaks[chart.name].largest()) for chart in CHARTS}

    scales = scales_now()
    busy = history.get("host.cpu_percent")
    interval = interval_of(busy.time if busy else ())
    previous = busy.time[-1].timestamp() if busy and busy.time else None
    now = datetime.now(UTC)
    window_start = now - timedelta(seconds=WINDOW_S)
    # Before they are read whole: what changes in between is seen as a change.
    known = await newest_states(session, server_id)
    alerts, commands = await asyncio.gather(
        alerts_of(session, server_id, window_start), commands_of(session, server_id, window_start)
    )
    passing = False
    growing: dict[str, list[int]] = {}
    for chart in CHARTS:
        scale = scales[chart.name]
        top = chart.top
        if chart.sized_by and (total := size.get(chart.sized_by)):
            top = total / scale.divisor
        figure = live_figure(chart, history, scale, top, zone, NO_READINGS)
        spans = spans_of_metrics(alerts, [line.metric for line in chart.lines])
        growing[chart.name] = add_strip(figure, spans, window_start, now, zone)
        passing = add_commands(figure, commands, window_start, now, zone) or any(growing.values())
        push(f"live-chart-{chart.name}", figure=figure)
    if latest.time is not None:
        _push_numbers(latest.measurements, push)
    newest, told = latest.time, status_of(fleet, server_id)
    push("live-note", children=live_note(newest, told, datetime.now(UTC), zone))
    await push.settle()

    links: list[LinkState] = []

    def on_link(state: LinkState) -> None:
        if state == "disconnected" and links[-1:] != ["disconnected"]:
            push("live-note", children="Not live: reconnecting to the backend…")
        links.append(state)

    async with (
        alert_hub(session).subscribed() as hub,
        until_changed(session, server_id, known) as ran,
        aclosing(with_silence(session.client.live_server(server_id, on_link), SILENCE_S)) as feed,
    ):
        marked, marks_end = hub.of_server(server_id), now + timedelta(seconds=MARKS_LAST_S)
        async for samples in feed:
            if "disconnected" in links and links[-1] == "connected":
                return
            if hub.of_server(server_id) != marked or ran.done() or (passing and datetime.now(UTC) > marks_end):
                return
            if samples is None:
                if links[-1:] != ["disconnected"] and (state := status_of(fleet, server_id)) != told:
                    told = state
                    push("live-note", children=live_note(newest, told, datetime.now(UTC), zone))
                continue
            if previous is not None and samples.collected_at <= previous:
                continue
            for chart in CHARTS:
                peaks[chart.name].add(samples.collected_at, samples.measurements.get("host") or {})
            if first_of(history, samples.collected_at, time.time()) or scales_now() != scales:
                return
            push_samples(samples, scales, previous, interval, zone, push, growing)
            previous, newest, told = samples.collected_at, from_unix(samples.collected_at), "online"
            push("live-note", children=running_note(samples.collected_at, zone))


def status_of(fleet: FleetHub, server_id: int) -> ServerStatus:
    """As the live state has it; a server it does not know yet is not called offline."""
    entry = fleet.entries.get(server_id)
    return "online" if entry is None else entry.status


def push_samples(
    samples: ServerSamples,
    scales: dict[str, Scale],
    previous: float | None,
    interval: float,
    zone: tzinfo,
    push: Push,
    growing: Mapping[str, Sequence[int]] = {},
) -> None:
    """One reading into charts, numbers and cores."""
    host = samples.measurements.get("host") or {}
    for chart in CHARTS:
        scale = scales[chart.name]
        added = extension(chart, host, samples.collected_at, previous, interval, scale, zone)
        grow_strip(added, growing.get(chart.name, ()))
        push(f"live-chart-{chart.name}", extendData=added)
    _push_numbers(samples.measurements, push)


def _push_numbers(measurements: dict[str, Any], push: Push) -> None:
    host = measurements.get("host") or {}
    for name, text in now_texts(host).items():
        push(f"live-now-{name}", children=text)
    if cores := measurements.get("cpu"):
        push("live-cores", children=core_strip(cores))


async def recent_history(session: Session, server_id: int) -> dict[str, Series | None]:
    """The last minutes of every line, fetched at once."""
    end = datetime.now(UTC)
    start = end - timedelta(seconds=WINDOW_S)

    async def one(metric: str) -> Series | None:
        try:
            answer = await session.client.history_series(server_id, metric, start, end, points=HISTORY_POINTS)
        except ApiError as error:
            if error.status == 404:
                raise
            return None
        return answer.series[0] if answer.series else None

    answers = await asyncio.gather(*(one(metric) for metric in METRICS))
    return dict(zip(METRICS, answers, strict=True))


def register(app: Dash, views: LiveViews) -> None:
    views.add("server", stream)

    @app.callback(
        Output("live-paused", "data", allow_duplicate=True),
        Output("live-pause", "children"),
        Output("live-pause", "aria-pressed"),
        Output("live-note", "children"),
        Input("live-pause", "n_clicks"),
        State("live-paused", "data"),
        prevent_initial_call=True,
    )
    def pause(clicks: int | None, paused: bool | None) -> Any:
        if not clicks:
            return no_update, no_update, no_update, no_update
        if paused:
            return False, [icon("pause", 16), html.Span("Pause", className="button-word")], "false", "Catching up…"
        since = absolute(datetime.now(UTC), request_zone())
        return (
            True,
            [icon("play", 16), html.Span("Resume", className="button-word")],
            "true",
            [icon("pause", 14), f" Paused at {since[11:]}. Resuming fills in what was missed."],
        )
