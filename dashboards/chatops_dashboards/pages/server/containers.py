"""The containers tab: all containers of a host as they are now; of the chosen one its log, charts and details, and what
can be done to it."""

from datetime import tzinfo
from typing import Any

import dash_mantine_components as dmc
from dash import Dash, Input, Output, State, dcc, html, no_update

from chatops_dashboards.browser import in_browser
from chatops_dashboards.components import container_dialogue
from chatops_dashboards.components.attributes import dashed
from chatops_dashboards.components.container_table import GRID, container_table
from chatops_dashboards.live import LiveViews, Push, View
from chatops_dashboards.pages.server.container_stream import HIDDEN, PartStream, stream_tab
from chatops_dashboards.session import Session

PARTS: dict[str, PartStream] = {}


async def content(session: Session, server_id: int, query: dict[str, str], zone: tzinfo) -> Any:
    """The frame; the stream fills it, since the agent is asked."""
    server = await session.client.server(server_id)
    name = query.get("container", "")[:128]
    return html.Div(
        [
            html.Div(id="containers-policy"),
            html.Div(id="container-message", className="page-message"),
            html.Div(id="containers-note", className="paged-note"),
            html.Div(outline(), id="containers-state"),
            html.Div(
                [
                    html.Div(
                        [
                            html.Div(id="containers-as-of", className="container-as-of"),
                            dmc.TextInput(
                                id="containers-filter",
                                placeholder="Filter: a name, an image, a state",
                                value="",
                                size="xs",
                                className="containers-filter",
                                **dashed(aria_label="Filter the containers"),
                            ),
                        ],
                        className="live-bar",
                    ),
                    container_table(),
                    html.P(
                        "CPU is a share of one core. Choose a container for its log, its charts and its details.",
                        className="dim small",
                    ),
                ],
                id="containers-table",
                style=HIDDEN,
            ),
            html.Section(
                [html.Div(id="container-head")],
                id="container-panel",
                className="panel container-panel",
                style={} if name else HIDDEN,
                **dashed(aria_label="The chosen container"),
            ),
            container_dialogue.dialogue(server.name),
            dcc.Store(id="containers-address"),
            html.Div(id="containers-placed", hidden=True),
            dcc.Store(id="live-view", data=view_of(server_id, name or None)),
        ],
        className="containers",
    )


def outline() -> html.Div:
    """Grey lines where the rows will be."""
    return html.Div([dmc.Skeleton(height=30, radius="sm") for _ in range(6)], className="panel stack tight")


def view_of(server_id: int, name: str | None) -> View:
    return {"kind": "server-containers", "server_id": server_id, "container": name}


async def stream(session: Session, view: View, zone: tzinfo, push: Push) -> None:
    await stream_tab(session, view, zone, push, PARTS)


def address_of(server_id: int, name: str) -> dict[str, str]:
    return {"place": f"/servers/{server_id}", "tab": "containers", "container": name}


def register(app: Dash, views: LiveViews) -> None:
    views.add("server-containers", stream)
    container_dialogue.register(app)
    in_browser(
        app, "rememberQuery", Output("containers-placed", "title"), Input("containers-address", "data"), initially=False
    )

    @app.callback(
        Output(GRID, "dashGridOptions"),
        Input("containers-filter", "value"),
        State(GRID, "dashGridOptions"),
        prevent_initial_call=True,
    )
    def filter_rows(text: str | None, options: dict[str, Any]) -> Any:
        return {**options, "quickFilterText": text or ""}

    @app.callback(
        Output("live-view", "data", allow_duplicate=True),
        Output("containers-address", "data"),
        Output("container-panel", "style"),
        Output("container-head", "children"),
        Input(GRID, "selectedRows"),
        State("server-id", "data"),
        State("live-view", "data"),
        prevent_initial_call=True,
    )
    def choose(rows: list[dict[str, Any]] | None, server_id: int, view: View | None) -> Any:
        if not rows or not isinstance(rows, list):
            return (no_update,) * 4
        name = str(rows[0]["name"])
        if view and view.get("container") == name:
            return (no_update,) * 4
        return view_of(server_id, name), address_of(server_id, name), {}, html.H2(name)
