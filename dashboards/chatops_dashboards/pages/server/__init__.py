"""One server: a header that says how it is, and tabs from the moment to the year."""

import re
from datetime import tzinfo
from typing import Any

import dash_mantine_components as dmc
from dash import Dash, Input, Output, State, dcc, html

from chatops_client import ApiError, BackendUnreachableError
from chatops_dashboards.browser import in_browser
from chatops_dashboards.components.states import failure, loading_cards, while_loading
from chatops_dashboards.live import LiveViews
from chatops_dashboards.page import Page, PageContext, Titled
from chatops_dashboards.pages.server import (
    console,
    containers,
    filesystems,
    history,
    live,
    logs,
    network,
    processes,
    settings,
)
from chatops_dashboards.pages.server.head import idle_view, read_head, stream_head
from chatops_dashboards.session import Session, current_session, request_zone
from chatops_dashboards.settings import DashboardSettings

TABS = {
    "live": ("Live", live),
    "history": ("History", history),
    "filesystems": ("Filesystems", filesystems),
    "network": ("Network", network),
    "processes": ("Processes", processes),
    "containers": ("Containers", containers),
    "console": ("Console", console),
    "logs": ("Logs", logs),
    "settings": ("Settings", settings),
}


async def layout(context: PageContext) -> Titled:
    server_id = int(context.parts["server_id"])
    name, head = await read_head(context.session, server_id, context.zone)
    tab = context.query.get("tab", "live")
    tabs = {name: title for name, (title, _) in TABS.items() if name != "settings" or context.session.is_admin}
    content = html.Div(
        [
            html.Div(head, id="server-header"),
            html.Div(id="server-notice", className="server-notice"),
            dcc.Store(id="server-id", data=server_id),
            dcc.Store(id="server-query", data=dict(context.query)),
            dmc.Tabs(
                dmc.TabsList([dmc.TabsTab(title, value=name) for name, title in tabs.items()], className="tab-list"),
                id="server-tabs",
                value=tab if tab in tabs else "live",
                variant="default",
            ),
            while_loading("server-tab", loading_cards(5, 230), class_name="tab-body"),
        ]
    )
    return Titled(content, name)


async def tab_content(session: Session, server_id: int, tab: str, query: dict[str, str], zone: tzinfo) -> Any:
    """What the tab shows, or why it cannot."""
    name = tab if tab in TABS else "live"
    if name == "settings" and not session.is_admin:
        name = "live"
    try:
        return await TABS[name][1].content(session, server_id, query, zone)
    except (ApiError, BackendUnreachableError) as error:
        return html.Div([failure(error, TABS[name][0]), idle_view(server_id)])


def register(app: Dash, views: LiveViews, dashboard_settings: DashboardSettings) -> None:
    for _title, module in TABS.values():
        module.register(app, views)
    views.add_companion(stream_head)

    @app.callback(
        Output("server-tab", "children"),
        Output("live-paused", "data", allow_duplicate=True),
        Input("server-tabs", "value"),
        State("server-id", "data"),
        State("server-query", "data"),
        prevent_initial_call="initial_duplicate",
    )
    async def show_tab(tab: str, server_id: int, query: dict[str, str] | None) -> Any:
        return await tab_content(current_session(), int(server_id), tab, query or {}, request_zone()), False

    in_browser(app, "rememberTab", Output("server-tabs", "data-tab"), Input("server-tabs", "value"))


PAGE = Page(
    name="server",
    title="Server",
    pattern=re.compile(r"^/servers/(?P<server_id>\d{1,12})/?$"),
    layout=layout,
    register=register,
)
