"""One server: a header that says how it is, and tabs from the moment to the year."""

import re
from datetime import UTC, datetime, tzinfo
from typing import Any

import dash_mantine_components as dmc
from dash import Dash, Input, Output, State, dcc, html

from chatops_client import ApiError, BackendUnreachableError, Latest
from chatops_dashboards.browser import in_browser
from chatops_dashboards.components.attributes import dashed
from chatops_dashboards.components.states import failure, loading_cards, while_loading
from chatops_dashboards.components.status import moment_text, status_badge, tag_list
from chatops_dashboards.live import LiveViews
from chatops_dashboards.page import Page, PageContext
from chatops_dashboards.pages.server import filesystems, history, live, network, processes, settings
from chatops_dashboards.session import Session, current_session, request_zone
from chatops_dashboards.settings import DashboardSettings
from chatops_dashboards.units import format_duration
from chatops_protocol.resources import Server

TABS = {
    "live": ("Live", live),
    "history": ("History", history),
    "filesystems": ("Filesystems", filesystems),
    "network": ("Network", network),
    "processes": ("Processes", processes),
    "settings": ("Settings", settings),
}


async def layout(context: PageContext) -> Any:
    server = await context.session.client.server(int(context.parts["server_id"]))
    latest = await context.session.client.latest(server.id)
    tab = context.query.get("tab", "live")
    tabs = {name: title for name, (title, _) in TABS.items() if name != "settings" or context.session.is_admin}
    return html.Div(
        [
            html.Div(header(server, latest, datetime.now(UTC), context.zone), id="server-header"),
            dcc.Store(id="server-id", data=server.id),
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


def header(server: Server, latest: Latest, now: datetime, zone: tzinfo) -> html.Div:
    """Name, state, last seen, what it runs on. Replaced while live data arrives."""
    uptime = latest.measurements.get("host", {}).get("uptime_seconds")
    facts: list[Any] = [
        _fact("Last seen", html.Span(moment_text(server.last_seen, now, zone), id="server-seen")),
        _fact("Uptime", format_duration(uptime)) if uptime is not None and server.status == "online" else None,
        _fact("System", server.platform) if server.platform else None,
        _fact("Agent", server.agent_version) if server.agent_version else None,
    ]
    return html.Div(
        [
            html.Nav(
                [dcc.Link("Fleet", href="/"), html.Span(" / ", className="dim")],
                **dashed(aria_label="Breadcrumb"),
                className="crumb",
            ),
            html.Div(
                [
                    html.H1(server.name),
                    html.Span(status_badge(server.status), id="server-status"),
                    tag_list(server.tags, 8),
                ],
                className="server-title",
            ),
            html.P(server.description, className="dim tight") if server.description else None,
            html.Dl([fact for fact in facts if fact is not None], className="facts"),
        ],
        className="server-head",
    )


def _fact(name: str, value: Any) -> html.Div:
    return html.Div([html.Dt(name), html.Dd(value)])


async def tab_content(session: Session, server_id: int, tab: str, query: dict[str, str], zone: tzinfo) -> Any:
    """What the tab shows, or why it cannot."""
    name = tab if tab in TABS else "live"
    if name == "settings" and not session.is_admin:
        name = "live"
    try:
        return await TABS[name][1].content(session, server_id, query, zone)
    except (ApiError, BackendUnreachableError) as error:
        return html.Div([failure(error, TABS[name][0]), dcc.Store(id="live-view", data={"kind": "idle"})])


def register(app: Dash, views: LiveViews, dashboard_settings: DashboardSettings) -> None:
    for _title, module in TABS.values():
        module.register(app, views)

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
