"""What fires now, what is about to, what is over; moved by push. The address bar holds the filters."""

import asyncio
import re
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any

import dash_mantine_components as dmc
from dash import Dash, Input, Output, dcc, html

from chatops_client import ApiError, BackendUnreachableError
from chatops_dashboards.alert_hub import AlertHub, alert_hub
from chatops_dashboards.alert_words import LEVEL_WORDS
from chatops_dashboards.browser import in_browser
from chatops_dashboards.components import alert_actions
from chatops_dashboards.components.alert_navigation import COUNT_ID, places, stream_count
from chatops_dashboards.components.alert_table import open_cells, open_table, over_table, select
from chatops_dashboards.components.attributes import dashed
from chatops_dashboards.components.states import empty, failure, loading_cards, notice
from chatops_dashboards.live import LiveViews, Push, View
from chatops_dashboards.moments import absolute, from_unix
from chatops_dashboards.page import Page, PageContext
from chatops_dashboards.pages.alerts.history import history_address
from chatops_dashboards.session import Session, current_session, request_zone
from chatops_dashboards.settings import DashboardSettings
from chatops_protocol.alert_resources import Alert

FILTERS = ("level", "state", "server")
FIRST_STATE_S = 4.0
COLLECT_S = 0.25
RECENT = 20
EPOCH = from_unix(0)
OPEN_STATES = {"firing": "Firing", "acknowledged": "Acknowledged", "pending": "Pending"}


async def layout(context: PageContext) -> Any:
    """Filters as the address has them, and a place for the alerts, which the render callback fills at once."""
    servers = await context.session.client.servers()
    asked = {name: context.query.get(name, "") for name in FILTERS}
    known = {str(server.id) for server in servers}
    return html.Div(
        [
            html.Div(html.H1("Alerts"), className="page-head"),
            places("/alerts"),
            html.Div(
                [
                    _filter("level", "Any level", LEVEL_WORDS, asked["level"]),
                    _filter("state", "Any state", OPEN_STATES, asked["state"]),
                    dmc.Select(
                        id="alerts-server",
                        data=[{"value": str(server.id), "label": server.name} for server in servers],
                        value=asked["server"] if asked["server"] in known else None,
                        placeholder="Any server",
                        clearable=True,
                        searchable=True,
                        w=220,
                        **dashed(aria_label="Filter by server"),
                    ),
                ],
                className="toolbar",
            ),
            html.Div(id="alert-action-message", className="page-message"),
            html.Div(loading_cards(3, 80), id="alerts-body"),
            None
            if context.session.may_act
            else html.P(
                "Your account looks on; operators acknowledge, silence and resolve.", className="dim small alert-more"
            ),
            dcc.Store(id="alerts-query"),
            html.Div(id="alerts-address", hidden=True),
            dcc.Store(id="live-view"),
            alert_actions.dialogue() if context.session.may_act else None,
        ]
    )


def _filter(name: str, anything: str, words: Mapping[Any, str], value: str) -> dmc.Select:
    return dmc.Select(
        id=f"alerts-{name}",
        data=[{"value": key, "label": word} for key, word in words.items()],
        value=value if value in words else None,
        placeholder=anything,
        clearable=True,
        w=170,
        **dashed(aria_label=f"Filter by {name}"),
    )


async def body(session: Session, filters: Mapping[str, str], zone: tzinfo) -> Any:
    """All sections as they are now."""
    async with alert_hub(session).subscribed() as hub:
        if not hub.heard and hub.down_since is None:
            await hub.news(hub.version, FIRST_STATE_S)
        try:
            return await sections(session, hub, filters, zone)
        except (ApiError, BackendUnreachableError) as error:
            return failure(error, "The alerts")


async def sections(session: Session, hub: AlertHub, filters: Mapping[str, str], zone: tzinfo) -> list[Any]:
    now = datetime.now(UTC)
    # Until the live socket has spoken, the list of the API is what is known.
    everything = list(hub.open.values()) if hub.heard and hub.refusal is None else await _stored_open(session)
    chosen = select(everything, filters)
    burning = [alert for alert in chosen if alert.state != "pending"]
    pending = [alert for alert in chosen if alert.state == "pending"]
    parts: list[Any] = []
    if hub.down_since is not None:
        since = absolute(from_unix(hub.down_since), zone)[11:]
        parts.append(notice(f"Live data stopped at {since}; what is shown may be over. Reconnecting…", "warning"))
    may_act = session.may_act
    if burning:
        firing = sum(alert.state == "firing" for alert in burning)
        parts.append(
            _section(
                f"{firing} firing" + (f", {len(burning) - firing} acknowledged" if firing < len(burning) else ""),
                open_table(burning, now, zone, may_act=may_act, caption="Alerts that fire, the most urgent first"),
            )
        )
    elif everything and len(pending) < len(everything) and any(filters.values()):
        parts.append(empty("No open alert matches", "Change the filters above.", picture="search"))
    else:
        parts.append(await _nothing_fires(session))
    if pending:
        table = open_table(pending, now, zone, may_act=may_act, caption="Alerts that are about to fire")
        parts.append(_section(f"{len(pending)} pending", table, "The condition holds, but not yet for long enough."))
    if not filters.get("state"):
        server = filters.get("server")
        over = await session.client.alerts.list(
            states=["resolved"],
            level=_level(filters.get("level")),
            server_id=int(server) if server and server.isdecimal() else None,
            limit=5 * RECENT,
        )
        # The API orders by when they began.
        over = sorted(over, key=lambda alert: alert.resolved_at or EPOCH, reverse=True)[:RECENT]
        if over:
            everything_over = dcc.Link("All that were", href=history_address({**filters, "state": "resolved"}))
            table = over_table(over, now, zone, caption="The alerts that ended last")
            parts.append(_section("Recently resolved", table, everything_over))
    return parts


def _level(text: str | None) -> Any:
    return text if text in LEVEL_WORDS else None


async def _stored_open(session: Session) -> list[Alert]:
    return await session.client.alerts.list(states=["pending", "firing", "acknowledged"])


async def _nothing_fires(session: Session) -> html.Div:
    rules, servers = await asyncio.gather(session.client.alerts.thresholds(), session.client.servers())
    enabled = [rule for rule in rules if rule.threshold.enabled]
    broken = sum(rule.broken is not None for rule in enabled)
    watched = f"{len(enabled)} {'rule watches' if len(enabled) == 1 else 'rules watch'} "
    watched += f"{len(servers)} {'server' if len(servers) == 1 else 'servers'}."
    if broken:
        watched += f" {broken} of them cannot be evaluated."
    if not enabled:
        watched = "No rule is switched on, so nothing would be noticed."
    return empty(
        "Nothing fires",
        watched,
        picture="check" if enabled and not broken else "alert",
        action=dcc.Link("See the rules", href="/alerts/rules", className="plain-button"),
    )


def _section(title: str, table: Any, note: Any = "") -> html.Section:
    return html.Section(
        [
            html.Div([html.H2(title), html.Span(note, className="dim small")], className="panel-head wrap"),
            html.Div(table, className="panel flush"),
        ],
        className="alert-section",
    )


async def stream(session: Session, view: View, zone: tzinfo, push: Push) -> None:
    """Push rows that changed in place; all sections when alerts came, went or changed state."""
    filters = dict(view.get("filters") or {})
    async with alert_hub(session).subscribed() as hub:
        # Whatever came between the rendering and now is drawn at once.
        version, known = int(view.get("version") or 0), dict(hub.open)
        order, down = (_order(known, filters) if version == hub.version else None), hub.down_since
        while True:
            if await hub.news(version, timeout=30.0):
                await asyncio.sleep(COLLECT_S)
            if hub.refusal is not None:
                raise hub.refusal
            version, now = hub.version, datetime.now(UTC)
            if _order(hub.open, filters) != order or hub.down_since != down:
                push("alerts-body", children=await sections(session, hub, filters, zone))
            else:
                for key, alert in hub.open.items():
                    if known.get(key) != alert:
                        cells = open_cells(alert, now, zone, may_act=session.may_act)
                        push({"type": "alert-row", "alert": key}, children=cells)
            known, order, down = dict(hub.open), _order(hub.open, filters), hub.down_since


def _order(alerts: Mapping[int, Alert], filters: Mapping[str, str]) -> list[tuple[int, str]]:
    return [(alert.id, alert.state) for alert in select(list(alerts.values()), filters)]


def register(app: Dash, views: LiveViews, settings: DashboardSettings) -> None:
    views.add("alerts", stream)
    views.add_companion(stream_count)
    alert_actions.register(app)

    @app.callback(
        Output("alerts-body", "children"),
        Output("live-view", "data", allow_duplicate=True),
        Output("alerts-query", "data"),
        Input("alerts-level", "value"),
        Input("alerts-state", "value"),
        Input("alerts-server", "value"),
        prevent_initial_call="initial_duplicate",
    )
    async def render(level: str | None, state: str | None, server: str | None) -> Any:
        filters = {name: value for name, value in (("level", level), ("state", state), ("server", server)) if value}
        session = current_session()
        shown = await body(session, filters, request_zone())
        return shown, {"kind": "alerts", "filters": filters, "version": alert_hub(session).version}, filters

    in_browser(app, "rememberQuery", Output("alerts-address", "title"), Input("alerts-query", "data"), initially=False)


PAGE = Page(
    name="alerts",
    title="Alerts",
    pattern=re.compile(r"^/alerts/?$"),
    layout=layout,
    register=register,
    navigation="/alerts",
    icon="alert",
    badge=COUNT_ID,
)
