"""The processes tab: the programs that weigh most, and all processes on request. `past/` shows those of a moment."""

from datetime import tzinfo
from types import ModuleType
from typing import Any

import dash_mantine_components as dmc
from dash import Dash, Input, Output, State, dcc, html, no_update

from chatops_client import ApiError, BackendUnreachableError
from chatops_dashboards.browser import in_browser
from chatops_dashboards.components.attributes import dashed
from chatops_dashboards.components.states import failure
from chatops_dashboards.live import LiveViews
from chatops_dashboards.pages.server import process_now, process_top
from chatops_dashboards.pages.server.head import idle_view
from chatops_dashboards.session import Session, current_session, request_zone

VIEWS: dict[str, tuple[str, ModuleType]] = {
    "top": ("Top programs", process_top),
    "now": ("All, live", process_now),
}


async def content(session: Session, server_id: int, query: dict[str, str], zone: tzinfo) -> Any:
    view = query.get("view", "top")
    view = view if view in VIEWS else "top"
    return html.Div(
        [
            dmc.SegmentedControl(
                id="processes-view",
                value=view,
                data=[{"value": name, "label": word} for name, (word, _) in VIEWS.items()],
                size="sm",
                className="processes-view",
                **dashed(aria_label="What to show"),
            ),
            html.Div(await view_content(session, server_id, view, query, zone), id="processes-body"),
            dcc.Store(id="processes-drawn", data=view),
            dcc.Store(id="processes-address"),
            html.Div(id="processes-placed", hidden=True),
        ]
    )


async def view_content(session: Session, server_id: int, view: str, query: dict[str, str], zone: tzinfo) -> Any:
    try:
        return await VIEWS[view][1].content(session, server_id, query, zone)
    except (ApiError, BackendUnreachableError) as error:
        return html.Div([failure(error, VIEWS[view][0]), idle_view(server_id)])


def register(app: Dash, views: LiveViews) -> None:
    for _, module in VIEWS.values():
        module.register(app, views)
    in_browser(
        app, "rememberQuery", Output("processes-placed", "title"), Input("processes-address", "data"), initially=False
    )

    @app.callback(
        Output("processes-body", "children"),
        Output("processes-drawn", "data"),
        Output("processes-address", "data"),
        # A view that is put on the page starts its stream only when something it listens to is told as well.
        Output("live-paused", "data", allow_duplicate=True),
        Input("processes-view", "value"),
        State("processes-drawn", "data"),
        State("server-id", "data"),
        prevent_initial_call=True,
    )
    async def change(view: str, drawn: str, server_id: int) -> Any:
        if view == drawn or view not in VIEWS:
            return (no_update,) * 4
        body = await view_content(current_session(), int(server_id), view, {}, request_zone())
        place = {"place": f"/servers/{server_id}", "tab": "processes"}
        address = place if view == "top" else {**place, "view": view}
        return body, view, address, False
