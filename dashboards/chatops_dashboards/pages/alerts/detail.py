"""One alert: what, where, why, with the metric around the window that decided, and everything that happened to it."""

import asyncio
import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any
from urllib.parse import urlsplit

from dash import Dash, Input, Output, dcc, html

from chatops_client import ApiError, BackendUnreachableError
from chatops_dashboards.alert_hub import alert_hub
from chatops_dashboards.alert_words import LEVEL_WORDS, alert_value, bound_text, labels_text, rule_words, value_text
from chatops_dashboards.components import alert_actions
from chatops_dashboards.components.alert_status import level_badge, state_badge
from chatops_dashboards.components.alert_table import lasted, row_actions
from chatops_dashboards.components.attributes import dashed
from chatops_dashboards.components.states import failure, loading_cards
from chatops_dashboards.components.status import moment_text
from chatops_dashboards.components.tables import data_table
from chatops_dashboards.components.way_back import way_back
from chatops_dashboards.figures.alert_chart import alert_figure, chart_range
from chatops_dashboards.figures.frame import GRAPH_CONFIG
from chatops_dashboards.figures.history_chart import HEIGHT, describe
from chatops_dashboards.live import LiveViews, Push, View
from chatops_dashboards.page import Page, PageContext
from chatops_dashboards.session import Session, current_session, request_zone
from chatops_dashboards.settings import DashboardSettings
from chatops_dashboards.units import format_duration
from chatops_protocol.alert_resources import Alert, AlertEvent, Bound, StoredThreshold

POINTS = 500
COLLECT_S = 0.25
# Says when readings arrived, for a rule about a server that is silent.
PRESENCE_METRIC = "host.cpu_percent"
TRANSITION_WORDS = {
    "pending": "Condition began to hold",
    "cancelled": "Condition ended before it fired",
    "fired": "Fired",
    "raised": "Rose to critical",
    "acknowledged": "Acknowledged",
    "resolved": "Resolved",
}


async def layout(context: PageContext) -> Any:
    alert_id = int(context.parts["alert_id"])
    detail = await context.session.client.alerts.get(alert_id)
    return html.Div(
        [
            way_back("Alerts", "/alerts"),
            html.Div(await summary(context.session, detail.alert, detail.events, context.zone), id="alert-summary"),
            html.Div(id="alert-action-message", className="page-message"),
            html.Div(loading_cards(1, HEIGHT), id="alert-chart-place"),
            dcc.Store(id="alert-id", data=alert_id),
            dcc.Store(id="live-view", data={"kind": "alert", "alert_id": alert_id}),
            alert_actions.dialogue() if context.session.may_act else None,
        ]
    )


async def summary(session: Session, alert: Alert, events: Sequence[AlertEvent], zone: tzinfo) -> html.Div:
    """The head with its facts, and what happened; pushed anew when the alert changes."""
    now = datetime.now(UTC)
    rule = await _rule(session, alert.threshold_id)
    began = alert.started_at or alert.pending_at
    facts = [
        ("Server", dcc.Link(alert.server_name, href=f"/servers/{alert.server_id}", className="breakable")),
        ("Labels", labels_text(alert.labels)) if alert.labels else None,
        ("Value that decided", alert_value(alert)),
        ("Window", format_duration(alert.window_s)),
        ("Since", moment_text(began, now, zone, "–")),
        ("Ended", moment_text(alert.resolved_at, now, zone)) if alert.resolved_at else None,
        ("Lasted", lasted(alert)) if alert.resolved_at else None,
        ("Learned", moment_text(alert.learned_at, now, zone)) if alert.learned_at else None,
        ("Comment", html.Span(alert.comment, className="breakable")) if alert.comment else None,
    ]
    return html.Div(
        [
            html.Div(
                [
                    html.H1(alert.threshold_name),
                    level_badge(alert.level, alert.state),
                    state_badge(alert),
                    row_actions(alert) if session.may_act and alert.state != "resolved" else None,
                ],
                className="server-title",
            ),
            html.P(
                [
                    rule_words(rule.threshold, {alert.server_id: alert.server_name}) if rule else "",
                    " · " if rule else "",
                    dcc.Link("Rule", href=f"/alerts/rules/{alert.threshold_id}") if rule else "Its rule was deleted.",
                    *runbook_link(alert.runbook_url),
                ],
                className="dim alert-words breakable",
            ),
            html.Dl([html.Div([html.Dt(f[0]), html.Dd(f[1])]) for f in facts if f], className="facts"),
            html.Section(
                [html.Div(html.H2("What happened"), className="panel-head"), event_table(alert, events, now, zone)],
                className="alert-section",
            ),
        ]
    )


def runbook_link(url: str) -> list[Any]:
    # Only web addresses become links: another scheme could run as code.
    if urlsplit(url).scheme not in ("http", "https"):
        return []
    return [" · ", html.A("Runbook", href=url, target="_blank", rel="noopener noreferrer", title=url)]


def event_table(alert: Alert, events: Sequence[AlertEvent], now: datetime, zone: tzinfo) -> Any:
    if not events:
        return html.P("No event is stored.", className="dim tight")
    return html.Div(
        data_table(
            [("When", False), ("What", False), ("Level", False), ("Value", True), ("Bound", True), ("Who", False)],
            [
                [
                    moment_text(event.time, now, zone),
                    TRANSITION_WORDS.get(event.transition, event.transition),
                    LEVEL_WORDS[event.level],
                    value_text(event.value, alert.metric),
                    bound_text(event.bound, alert.metric),
                    html.Span(
                        [event.actor or "", html.Br() if event.comment else None, event.comment], className="breakable"
                    ),
                ]
                for event in events
            ],
            caption="Events of this alert",
            hide_on_phone=(2, 4),
        ),
        className="panel flush",
    )


async def _rule(session: Session, threshold_id: int) -> StoredThreshold | None:
    try:
        return await session.client.alerts.threshold(threshold_id)
    except ApiError as error:
        if error.status == 404:
            return None
        raise


async def chart(session: Session, alert: Alert, zone: tzinfo) -> Any:
    """The metric's panel; for a silent server, when its readings came."""
    metric = alert.metric or PRESENCE_METRIC
    start, end = chart_range(alert, datetime.now(UTC))
    # Labels that are objects are asked for by their JSON.
    labels = {n: v if isinstance(v, str) else json.dumps(v) for n, v in alert.labels.items()} or None
    try:
        answer, rule = await asyncio.gather(
            session.client.history_series(alert.server_id, metric, start, end, points=POINTS, labels=labels),
            _rule(session, alert.threshold_id),
        )
    except (ApiError, BackendUnreachableError) as error:
        return html.Section(failure(error, metric), className="panel")
    bounds: dict[str, Bound | None] = {}
    if alert.metric is not None and rule is not None and rule.threshold.kind in ("threshold", "forecast"):
        bounds = {level: getattr(rule.threshold, level) for level in ("warning", "critical", "clear")}
        if alert.bound is not None:
            bounds[alert.level] = alert.bound
    elif alert.metric is not None and (rule is None or rule.threshold.kind == "threshold"):
        bounds = {alert.level: alert.bound}
    return html.Section(
        [
            html.Div(
                [html.H2(metric), html.Span(describe(answer), className="dim small")], className="panel-head wrap"
            ),
            dcc.Graph(
                id="alert-chart",
                figure=alert_figure(alert, answer, bounds, start, end, zone),
                config=GRAPH_CONFIG,
                style={"height": HEIGHT},
                className="chart",
            ),
            html.P(
                "Grey: the window that decided. Coloured: while it fired. Lines: the bounds.",
                className="dim small tight",
            ),
        ],
        className="panel",
        **dashed(aria_label=f"{metric} around the alert"),
    )


async def stream(session: Session, view: View, zone: tzinfo, push: Push) -> None:
    """The head and the events anew whenever the alert changes, until it is over."""
    alert_id = int(view["alert_id"])
    async with alert_hub(session).subscribed() as hub:
        version, known = hub.version, hub.open.get(alert_id)
        while True:
            if not await hub.news(version, timeout=30.0):
                continue
            await asyncio.sleep(COLLECT_S)
            if hub.refusal is not None:
                raise hub.refusal
            version, current = hub.version, hub.open.get(alert_id)
            if current != known:
                known = current
                detail = await session.client.alerts.get(alert_id)
                push("alert-summary", children=await summary(session, detail.alert, detail.events, zone))


def register(app: Dash, views: LiveViews, settings: DashboardSettings) -> None:
    views.add("alert", stream)

    @app.callback(Output("alert-chart-place", "children"), Input("alert-id", "data"))
    async def draw(alert_id: int) -> Any:
        session = current_session()
        try:
            detail = await session.client.alerts.get(int(alert_id))
        except (ApiError, BackendUnreachableError) as error:
            return failure(error, "The chart")
        return await chart(session, detail.alert, request_zone())


PAGE = Page(
    name="alert",
    title="Alert",
    pattern=re.compile(r"^/alerts/(?P<alert_id>\d{1,18})/?$"),
    layout=layout,
    register=register,
)
