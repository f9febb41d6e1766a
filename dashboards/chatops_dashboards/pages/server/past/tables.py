"""File systems, interfaces, programs and containers as they were at a moment: what is stored, as tables."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta, tzinfo
from typing import Any

from dash import html

from chatops_dashboards.components.server_tables import Row, filesystem_table, network_table, process_table, share
from chatops_dashboards.components.tables import data_table
from chatops_dashboards.figures.live_charts import INTERFACE_CHART
from chatops_dashboards.pages.server.network import busiest
from chatops_dashboards.pages.server.past.absence import as_then, nothing_stored
from chatops_dashboards.pages.server.past.charts import POINTS, chart_panel, figure_then
from chatops_dashboards.pages.server.past.moment import around
from chatops_dashboards.pages.server.past.reading import read_at
from chatops_dashboards.session import Session
from chatops_dashboards.units import format_percent, format_value
from chatops_protocol.resources import MetricSeries


async def filesystems_then(
    session: Session, server_id: int, moment: datetime, _choice: str | None, zone: tzinfo, now: datetime
) -> Any:
    found = await read_at(session, server_id, "filesystem", moment, now)
    if found is None:
        return await nothing_stored(session, server_id, "file systems", moment, now, zone)
    return html.Div([as_then(found, zone), html.Div(filesystem_table(found.rows), className="panel flush")])


async def network_then(
    session: Session, server_id: int, moment: datetime, choice: str | None, zone: tzinfo, now: datetime
) -> Any:
    """The table, and around the moment the interface of that name, or the busiest."""
    found = await read_at(session, server_id, "network", moment, now)
    if found is None:
        return await nothing_stored(session, server_id, "interfaces", moment, now, zone)
    names = {str(row["interface"]) for row in found.rows}
    interface = choice if choice in names else str(busiest(found.rows))
    start, end = around(moment, now)
    answers = await asyncio.gather(
        *(
            session.client.history_series(
                server_id, line.metric, start, end, points=POINTS, labels={"interface": interface}
            )
            for line in INTERFACE_CHART.lines
        )
    )
    history = {answer.metric: answer.series[0] if answer.series else None for answer in answers}
    figure = figure_then(INTERFACE_CHART, history, {}, moment, start, end, zone)
    row = next(row for row in found.rows if row["interface"] == interface)
    return html.Div(
        [
            as_then(found, zone),
            html.Div(network_table(found.rows), className="panel flush"),
            chart_panel("interface", interface, interface_words(row), figure),
        ],
        className="stack tight",
    )


def interface_words(row: Row) -> str:
    values = (format_value(row.get(f"{way}_bytes_per_second"), "bytes_per_second") for way in ("receive", "transmit"))
    return "in {} · out {}".format(*values)


async def processes_then(
    session: Session, server_id: int, moment: datetime, choice: str | None, zone: tzinfo, now: datetime
) -> Any:
    """`choice`: the order, ``cpu`` or ``memory``."""
    found = await read_at(session, server_id, "process", moment, now)
    if found is None:
        return await nothing_stored(session, server_id, "processes", moment, now, zone)
    return html.Div(
        [
            as_then(found, zone, "The programs that used most CPU or memory; CPU is a share of one core."),
            html.Div(process_table(found.rows, choice or "cpu"), className="panel flush"),
        ]
    )


async def containers_then(
    session: Session, server_id: int, moment: datetime, _choice: str | None, zone: tzinfo, now: datetime
) -> Any:
    """Those that ran, and those that had ended not long before."""
    start, _ = around(moment, now)
    found, lately = await asyncio.gather(
        read_at(session, server_id, "container", moment, now),
        session.client.history_series(
            server_id, "container.restart_count", start, moment + timedelta(seconds=1), points=POINTS
        ),
    )
    rows = found.rows if found is not None else []
    ended = ended_before(lately, rows)
    # Containers whose agent was silent may well have run.
    if found is None and (
        not ended or await read_at(session, server_id, "host", moment, now, ("cpu_percent",)) is None
    ):
        return await nothing_stored(session, server_id, "containers", moment, now, zone)
    head = as_then(found, zone) if found is not None else html.P("None ran.", className="as-of as-then")
    return html.Div([head, html.Div(container_table_then([*rows, *ended], zone), className="panel flush")])


def ended_before(lately: MetricSeries, running: Sequence[Row]) -> list[Row]:
    """Containers with readings lately that are not among those that ran; `last_at` is their last reading."""
    known = {str(row.get("container_id")) for row in running}
    return [
        {**series.labels, "last_at": read[-1]}
        for series in lately.series
        if str(series.labels.get("container_id")) not in known
        and (read := [time for time, value in zip(series.time, series.avg, strict=True) if value is not None])
    ]


def state_then(row: Row, zone: tzinfo) -> str:
    if (last := row.get("last_at")) is not None:
        return f"ended, last read {last.astimezone(zone):%H:%M:%S}"
    # Of one that the engine keeps restarting nothing else is stored.
    return "running" if row.get("memory_used_bytes") is not None else "restarting"


def container_table_then(rows: Sequence[Row], zone: tzinfo) -> html.Div:
    def value(row: Row, field: str, unit: str) -> str:
        return format_value(row.get(field), unit)

    heads = [
        *(("Container", False), ("State", False), ("CPU", True), ("Memory", True), ("Of its limit", True)),
        *(("Received", True), ("Sent", True), ("Read", True), ("Written", True), ("Restarts", True), ("Image", False)),
    ]
    shown = [
        [
            html.Span(str(row.get("name", "")), className="breakable strong"),
            state_then(row, zone),
            format_percent(row.get("cpu_percent")),
            value(row, "memory_used_bytes", "bytes"),
            share(row.get("memory_used_percent")),
            value(row, "network_receive_bytes_per_second", "bytes_per_second"),
            value(row, "network_transmit_bytes_per_second", "bytes_per_second"),
            value(row, "disk_read_bytes_per_second", "bytes_per_second"),
            value(row, "disk_write_bytes_per_second", "bytes_per_second"),
            value(row, "restart_count", "count"),
            html.Span(str(row.get("image", "")), className="breakable"),
        ]
        for row in sorted(rows, key=lambda row: str(row.get("name", "")))
    ]
    return data_table(heads, shown, caption="Containers at the moment", hide_on_phone=(4, 5, 6, 7, 8, 9, 10))
