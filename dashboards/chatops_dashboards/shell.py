"""What surrounds every page: header, navigation, theme, the user's menu; and the router that fills the middle."""

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import dash_mantine_components as dmc
from dash import Dash, Input, Output, State, dcc, html, no_update
from quart import request

from chatops_client import ApiError, BackendUnreachableError
from chatops_dashboards.browser import in_browser
from chatops_dashboards.components import account, prove
from chatops_dashboards.components.attributes import dashed
from chatops_dashboards.components.icons import icon
from chatops_dashboards.components.states import empty, failure, loading_page, while_loading
from chatops_dashboards.moments import zone_label
from chatops_dashboards.page import Page, PageContext, Titled
from chatops_dashboards.session import Session, current_session, request_zone
from chatops_dashboards.settings import DashboardSettings
from chatops_dashboards.theme import MANTINE


def shell_layout(pages: Sequence[Page]) -> Any:
    """The layout of the whole app, made anew for each load because it names the user and the tab."""
    session = current_session()
    return dmc.MantineProvider(
        theme=MANTINE,
        defaultColorScheme="auto",
        children=[
            dcc.Location(id="url", refresh="callback-nav"),
            dcc.Store(id="tab", data=secrets.token_urlsafe(9)),
            dcc.Store(id="page-title"),
            dcc.Store(id="live-nudge"),
            dcc.Store(id="live-paused", data=False),
            dcc.Store(id="live-heartbeat"),
            dcc.Store(id="live-problem"),
            html.A("Skip to content", href="#page", className="skip-link"),
            dmc.AppShell(
                [
                    dmc.AppShellHeader(_header(pages, session)),
                    dmc.AppShellMain(
                        [
                            html.Div(id="live-banner", className="live-banner", hidden=True, role="status"),
                            while_loading("page", loading_page()),
                        ]
                    ),
                ],
                header={"height": 56},
                padding="md",
            ),
            account.password_dialogue(),
            prove.dialogue(),
        ],
    )


def _header(pages: Sequence[Page], session: Session) -> html.Div:
    links = [
        dcc.Link(
            [
                icon(page.icon, 16),
                html.Span(page.title, className="nav-word"),
                html.Span(id=page.badge) if page.badge else None,
            ],
            href=page.navigation,
            className="nav-link",
            id={"type": "nav", "page": page.name},
        )
        for page in pages
        if page.navigation and (session.is_admin or not page.admin_only)
    ]
    return html.Div(
        [
            dcc.Link(
                [
                    html.Img(src="/assets/favicon.svg", alt="", width=28, height=28),
                    html.Span("ChatOps", className="brand-word"),
                ],
                href="/",
                className="brand",
                title="Fleet",
            ),
            html.Nav(links, className="nav", **dashed(aria_label="Pages")),
            html.Span(
                zone_label(request_zone(), datetime.now(UTC)),
                className="zone dim",
                title="Times are shown in this time zone",
            ),
            dmc.ColorSchemeToggle(
                lightIcon=icon("sun"),
                darkIcon=icon("moon"),
                variant="subtle",
                color="gray",
                size="lg",
                **dashed(aria_label="Switch between light and dark"),
            ),
            account.menu(session),
        ],
        className="header",
    )


async def route(
    pages: Sequence[Page], settings: DashboardSettings, session: Session, path: str, search: str, host: str
) -> tuple[Any, str, str]:
    """Content, document title and the name of the page for a path of this site."""
    for page in pages:
        match = page.pattern.match(path)
        if match is None:
            continue
        if page.admin_only and not session.is_admin:
            return (
                _idle(empty("Not for this account", "Only administrators see this page.", picture="lock")),
                page.title,
                "",
            )
        query = dict(parse_qsl((search or "").lstrip("?")))
        context = PageContext(session, match.groupdict(), query, request_zone(), settings, host)
        try:
            content = await page.layout(context)
        except (ApiError, BackendUnreachableError) as error:
            if isinstance(error, ApiError) and error.status == 404:
                return _idle(_missing(error.detail)), "Not found", page.name
            content = _idle(failure(error, page.title))
        if isinstance(content, Titled):
            return content.content, content.title, page.name
        return content, page.title, page.name
    return _idle(_missing("This address leads nowhere.")), "Not found", ""


def _missing(text: str) -> html.Div:
    return empty(
        "Not found", text, picture="search", action=dcc.Link("Back to the fleet", href="/", className="plain-button")
    )


def _idle(content: Any) -> html.Div:
    # Without a view of its own a page would leave the stream of the one before it running.
    return html.Div([content, dcc.Store(id="live-view", data={"kind": "idle"})])


def register_shell(app: Dash, pages: Sequence[Page], settings: DashboardSettings) -> None:
    account.register(app)
    prove.register(app)

    @app.callback(
        Output("page", "children"),
        Output("live-paused", "data", allow_duplicate=True),
        Output("page-title", "data"),
        Input("url", "pathname"),
        State("url", "search"),
        prevent_initial_call="initial_duplicate",
    )
    async def show_page(path: str | None, search: str | None) -> Any:
        if path is None:
            return no_update, no_update, no_update
        content, title, _name = await route(pages, settings, current_session(), path, search or "", request.host)
        return content, False, f"{title} · ChatOps"

    in_browser(
        app, "markNavigation", Output("page", "data-path"), Input("url", "pathname"), Input("page-title", "data")
    )
    in_browser(
        app,
        "heartbeat",
        Output("live-banner", "data-beat"),
        Input("live-heartbeat", "data"),
        Input("live-problem", "data"),
    )
