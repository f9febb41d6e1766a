"""The sessions of another person, for administrators: a dialogue that lists them, asks, and ends one or all."""

from datetime import UTC, datetime, tzinfo
from typing import Any
from uuid import UUID

import dash_mantine_components as dmc
from dash import ALL, Dash, Input, Output, State, ctx, dcc, html, no_update

from chatops_client import ApiError, BackendUnreachableError
from chatops_dashboards.components.session_table import FOLLOWS, session_named, session_table
from chatops_dashboards.components.states import explain, notice
from chatops_dashboards.session import Session, current_session, request_zone

EVERY = "all"


def dialogue() -> html.Div:
    """Once on the page of users, whose buttons have ids of type ``user-sessions`` and name the person."""
    return html.Div(
        [
            dcc.Store(id="person-sessions-of"),
            dcc.Store(id="person-sessions-asked"),
            dmc.Modal(
                id="person-sessions",
                title="Sessions",
                size="xl",
                children=html.Div(
                    [html.Div(id="person-sessions-body"), html.Div(id="person-sessions-message")],
                    className="stack tight",
                ),
            ),
        ]
    )


async def shown(session: Session, user_id: int, zone: tzinfo) -> Any:
    """The list, with a button for all when there are several."""
    found = await session.client.account.sessions(user_id)
    table = session_table(found, datetime.now(UTC), zone, "person-session-end")
    everything = dmc.Button("End all…", id="person-sessions-all", variant="default", size="xs") if found else None
    return html.Div([table, html.Div(everything)], className="stack tight")


async def question(session: Session, user_id: int, name: str, asked: str) -> Any:
    """What ends, whose it is, and what follows."""
    found = await session.client.account.sessions(user_id)
    count = len(found)
    every = "the only session" if count == 1 else f"all {count} sessions"
    which = every if asked == EVERY else session_named(found, asked)
    words = f"This ends {which} of “{name}”, who can log in again. {FOLLOWS}"
    return html.Div(
        [
            html.P(words, className="tight"),
            dmc.Group(
                [
                    dmc.Button("Back", id="person-sessions-back", variant="default"),
                    dmc.Button("End", id="person-sessions-end", color="red"),
                ],
                justify="flex-end",
            ),
        ],
        className="stack tight",
    )


def register(app: Dash) -> None:
    @app.callback(
        Output("person-sessions", "opened"),
        Output("person-sessions", "title"),
        Output("person-sessions-of", "data"),
        Output("person-sessions-body", "children"),
        Output("person-sessions-message", "children"),
        Input({"type": "user-sessions", "user": ALL, "name": ALL}, "n_clicks"),
        prevent_initial_call=True,
    )
    async def open_dialogue(_clicks: list[int | None]) -> Any:
        asked = ctx.triggered_id
        if not isinstance(asked, dict) or not ctx.triggered[0]["value"]:
            return (no_update,) * 5
        whose = {"user": int(asked["user"]), "name": str(asked["name"])}
        title = f"Sessions of {whose['name']}"
        try:
            return True, title, whose, await shown(current_session(), int(asked["user"]), request_zone()), None
        except (ApiError, BackendUnreachableError) as error:
            return True, title, whose, None, explain(error)

    @app.callback(
        Output("person-sessions-body", "children", allow_duplicate=True),
        Output("person-sessions-asked", "data"),
        Output("person-sessions-message", "children", allow_duplicate=True),
        Input({"type": "person-session-end", "session": ALL}, "n_clicks"),
        Input("person-sessions-all", "n_clicks", allow_optional=True),
        State("person-sessions-of", "data"),
        prevent_initial_call=True,
    )
    async def ask(_clicks: list[int | None], _all: int | None, whose: dict[str, Any] | None) -> Any:
        triggered = ctx.triggered_id
        if not whose or not ctx.triggered or not ctx.triggered[0]["value"]:
            return no_update, no_update, no_update
        asked = str(triggered["session"]) if isinstance(triggered, dict) else EVERY
        try:
            words = await question(current_session(), int(whose["user"]), str(whose["name"]), asked)
        except (ApiError, BackendUnreachableError) as error:
            return no_update, no_update, explain(error)
        return words, asked, None

    @app.callback(
        Output("person-sessions-body", "children", allow_duplicate=True),
        Output("person-sessions-message", "children", allow_duplicate=True),
        Input("person-sessions-back", "n_clicks", allow_optional=True),
        Input("person-sessions-end", "n_clicks", allow_optional=True),
        State("person-sessions-of", "data"),
        State("person-sessions-asked", "data"),
        prevent_initial_call=True,
    )
    async def answer(back: int | None, end: int | None, whose: dict[str, Any] | None, asked: str | None) -> Any:
        if not whose or not asked or not (back or end):
            return no_update, no_update
        session, user_id = current_session(), int(whose["user"])
        try:
            if end and asked == EVERY:
                await session.client.account.end_sessions(user_id)
            elif end:
                await session.client.account.end_session(UUID(asked), user_id)
            return await shown(session, user_id, request_zone()), notice("Ended.") if end else None
        except (ApiError, BackendUnreachableError) as error:
            return no_update, explain(error)
