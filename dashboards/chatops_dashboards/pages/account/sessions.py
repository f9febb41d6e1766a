"""One's own sessions: which are open and where; ends one or all others, and says first what follows."""

from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any
from uuid import UUID

import dash_mantine_components as dmc
from dash import ALL, Dash, Input, Output, State, ctx, dcc, html, no_update

from chatops_client import ApiError, BackendUnreachableError
from chatops_dashboards.components.confirm import confirm_dialogue
from chatops_dashboards.components.session_table import FOLLOWS, session_named, session_table
from chatops_dashboards.components.states import explain, notice
from chatops_dashboards.session import current_session, request_zone
from chatops_protocol.resources import Session

OTHERS = "others"


def section(sessions: Sequence[Session], now: datetime, zone: tzinfo) -> html.Section:
    return html.Section(
        [
            html.Div(
                [
                    html.H2("Sessions"),
                    dmc.Button("End all others…", id="sessions-others", variant="default", size="xs"),
                ],
                className="panel-head",
            ),
            html.P(
                "Where you are logged in. End what you do not know, then change your password.", className="dim tight"
            ),
            html.Div(table(sessions, now, zone), id="sessions-table"),
            html.Div(id="sessions-message"),
            dcc.Store(id="sessions-asked"),
            confirm_dialogue("sessions-end", "End session", "", "End"),
        ],
        className="panel form",
    )


def table(sessions: Sequence[Session], now: datetime, zone: tzinfo) -> Any:
    return session_table(sessions, now, zone, "own-session-end")


def question(sessions: Sequence[Session], asked: str) -> str | None:
    """What will follow; None when there is nothing to end."""
    others = [session for session in sessions if not session.current]
    if asked == OTHERS:
        if not others:
            return None
        count = len(others)
        which = "your other session" if count == 1 else f"your {count} other sessions"
        return f"This ends {which}; you stay logged in here. {FOLLOWS}"
    if asked not in {str(session.id) for session in others}:
        return None
    return f"This ends {session_named(sessions, asked)}. {FOLLOWS}"


def register(app: Dash) -> None:
    @app.callback(
        Output("sessions-end", "opened"),
        Output("sessions-end-consequence", "children"),
        Output("sessions-asked", "data"),
        Output("sessions-message", "children"),
        Output("sessions-table", "children"),
        Input({"type": "own-session-end", "session": ALL}, "n_clicks"),
        Input("sessions-others", "n_clicks"),
        prevent_initial_call=True,
    )
    async def ask(_clicks: list[int | None], _others: int | None) -> Any:
        triggered = ctx.triggered_id
        if not ctx.triggered or not ctx.triggered[0]["value"]:
            return (no_update,) * 5
        asked = OTHERS if triggered == "sessions-others" else str(triggered["session"])
        try:
            sessions = await current_session().client.account.sessions()
        except (ApiError, BackendUnreachableError) as error:
            return no_update, no_update, no_update, explain(error), no_update
        words, shown = question(sessions, asked), table(sessions, datetime.now(UTC), request_zone())
        if words is None:
            gone = "There is no other session." if asked == OTHERS else "That session has ended already."
            return no_update, no_update, no_update, notice(gone), shown
        return True, words, asked, None, no_update

    @app.callback(
        Output("sessions-end", "opened", allow_duplicate=True),
        Input("sessions-end-cancel", "n_clicks"),
        prevent_initial_call=True,
    )
    def cancel(clicks: int | None) -> Any:
        return False if clicks else no_update

    @app.callback(
        Output("sessions-table", "children", allow_duplicate=True),
        Output("sessions-end", "opened", allow_duplicate=True),
        Output("sessions-message", "children", allow_duplicate=True),
        Input("sessions-end-confirm", "n_clicks"),
        State("sessions-asked", "data"),
        running=[(Output("sessions-end-confirm", "loading"), True, False)],
        prevent_initial_call=True,
    )
    async def confirm(clicks: int | None, asked: str | None) -> Any:
        if not clicks or not asked:
            return no_update, no_update, no_update
        account = current_session().client.account
        try:
            if asked == OTHERS:
                await account.end_sessions()
            else:
                await account.end_session(UUID(asked))
            sessions = await account.sessions()
        except (ApiError, BackendUnreachableError) as error:
            return no_update, False, explain(error)
        done = "All other sessions have ended." if asked == OTHERS else "The session has ended."
        return table(sessions, datetime.now(UTC), request_zone()), False, notice(done)
