"""One server: a header that says how it is, and tabs from the moment to the year."""

import re
from collections.abc import Awaitable, Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any

import dash_mantine_components as dmc
from dash import Dash, Input, Output, State, ctx, dcc, html, no_update

from chatops_client import ApiError, BackendUnreachableError
from chatops_dashboards.browser import in_browser
from chatops_dashboards.components.states import failure, loading_cards, notice, while_loading
from chatops_dashboards.live import LiveViews
from chatops_dashboards.newest_only import Running, newest_only
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
from chatops_dashboards.pages.server.past import bar
from chatops_dashboards.pages.server.past.moment import read, write
from chatops_dashboards.pages.server.past.views import DRAWN, OBEYING, past_content
from chatops_dashboards.session import Session, current_session, request_zone
from chatops_dashboards.settings import DashboardSettings

SETTINGS_ARE_OF_NOW = "Settings, keys and connections are those of now, whatever moment you look at."
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
    now = datetime.now(UTC)
    moment = read(context.query.get("at"), context.zone, now)
    content = html.Div(
        [
            html.Div(head, id="server-header"),
            html.Div(id="server-notice", className="server-notice"),
            dcc.Store(id="server-id", data=server_id),
            dcc.Store(id="server-query", data=dict(context.query)),
            bar.bar(moment, now, context.zone),
            dmc.Tabs(
                html.Div(
                    [
                        dmc.TabsList(
                            [dmc.TabsTab(_tab_title(name, title), value=name) for name, title in tabs.items()],
                            className="tab-list",
                        ),
                        bar.open_button(),
                    ],
                    className="tab-row",
                ),
                id="server-tabs",
                value=tab if tab in tabs else "live",
                variant="default",
            ),
            while_loading("server-tab", loading_cards(5, 230), class_name="tab-body"),
        ],
        id="server-frame",
        className=bar.frame_class(moment),
    )
    return Titled(content, name)


def _tab_title(name: str, title: str) -> Any:
    """Nothing of the past is live."""
    if name != "live":
        return title
    return [html.Span(title, className="only-now"), html.Span("Charts", className="only-past")]


async def tab_content(
    session: Session,
    server_id: int,
    tab: str,
    query: Mapping[str, str],
    zone: tzinfo,
    moment: datetime | None = None,
) -> Any:
    """What the tab shows, of now or of a moment of the past, or why it cannot."""
    name = tab if tab in TABS else "live"
    if name == "settings" and not session.is_admin:
        name = "live"
    try:
        if moment is not None and name in DRAWN:
            return await past_content(session, server_id, name, query, moment, zone, datetime.now(UTC))
        asked = {key: value for key, value in query.items() if key != "at"}
        if moment is not None:
            asked["at"] = write(moment)
        found = await TABS[name][1].content(session, server_id, asked, zone)
    except (ApiError, BackendUnreachableError) as error:
        return html.Div([failure(error, TABS[name][0]), idle_view(server_id)])
    if name == "settings":
        return html.Div([html.Div(notice(SETTINGS_ARE_OF_NOW), className="no-acts only-past"), found])
    return found


def register(app: Dash, views: LiveViews, dashboard_settings: DashboardSettings) -> None:
    for _title, module in TABS.values():
        module.register(app, views)
    views.add_companion(stream_head)
    bar.register(app)
    moving: Running = {}

    @app.callback(
        Output("server-tab", "children"),
        Output("live-paused", "data", allow_duplicate=True),
        Input("server-tabs", "value"),
        Input("server-past", "data"),
        State("server-moment", "data"),
        State("server-id", "data"),
        State("server-query", "data"),
        prevent_initial_call="initial_duplicate",
    )
    async def show_tab(tab: str, _past: bool, stored: str | None, server_id: int, query: dict[str, str] | None) -> Any:
        if len(ctx.triggered) == 1 and ctx.triggered_id == "server-past" and tab in OBEYING:
            return no_update, no_update
        zone = request_zone()
        moment = read(stored, zone, datetime.now(UTC))
        return await tab_content(current_session(), int(server_id), tab, query or {}, zone, moment), False

    @app.callback(
        Output("then-body", "children"),
        Input("server-moment", "data"),
        Input("then-choice", "value", allow_optional=True),
        State("server-tabs", "value"),
        State("server-id", "data"),
        State("tab", "data"),
        prevent_initial_call=True,
    )
    async def move(stored: str | None, choice: str | None, tab: str, server_id: int, key: str) -> Any:
        zone, now = request_zone(), datetime.now(UTC)
        moment = read(stored, zone, now)
        if moment is None or tab not in DRAWN:
            return no_update
        session, draw = current_session(), DRAWN[tab]
        try:
            found = await newest_only(
                moving, str(key), lambda: _drawn(draw(session, int(server_id), moment, choice, zone, now))
            )
        except (ApiError, BackendUnreachableError) as error:
            return failure(error, "This moment")
        return no_update if found is None else found

    in_browser(app, "rememberTab", Output("server-tabs", "data-tab"), Input("server-tabs", "value"))


async def _drawn(what: Awaitable[Any]) -> Any:
    return await what


PAGE = Page(
    name="server",
    title="Server",
    pattern=re.compile(r"^/servers/(?P<server_id>\d{1,12})/?$"),
    layout=layout,
    register=register,
)
