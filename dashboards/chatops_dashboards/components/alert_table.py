"""Alerts as rows: what, where, how bad, since when, and what a person may do about it. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo

import dash_mantine_components as dmc
from dash import dcc, html

from chatops_dashboards.alert_words import alert_value, labels_text
from chatops_dashboards.components.alert_status import level_badge, marks, state_badge
from chatops_dashboards.components.attributes import dashed
from chatops_dashboards.components.status import moment_text
from chatops_dashboards.units import format_duration
from chatops_protocol.alert_resources import Alert, AlertState, Level

# More rows than this help nobody and cost every tab; filters find the rest.
MOST_ROWS = 200
_LEVEL_ORDER: dict[Level, int] = {"critical": 0, "warning": 1}
_STATE_ORDER: dict[AlertState, int] = {"firing": 0, "acknowledged": 1, "pending": 2, "resolved": 3}
_OPEN_COLUMNS = ("Level", "What", "Where", "Value", "Since", "State", "")
_OVER_COLUMNS = ("Level", "What", "Where", "Value", "Started", "Ended", "Lasted")


def select(alerts: Sequence[Alert], filters: Mapping[str, str]) -> list[Alert]:
    """Those that match `level`, `state` and `server` (an id), by urgency: unacknowledged first, critical first, then
    the longest-standing, so that a new one moves as few rows as it can."""
    level, state, server = filters.get("level"), filters.get("state"), filters.get("server")
    chosen = [
        alert
        for alert in alerts
        if level in (None, "", alert.level)
        and state in (None, "", alert.state)
        and server in (None, "", str(alert.server_id))
    ]
    return sorted(
        chosen, key=lambda alert: (_STATE_ORDER[alert.state], _LEVEL_ORDER[alert.level], begun(alert), alert.id)
    )


def begun(alert: Alert) -> float:
    moment = alert.started_at or alert.pending_at
    return moment.timestamp() if moment else 0.0


def open_table(alerts: Sequence[Alert], now: datetime, zone: tzinfo, *, may_act: bool, caption: str) -> html.Div:
    rows = [
        html.Tr(
            open_cells(alert, now, zone, may_act=may_act),
            id={"type": "alert-row", "alert": alert.id},
            className=f"alert-row alert-row-{alert.level}",
        )
        for alert in alerts[:MOST_ROWS]
    ]
    return _table(_OPEN_COLUMNS, rows, caption, len(alerts) - MOST_ROWS)


def over_table(alerts: Sequence[Alert], now: datetime, zone: tzinfo, *, caption: str) -> html.Div:
    return _table(_OVER_COLUMNS, [html.Tr(over_cells(alert, now, zone)) for alert in alerts], caption, 0)


def open_cells(alert: Alert, now: datetime, zone: tzinfo, *, may_act: bool) -> list[html.Td]:
    """The cells of an open alert's row; pushed anew when it changes."""
    return [
        html.Td(level_badge(alert.level, alert.state)),
        html.Td(_rule_link(alert)),
        html.Td(_where(alert)),
        html.Td(html.Span(alert_value(alert), className="numeric breakable")),
        html.Td(moment_text(alert.started_at or alert.pending_at, now, zone, "–"), className="alert-since"),
        html.Td(state_badge(alert)),
        html.Td(row_actions(alert) if may_act else None, className="alert-actions"),
    ]


def over_cells(alert: Alert, now: datetime, zone: tzinfo) -> list[html.Td]:
    began = alert.started_at or alert.pending_at
    return [
        html.Td(level_badge(alert.level, alert.state)),
        html.Td(_rule_link(alert)),
        html.Td(_where(alert)),
        html.Td(html.Span(alert_value(alert), className="numeric breakable")),
        html.Td(moment_text(began, now, zone, "–")),
        html.Td(moment_text(alert.resolved_at, now, zone, "–")),
        html.Td(html.Span([html.Span(lasted(alert), className="numeric"), *marks(alert)], className="alert-marks")),
    ]


def lasted(alert: Alert) -> str:
    began = alert.started_at or alert.pending_at
    if began is None or alert.resolved_at is None:
        return ""
    return format_duration((alert.resolved_at - began).total_seconds())


def row_actions(alert: Alert) -> dmc.Group:
    """Acknowledge, silence, resolve; each opens a dialogue that says what it will do."""
    actions = [("acknowledge", "Acknowledge")] if alert.state == "firing" else []
    actions += [("silence", "Silence")] if not alert.silenced else []
    actions += [("resolve", "Resolve")] if alert.state != "pending" else []
    return dmc.Group(
        [
            dmc.Button(
                word,
                id={"type": "alert-action", "action": action, "alert": alert.id},
                size="compact-xs",
                variant="default",
                **dashed(aria_label=f"{word} {alert.threshold_name} on {alert.server_name}"),
            )
            for action, word in actions
        ],
        gap=4,
        wrap="nowrap",
    )


def _rule_link(alert: Alert) -> html.Span:
    return html.Span(
        [
            dcc.Link(alert.threshold_name, href=f"/alerts/{alert.id}", className="strong-link breakable"),
            html.Span(alert.metric, className="dim small breakable") if alert.metric else None,
        ],
        className="alert-what",
    )


def _where(alert: Alert) -> html.Span:
    labels = labels_text(alert.labels)
    return html.Span(
        [
            dcc.Link(alert.server_name, href=f"/servers/{alert.server_id}", className="breakable"),
            html.Span(labels, className="dim small breakable") if labels else None,
        ],
        className="alert-what",
    )


def _table(columns: Sequence[str], rows: list[html.Tr], caption: str, more: int) -> html.Div:
    return html.Div(
        [
            html.Table(
                [
                    html.Caption(caption, className="visually-hidden"),
                    html.Thead(html.Tr([html.Th(title, scope="col") for title in columns])),
                    html.Tbody(rows),
                ],
                className="data-table alert-table",
            ),
            html.P(f"{more} more; narrow them down with the filters above.", className="dim small alert-more")
            if more > 0
            else None,
        ],
        className="table-box",
    )
