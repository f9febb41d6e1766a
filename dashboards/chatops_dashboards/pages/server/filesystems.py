"""The filesystems tab."""

from datetime import tzinfo
from typing import Any

from dash import Dash, dcc, html

from chatops_dashboards.components.server_tables import filesystem_table
from chatops_dashboards.live import LiveViews, Push, View
from chatops_dashboards.pages.server.rows import as_of, push_rows, rows_of, table_or_empty
from chatops_dashboards.session import Session


async def content(session: Session, server_id: int, query: dict[str, str], zone: tzinfo) -> Any:
    latest = await session.client.latest(server_id)
    rows = rows_of(latest, "filesystem")
    table = table_or_empty(rows, filesystem_table, "The agent has not reported a file system.")
    return html.Div(
        [
            html.Div(as_of(latest.time, zone), id="server-as-of"),
            html.Div(table, id="server-rows", className="panel flush"),
            dcc.Store(id="live-view", data={"kind": "server-filesystems", "server_id": server_id}),
        ]
    )


async def stream(session: Session, view: View, zone: tzinfo, push: Push) -> None:
    await push_rows(session, int(view["server_id"]), "filesystem", filesystem_table, zone, push)


def register(app: Dash, views: LiveViews) -> None:
    views.add("server-filesystems", stream)
