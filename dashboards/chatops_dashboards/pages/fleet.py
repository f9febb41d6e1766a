"""The first page: is anything wrong, where, since when. Cards for a few servers, a table for many, moved by push."""

import asyncio
import re
from datetime import UTC, datetime, tzinfo
from typing import Any

import dash_mantine_components as dmc
from dash import Dash, Input, Output, dcc, html

from chatops_client import ApiError, BackendUnreachableError
from chatops_dashboards.alert_hub import AlertHub, alert_hub
from chatops_dashboards.components import add_server, fleet_view
from chatops_dashboards.components.attributes import dashed
from chatops_dashboards.components.fleet_table import fleet_table
from chatops_dashboards.components.icons import icon
from chatops_dashboards.components.states import empty, failure, loading_cards, notice
from chatops_dashboards.fleet_alerts import Fired, fired_now
from chatops_dashboards.fleet_hub import FleetHub, fleet_hub
from chatops_dashboards.fleet_state import SORTS, select
from chatops_dashboards.live import LiveViews, Push, View
from chatops_dashboards.live_hub import any_news
from chatops_dashboards.page import Page, PageContext
from chatops_dashboards.session import Session, current_session, request_zone
from chatops_dashboards.settings import DashboardSettings
from chatops_protocol.live_messages import FleetEntry

MOST_CARDS = 24
FIRST_STATE_S = 4.0
# Changes are collected this long, so that a fleet of hundreds costs a tab a few messages a second, not hundreds.
COLLECT_S = 0.25
HEAT_MAP = "/explore?metric=host.cpu_percent&view=heat&range=24h"
# How long it is taken for granted which rules are switched on.
RULES_KNOWN_S = 60.0


async def layout(context: PageContext) -> Any:
    """Controls and a place for the servers, which the render callback fills at once."""
    return html.Div(
        [
            dmc.Group(
                [
                    html.H1("Fleet"),
                    dmc.Group(
                        [
                            dcc.Link(
                                "Heat map",
                                href=HEAT_MAP,
                                className="plain-button",
                                id="fleet-heat",
                                title="One metric of all servers over the last day",
                            ),
                            add_server.open_button() if context.session.is_admin else None,
                        ],
                        gap="xs",
                    ),
                ],
                justify="space-between",
                className="page-head",
            ),
            html.Div(id="fleet-summary", className="summary-place"),
            html.Div(
                [
                    dmc.TextInput(
                        id="fleet-search",
                        placeholder="Search name or tag",
                        leftSection=icon("search", 16),
                        debounce=150,
                        className="grow",
                        **dashed(aria_label="Search servers"),
                    ),
                    dmc.MultiSelect(
                        id="fleet-tags",
                        data=[],
                        placeholder="Tags",
                        clearable=True,
                        searchable=True,
                        w=180,
                        **dashed(aria_label="Filter by tags"),
                    ),
                    dmc.Select(
                        id="fleet-status",
                        value="all",
                        data=[
                            {"value": "all", "label": "All states"},
                            {"value": "attention", "label": "Needs attention"},
                            {"value": "online", "label": "Online"},
                            {"value": "offline", "label": "Offline"},
                            {"value": "never", "label": "Never reported"},
                        ],
                        allowDeselect=False,
                        w=170,
                        **dashed(aria_label="Filter by state"),
                    ),
                    dmc.Select(
                        id="fleet-sort",
                        value="attention",
                        data=[{"value": key, "label": label} for key, label in SORTS.items()],
                        allowDeselect=False,
                        w=210,
                        persistence=True,
                        **dashed(aria_label="Sort by"),
                    ),
                    dmc.SegmentedControl(
                        id="fleet-view",
                        value="auto",
                        data=[
                            {"value": "auto", "label": "Auto"},
                            {"value": "cards", "label": "Cards"},
                            {"value": "table", "label": "Table"},
                        ],
                        persistence=True,
                        **dashed(aria_label="Show as"),
                    ),
                ],
                className="toolbar",
            ),
            html.Div(loading_cards(), id="fleet-body"),
            fleet_view.legend(),
            dcc.Store(id="fleet-changed"),
            dcc.Store(id="live-view"),
            add_server.dialogue() if context.session.is_admin else None,
        ]
    )


async def render(
    session: Session, zone: tzinfo, search: str, tags: list[str], status: str, sort: str, view: str
) -> tuple[Any, Any, list[str], View]:
    """Summary, servers, the tags there are, and the live view that keeps them moving."""
    async with fleet_hub(session).subscribed() as hub, alert_hub(session).subscribed() as alerts:
        await asyncio.gather(_first_servers(hub), _first_alerts(alerts))
        fired = fired_now(alerts, await _rules_on(session))
        entries = list(hub.entries.values())
        if not hub.entries and (hub.down_since is not None or hub.version == 0):
            return await _without_live_data(session, zone)
        now = datetime.now(UTC)
        chosen = select(entries, search, tags, status, sort, fired)
        all_tags = sorted({tag for entry in entries for tag in entry.tags})
        top = fleet_view.summary(entries, hub.sparks, now, zone, hub.down_since, fired)
        mode = view if view in ("cards", "table") else "cards" if len(entries) <= MOST_CARDS else "table"
        body: Any
        if not entries:
            body = _no_servers(session)
        elif not chosen:
            body = empty("No server matches", "Change the search, the tags or the state above.", picture="search")
        elif mode == "cards":
            body = fleet_view.cards(chosen, hub.sparks, now, zone, fired)
        else:
            rows = [fleet_view.table_row(e, hub.sparks.get(e.server_id), now.timestamp(), fired) for e in chosen]
            body = fleet_table(rows)
        live = {
            "kind": "fleet",
            "mode": mode,
            "shown": [entry.server_id for entry in chosen],
            "known": sorted(hub.entries),
            "states": _states(hub, fired),
        }
        return top, body, all_tags, live


async def _first_servers(hub: FleetHub) -> None:
    if hub.version == 0 or not hub.entries:
        await hub.news(0, FIRST_STATE_S)


async def _first_alerts(hub: AlertHub) -> None:
    if not hub.heard and hub.down_since is None:
        await hub.news(hub.version, FIRST_STATE_S)


async def _rules_on(session: Session) -> int | None:
    """How many rules are switched on; None while the backend does not tell."""
    now = session.clock()
    known: tuple[float, int] | None = session.shared.get("rules-on")
    if known is None or now - known[0] > RULES_KNOWN_S:
        try:
            rules = await session.client.alerts.thresholds()
        except (ApiError, BackendUnreachableError):
            return None
        known = session.shared["rules-on"] = (now, sum(rule.threshold.enabled for rule in rules))
    return known[1]


def _states(hub: FleetHub, fired: Fired) -> dict[str, list[str | None]]:
    """What decides a server's place, by its id as JSON has it."""
    return {str(key): [entry.status, fired.worst(key)] for key, entry in hub.entries.items()}


async def stream(session: Session, view: View, zone: tzinfo, push: Push) -> None:
    """Push the summary and what changed; ask for a new rendering when servers come, go or change state."""
    shown, known = set(view.get("shown") or ()), set(view.get("known") or ())
    async with fleet_hub(session).subscribed() as hub, alert_hub(session).subscribed() as alerts:
        rules_on = await _rules_on(session)
        fired, version, alert_version = fired_now(alerts, rules_on), 0, alerts.version
        states = view.get("states") or _states(hub, fired)
        while True:
            if await any_news((hub, version), (alerts, alert_version), timeout=5.0):
                await asyncio.sleep(COLLECT_S)
            if hub.refusal is not None:
                raise hub.refusal
            before, fired = fired, fired_now(alerts, rules_on)
            changed, version, alert_version = hub.changed_since(version), hub.version, alerts.version
            now = datetime.now(UTC)
            entries = list(hub.entries.values())
            push("fleet-summary", children=fleet_view.summary(entries, hub.sparks, now, zone, hub.down_since, fired))
            if set(hub.entries) != known or _states(hub, fired) != states:
                push("fleet-changed", data=[version, alert_version])
                known, states = set(hub.entries), _states(hub, fired)
                continue
            ids = {entry.server_id for entry in changed}
            ids |= {key for key in hub.entries if before.of(key) != fired.of(key)}
            _push_entries(hub, [hub.entries[key] for key in sorted(ids & shown)], view, push, now, zone, fired)


def _push_entries(
    hub: FleetHub, entries: list[FleetEntry], view: View, push: Push, now: datetime, zone: tzinfo, fired: Fired
) -> None:
    if view.get("mode") == "table":
        if entries:
            rows = [fleet_view.table_row(e, hub.sparks.get(e.server_id), now.timestamp(), fired) for e in entries]
            push("fleet-table", rowTransaction={"update": rows})
        return
    for entry in entries:
        body = fleet_view.card_body(entry, hub.sparks.get(entry.server_id), now, zone, fired)
        push({"type": "fleet-card", "server": entry.server_id}, children=body)


async def _without_live_data(session: Session, zone: tzinfo) -> tuple[Any, Any, list[str], View]:
    """The live socket says nothing: show what REST knows, or why it knows nothing either."""
    live = {"kind": "fleet", "mode": "cards", "shown": [], "known": []}
    try:
        servers = await session.client.servers()
    except (ApiError, BackendUnreachableError) as error:
        return "", failure(error, "The fleet"), [], live
    entries = [
        FleetEntry(s.id, s.name, s.status, s.tags, s.last_seen.timestamp() if s.last_seen else None) for s in servers
    ]
    if not entries:
        return "", _no_servers(session), [], live
    top = notice("Live data has not arrived yet; showing the list alone. It fills in by itself.", "warning")
    body = fleet_view.cards(select(entries)[:MOST_CARDS], {}, datetime.now(UTC), zone)
    return top, body, [], live


def _no_servers(session: Session) -> html.Div:
    if session.is_admin:
        text = "Add the first one: you get two commands to run on it, and it appears here within seconds."
        return empty("No servers yet", text, action=add_server.open_button("fleet-empty"))
    return empty("No servers yet", "An administrator can add the first one.")


def register(app: Dash, views: LiveViews, settings: DashboardSettings) -> None:
    views.add("fleet", stream)
    add_server.register(app, views, settings)

    @app.callback(
        Output("fleet-summary", "children"),
        Output("fleet-body", "children"),
        Output("fleet-tags", "data"),
        Output("live-view", "data"),
        Input("fleet-search", "value"),
        Input("fleet-tags", "value"),
        Input("fleet-status", "value"),
        Input("fleet-sort", "value"),
        Input("fleet-view", "value"),
        Input("fleet-changed", "data"),
    )
    async def render_fleet(
        search: str | None, tags: list[str] | None, status: str, sort: str, view: str, _changed: Any
    ) -> tuple[Any, Any, list[str], View]:
        return await render(current_session(), request_zone(), search or "", tags or [], status, sort, view)


PAGE = Page(
    name="fleet",
    title="Fleet",
    pattern=re.compile(r"^/$"),
    layout=layout,
    register=register,
    navigation="/",
    icon="grid",
)
