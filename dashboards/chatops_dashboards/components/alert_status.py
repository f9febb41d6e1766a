"""Level and state of an alert three ways at once (colour, shape, word), and the marks beside them. Pure."""

from typing import Any

from dash import dcc, html

from chatops_dashboards.alert_words import LEVEL_WORDS, STATE_WORDS
from chatops_dashboards.components.attributes import dashed
from chatops_protocol.alert_resources import Alert, AlertState, Level

SHAPES: dict[Level, str] = {"warning": "▲", "critical": "◆"}


def level_badge(level: Level, state: AlertState = "firing") -> html.Span:
    """A triangle (warning) or a diamond (critical) with its word; dim once it is over."""
    over = " alert-over" if state == "resolved" else ""
    return html.Span(
        [html.Span(SHAPES[level], className="alert-shape", **dashed(aria_hidden="true")), LEVEL_WORDS[level]],
        className=f"alert-level level-{level}{over}",
    )


def state_badge(alert: Alert) -> html.Span:
    """The state's word, who looks after it, and the marks."""
    parts: list[Any] = [html.Span(STATE_WORDS[alert.state], className=f"alert-state alert-state-{alert.state}")]
    if alert.acknowledged_by and alert.state == "acknowledged":
        parts.append(html.Span(f"by {alert.acknowledged_by}", className="dim small breakable"))
    return html.Span([*parts, *marks(alert)], className="alert-marks")


def marks(alert: Alert) -> list[Any]:
    """Why nobody is told of it, when that is so."""
    found: list[Any] = []
    if alert.silenced:
        found.append(html.Span("silenced", className="tag", title="A silence matches: nobody is notified"))
    if alert.held_back_by is not None:
        found.append(
            html.Span(
                dcc.Link("held back", href=f"/alerts/{alert.held_back_by}"),
                className="tag",
                title="Another alert of this server explains it: nobody is notified of this one",
            )
        )
    if alert.learned_at is not None:
        found.append(
            html.Span("learned late", className="tag", title="The readings came late; it never notifies for the past")
        )
    return found
