"""All alerts there were, over or not, a page at a time: by state, level and server. The address holds the filters."""

import re
from collections.abc import Mapping
from datetime import tzinfo
from typing import Any
from urllib.parse import urlencode

import dash_mantine_components as dmc
from dash import Dash, Input, Output, dcc, html

from chatops_dashboards.alert_words import LEVEL_WORDS, STATE_WORDS, alert_value, labels_text
from chatops_dashboards.browser import in_browser
from chatops_dashboards.components.alert_navigation import places
from chatops_dashboards.components.alert_status import SHAPES
from chatops_dashboards.components.alert_table import lasted
from chatops_dashboards.components.attributes import dashed
from chatops_dashboards.components.paged_grid import Filter, Row, paged_grid, register_paged
from chatops_dashboards.components.states import empty
from chatops_dashboards.live import LiveViews
from chatops_dashboards.moments import absolute
from chatops_dashboards.page import Page, PageContext
from chatops_dashboards.session import Session
from chatops_dashboards.settings import DashboardSettings
from chatops_dashboards.units import UNKNOWN
from chatops_protocol.alert_resources import Alert

GRID = "alert-history"
PLACE = "/alerts/history"
FILTERS = ("state", "level", "server")
_WORDS: Mapping[str, Mapping[Any, str]] = {"state": STATE_WORDS, "level": LEVEL_WORDS}


async def layout(context: PageContext) -> Any:
    servers = {str(server.id): server.name for server in await context.session.client.servers()}
    choices = {**_WORDS, "server": servers}
    asked = {name: value for name in FILTERS if (value := context.query.get(name, "")) in choices[name]}
    return html.Div(
        [
            html.Div(html.H1("Alert history"), className="page-head"),
            places(PLACE),
            html.Div([_filter(name, choices[name], asked) for name in FILTERS], className="toolbar"),
            paged_grid(GRID, _columns(), asked, height="max(320px, calc(100vh - 270px))"),
            html.Div(id=f"{GRID}-placed", hidden=True),
            dcc.Store(id=f"{GRID}-address"),
            dcc.Store(id="live-view", data={"kind": "idle"}),
        ]
    )


def _filter(name: str, words: Mapping[Any, str], asked: Mapping[str, str]) -> dmc.Select:
    return dmc.Select(
        id=f"{GRID}-{name}",
        data=[{"value": key, "label": word} for key, word in words.items()],
        value=asked.get(name),
        placeholder=f"Any {name}",
        clearable=True,
        searchable=name == "server",
        w=220 if name == "server" else 170,
        **dashed(aria_label=f"Filter by {name}"),
    )


def _columns() -> list[dict[str, Any]]:
    return [
        {"field": "word", "headerName": "Level", "cellRenderer": "AlertLevelCell", "width": 120},
        {
            "field": "what",
            "headerName": "What",
            "cellRenderer": "AlertCell",
            "flex": 1,
            "minWidth": 170,
            "tooltipField": "metric",
        },
        {"field": "where", "headerName": "Where", "flex": 1, "minWidth": 150, "tooltipField": "where"},
        {
            "field": "value",
            "headerName": "Value",
            "width": 190,
            "cellClass": "numeric",
            "tooltipField": "value",
        },
        {"field": "state_word", "headerName": "State", "width": 130},
        {"field": "began", "headerName": "Began", "width": 200, "cellClass": "numeric"},
        {"field": "ended", "headerName": "Ended", "width": 200, "cellClass": "numeric"},
        {"field": "lasted", "headerName": "Lasted", "width": 110, "cellClass": "numeric"},
    ]


def row_of(alert: Alert, zone: tzinfo) -> Row:
    began = alert.started_at or alert.pending_at
    return {
        "id": str(alert.id),
        "level": alert.level,
        "shape": SHAPES[alert.level],
        "word": LEVEL_WORDS[alert.level],
        "what": alert.threshold_name,
        "metric": alert.metric or "",
        "where": " · ".join(text for text in (alert.server_name, labels_text(alert.labels)) if text),
        "value": alert_value(alert),
        "state": alert.state,
        "state_word": STATE_WORDS[alert.state],
        "began": absolute(began, zone)[:19] if began else UNKNOWN,
        "ended": absolute(alert.resolved_at, zone)[:19] if alert.resolved_at else UNKNOWN,
        "lasted": lasted(alert) or UNKNOWN,
    }


def read_filters(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Filters of the page as those of the API; what they cannot be is left out."""
    filters: dict[str, Any] = {}
    if asked.get("state") in STATE_WORDS:
        filters["states"] = [asked["state"]]
    if asked.get("level") in LEVEL_WORDS:
        filters["level"] = asked["level"]
    server = str(asked.get("server") or "")
    if server.isdecimal() and len(server) < 19:
        filters["server_id"] = int(server)
    return filters


def history_address(asked: Mapping[str, str]) -> str:
    """The page with these filters set."""
    chosen = {name: asked[name] for name in FILTERS if asked.get(name)}
    return f"{PLACE}?{urlencode(chosen)}" if chosen else PLACE


async def fetch(
    session: Session, asked: Filter, cursor: str | None, limit: int, zone: tzinfo
) -> tuple[list[Row], str | None]:
    page = await session.client.alerts.page(cursor=cursor, limit=limit, **read_filters(asked))
    return [row_of(alert, zone) for alert in page.items], page.next_cursor


def register(app: Dash, views: LiveViews, settings: DashboardSettings) -> None:
    nothing = empty(
        "No alert matches", "Nothing of the kind has fired yet, or the filters are too narrow.", picture="search"
    )
    register_paged(app, GRID, fetch, "The history of alerts", nothing)
    in_browser(
        app, "rememberQuery", Output(f"{GRID}-placed", "title"), Input(f"{GRID}-address", "data"), initially=False
    )

    @app.callback(
        Output(f"{GRID}-filter", "data"),
        Output(f"{GRID}-address", "data"),
        *(Input(f"{GRID}-{name}", "value") for name in FILTERS),
        prevent_initial_call=True,
    )
    def choose(*values: str | None) -> Any:
        asked = {name: value for name, value in zip(FILTERS, values, strict=True) if value}
        return asked, {"place": PLACE, **asked}


PAGE = Page(
    name="alert-history",
    title="Alert history",
    pattern=re.compile(r"^/alerts/history/?$"),
    layout=layout,
    register=register,
)
