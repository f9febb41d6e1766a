"""All processes of a host as they are now, asked of its agent every few seconds while one looks; signals to them."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, tzinfo
from typing import Any

import dash_ag_grid as dag
import dash_mantine_components as dmc
from dash import Dash, Input, Output, State, ctx, dcc, html, no_update

from chatops_client import ApiError, BackendUnreachableError
from chatops_dashboards.command_words import STATE_WORDS
from chatops_dashboards.components.attributes import dashed
from chatops_dashboards.components.confirm import confirm_dialogue
from chatops_dashboards.components.fleet_table import THEME
from chatops_dashboards.components.states import explain, notice
from chatops_dashboards.live import LiveViews, Push, View
from chatops_dashboards.moments import absolute
from chatops_dashboards.pages.server.rows import as_of
from chatops_dashboards.session import Session, current_session
from chatops_protocol.control_messages import ProcessEntry, SignalName

ASK_EVERY_S = 3.0
SIGNAL_WORDS: dict[SignalName, str] = {
    "TERM": "TERM: asks it to end",
    "KILL": "KILL: ends it at once, as it is",
    "INT": "INT: as Ctrl-C does",
    "HUP": "HUP: many read their settings again",
    "QUIT": "QUIT: ends it with a core dump",
    "STOP": "STOP: halts it",
    "CONT": "CONT: lets it go on",
    "USR1": "USR1",
    "USR2": "USR2",
}
RIGHT = "numeric ag-right-aligned-cell"


async def content(session: Session, server_id: int, query: dict[str, str], zone: tzinfo) -> Any:
    server = await session.client.server(server_id)
    return html.Div(
        [
            html.Div(
                [
                    dmc.TextInput(
                        id="processes-filter",
                        placeholder="Filter: a name, a user, a part of the command line",
                        value="",
                        className="grow",
                        **dashed(aria_label="Filter the processes"),
                    ),
                    *(_signal_tools() if session.may_act else ()),
                ],
                className="toolbar",
            ),
            html.Div(id="processes-message", className="page-message"),
            html.Div(notice("Asking the agent for its processes…"), id="processes-note", className="paged-note"),
            html.Div("\u00a0", id="processes-as-of", className="run-facts process-facts"),
            process_grid(),
            html.P(
                "CPU is the share of one core over half a second. What looks like a secret in a command line is masked "
                "on the host.",
                className="dim small",
            ),
            dcc.Store(id="processes-server", data=server.name),
            dcc.Store(id="signal-asked"),
            confirm_dialogue("signal-confirm", "Send a signal", "", "Send"),
            dcc.Store(id="live-view", data={"kind": "server-processes-now", "server_id": server_id}),
        ]
    )


def _signal_tools() -> tuple[Any, ...]:
    return (
        dmc.Select(
            id="signal-name",
            data=[{"value": name, "label": words} for name, words in SIGNAL_WORDS.items()],
            value="TERM",
            allowDeselect=False,
            w=270,
            **dashed(aria_label="Signal"),
        ),
        dmc.Button("Send to the chosen process…", id="signal-ask", variant="default", disabled=True),
    )


def process_grid() -> dag.AgGrid:
    def number(field: str, title: str, width: int, renderer: str | None = None, **more: Any) -> dict[str, Any]:
        column = {
            "field": field,
            "headerName": title,
            "width": width,
            "type": "rightAligned",
            "cellClass": RIGHT,
            **more,
        }
        return column if renderer is None else {**column, "cellRenderer": renderer}

    return dag.AgGrid(
        id="processes-grid",
        rowData=[],
        columnDefs=[
            number("pid", "PID", 95),
            {
                "field": "command",
                "headerName": "Command line",
                "flex": 1,
                "minWidth": 200,
                "tooltipField": "command",
            },
            number("cpu", "CPU", 95, "ProcessShareCell", sort="desc", sortingOrder=["desc", "asc"]),
            number("memory", "Memory", 110, "ProcessBytesCell", sortingOrder=["desc", "asc"]),
            {"field": "user", "headerName": "User", "width": 120},
            number("threads", "Threads", 105),
            {"field": "state", "headerName": "State", "width": 90},
        ],
        getRowId="params.data.id",
        defaultColDef={"resizable": True, "sortable": True, "suppressMovable": True, "cellDataType": False},
        dashGridOptions={
            "theme": THEME,
            "rowHeight": 34,
            "animateRows": False,
            "rowSelection": {"mode": "singleRow", "checkboxes": False, "enableClickSelection": True},
        },
        style={"height": "calc(100vh - 330px)", "minHeight": "320px"},
        className="process-grid",
        dangerously_allow_code=False,
    )


def rows_of(processes: Sequence[ProcessEntry]) -> list[dict[str, Any]]:
    return [
        {
            "id": f"{process.pid}:{process.started_at}",
            "pid": process.pid,
            "started_at": process.started_at,
            "user": process.user,
            "cpu": process.cpu_percent,
            "memory": process.memory_resident_bytes,
            "threads": process.thread_count,
            "state": process.state,
            # A process of the kernel has no command line.
            "command": process.command_line or f"[{process.name}]",
        }
        for process in processes
    ]


async def stream(session: Session, view: View, zone: tzinfo, push: Push) -> None:
    """Ask, draw, wait. When the agent does not answer, what stands there says since when it is old."""
    server_id = int(view["server_id"])
    newest: datetime | None = None
    while True:
        try:
            listed = await session.client.commands.processes(server_id)
        except ApiError as error:
            if error.status in (401, 403, 404):
                raise
            age = f" What you see is of {absolute(newest, zone)}." if newest else ""
            push("processes-note", children=notice(f"{error.detail}{age} Trying again…", "warning"))
        else:
            newest = listed.taken_at
            left_out = listed.total - len(listed.processes)
            words = f"{len(listed.processes)} processes" + (
                f"; {left_out} more that use little are left out" if left_out else ""
            )
            push("processes-grid", rowData=rows_of(listed.processes))
            push("processes-as-of", children=[as_of(newest, zone), html.Span(words)])
            push("processes-note", children=None)
        await asyncio.sleep(ASK_EVERY_S)


def consequence(signal: str, row: dict[str, Any], server: str) -> list[Any]:
    """What will be sent to what."""
    return [
        f"This sends {signal} to process {row['pid']} of {row['user']} on “{server}”:",
        html.Code(str(row["command"])[:400], className="breakable run-part block"),
        "If it has ended by then, nothing happens to another that got its number.",
    ]


def register(app: Dash, views: LiveViews) -> None:
    views.add("server-processes-now", stream)

    @app.callback(
        Output("processes-grid", "dashGridOptions"),
        Input("processes-filter", "value"),
        State("processes-grid", "dashGridOptions"),
        prevent_initial_call=True,
    )
    def filter_rows(text: str | None, options: dict[str, Any]) -> Any:
        return {**options, "quickFilterText": text or ""}

    @app.callback(Output("signal-ask", "disabled"), Input("processes-grid", "selectedRows"), prevent_initial_call=True)
    def offer(rows: list[dict[str, Any]] | None) -> bool:
        return not rows

    @app.callback(
        Output("signal-confirm", "opened"),
        Output("signal-confirm-consequence", "children"),
        Output("signal-confirm-message", "children"),
        Output("signal-asked", "data"),
        Input("signal-ask", "n_clicks"),
        Input("signal-confirm-cancel", "n_clicks"),
        State("processes-grid", "selectedRows"),
        State("signal-name", "value"),
        State("processes-server", "data"),
        prevent_initial_call=True,
    )
    def ask(clicks: int | None, cancelled: int | None, rows: Any, signal: str, server: str) -> Any:
        if ctx.triggered_id == "signal-confirm-cancel":
            return (False if cancelled else no_update), *((no_update,) * 3)
        if not clicks or not rows:
            return (no_update,) * 4
        row = rows[0]
        asked = {"pid": row["pid"], "started_at": row["started_at"], "signal": signal}
        return True, consequence(signal, row, server), None, asked

    @app.callback(
        Output("signal-confirm", "opened", allow_duplicate=True),
        Output("signal-confirm-message", "children", allow_duplicate=True),
        Output("processes-message", "children"),
        Output("processes-grid", "selectedRows"),
        Input("signal-confirm-confirm", "n_clicks"),
        State("signal-asked", "data"),
        State("server-id", "data"),
        running=[(Output("signal-confirm-confirm", "loading"), True, False)],
        prevent_initial_call=True,
    )
    async def send(clicks: int | None, asked: dict[str, Any] | None, server_id: int) -> Any:
        if not clicks or not asked:
            return (no_update,) * 4
        commands = current_session().client.commands
        try:
            result = await commands.signal(
                int(server_id), int(asked["pid"]), asked["signal"], float(asked["started_at"])
            )
        except (ApiError, BackendUnreachableError) as error:
            return no_update, explain(error), no_update, no_update
        what = f"{asked['signal']} to process {asked['pid']}"
        if result.state == "ok":
            return False, None, notice(f"{what} is sent."), []
        why = result.detail or STATE_WORDS[result.state]
        return False, None, notice(f"{what}: {why}", "warning"), []
