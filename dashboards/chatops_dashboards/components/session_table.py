"""The log-ins of a person that are open, as a table with a button that ends each. Pure."""

from collections.abc import Sequence
from datetime import datetime, tzinfo
from typing import Any

import dash_mantine_components as dmc
from dash import html

from chatops_dashboards.components.attributes import dashed
from chatops_dashboards.components.client_words import client_words
from chatops_dashboards.components.status import moment_text
from chatops_dashboards.components.tables import data_table
from chatops_protocol.resources import Session

# What ending a log-in brings with it.
FOLLOWS = "Its pages stop within seconds, and commands that it gave and that still run are cancelled."


def session_table(sessions: Sequence[Session], now: datetime, zone: tzinfo, button_type: str) -> Any:
    """Buttons have ids ``{"type": button_type, "session": id}``; the one that asks has none."""
    if not sessions:
        return html.P("Nobody is logged in with this account.", className="dim tight")
    return data_table(
        [("Program", False), ("Address", False), ("Logged in", False), ("Last used", False), ("", False)],
        [
            [
                html.Span(client_words(session.client), title=session.client, className="breakable strong"),
                html.Span(session.address or "unknown", className="breakable"),
                html.Span(moment_text(session.created_at, now, zone), className="no-wrap"),
                # Told every quarter of an hour: this one is in use now.
                "now" if session.current else html.Span(moment_text(session.last_used_at, now, zone)),
                html.Span("This one", className="tag")
                if session.current
                else dmc.Button(
                    "End…",
                    id={"type": button_type, "session": str(session.id)},
                    size="compact-xs",
                    variant="default",
                    **dashed(aria_label=f"End the session of {client_words(session.client)}"),
                ),
            ]
            for session in sessions
        ],
        caption="Sessions",
        hide_on_phone=(2,),
        stacked=True,
    )


def session_named(sessions: Sequence[Session], session_id: str) -> str:
    """Which one a question is about."""
    found = next((session for session in sessions if str(session.id) == session_id), None)
    if found is None:
        return "this session"
    return f"the session of {client_words(found.client)} at {found.address or 'an unknown address'}"
