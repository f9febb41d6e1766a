"""The top programs of the last reading by CPU or memory, summed per name and user. A view of the processes tab."""

from datetime import tzinfo
from functools import partial
from typing import Any

import dash_mantine_components as dmc
from dash import Dash, Input, Output, State, dcc, html, no_update

from chatops_dashboards.components.attributes import dashed
from chatops_dashboards.components.server_tables import process_table
from chatops_dashboards.live import LiveViews, Push, View
from chatops_dashboards.pages.server.rows import as_of, push_rows, rows_of, table_or_empty
from chatops_dashboards.session import Session, current_session

NOTHING = "The agent reports its first list of processes within half a minute of its start."


async def content(session: Session, server_id: int, query: dict[str, str], zone: tzinfo) -> Any:
    latest = await session.client.latest(server_id)
    return html.Div(
        [
            html.Div(
                [
                    html.Div(as_of(latest.time, zone), id="server-as-of"),
                    dmc.SegmentedControl(
                        id="processes-by",
                        value="cpu",
                        data=[{"value": "cpu", "label": "By CPU"}, {"value": "memory", "label": "By memory"}],
                        size="xs",
                        **dashed(aria_label="Order"),
                    ),
                ],
                className="live-bar",
            ),
            html.Div(
                table_or_empty(rows_of(latest, "process"), partial(process_table, by="cpu"), NOTHING),
                id="server-rows",
                className="panel flush",
            ),
            html.P("CPU is a share of one core; programs of one name and user are summed.", className="dim small"),
            dcc.Store(id="live-view", data={"kind": "server-processes", "server_id": server_id, "by": "cpu"}),
        ]
    )


async def stream(session: Session, view: View, zone: tzinfo, push: Push) -> None:
    draw = partial(process_table, by=str(view.get("by")))
    await push_rows(session, int(view["server_id"]), "process", draw, zone, push)


def register(app: Dash, views: LiveViews) -> None:
    views.add("server-processes", stream)

    @app.callback(
        Output("server-rows", "children", allow_duplicate=True),
        Output("live-view", "data", allow_duplicate=True),
        Input("processes-by", "value"),
        State("server-id", "data"),
        State("live-view", "data"),
        prevent_initial_call=True,
    )
    async def reorder(by: str, server_id: int, view: View) -> Any:
        if view.get("by") == by:
            return no_update, no_update
        latest = await current_session().client.latest(int(server_id))
        table = table_or_empty(rows_of(latest, "process"), partial(process_table, by=by), NOTHING)
        return table, {"kind": "server-processes", "server_id": server_id, "by": by}
