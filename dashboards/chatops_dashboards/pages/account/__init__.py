"""One's own account, for everybody: name and password, sessions, second factor."""

import asyncio
import re
from datetime import UTC, datetime
from typing import Any

from dash import Dash, dcc, html

from chatops_dashboards.live import LiveViews
from chatops_dashboards.page import Page, PageContext
from chatops_dashboards.pages.account import profile, second_factor, sessions
from chatops_dashboards.settings import DashboardSettings


async def layout(context: PageContext) -> Any:
    client, now = context.session.client, datetime.now(UTC)
    me, opened, factor = await asyncio.gather(client.me(), client.account.sessions(), client.account.second_factor())
    return html.Div(
        [
            html.H1("Account", className="page-head"),
            html.Div(
                [
                    profile.section(me),
                    second_factor.section(factor, now, context.zone),
                    sessions.section(opened, now, context.zone),
                ],
                className="stack narrow",
            ),
            dcc.Store(id="live-view", data={"kind": "idle"}),
        ]
    )


def register(app: Dash, views: LiveViews, settings: DashboardSettings) -> None:
    for part in (profile, sessions, second_factor):
        part.register(app)


PAGE = Page(name="account", title="Account", pattern=re.compile(r"^/account/?$"), layout=layout, register=register)
