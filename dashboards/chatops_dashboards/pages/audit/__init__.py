"""The audit log, for administrators: who did what to what, and whether the log is whole. Looks, changes nothing."""

import re
from collections.abc import Mapping
from datetime import datetime, tzinfo
from typing import Any

import dash_mantine_components as dmc
from dash import Dash, Input, Output, dcc, html, no_update

from chatops_client import ApiError, BackendUnreachableError
from chatops_client.audit import AuditFilters
from chatops_dashboards.browser import in_browser
from chatops_dashboards.components.copyable import copyable
from chatops_dashboards.components.paged_grid import Filter, Row, paged_grid, register_paged
from chatops_dashboards.components.states import empty, explain, notice
from chatops_dashboards.live import LiveViews
from chatops_dashboards.moments import from_axis
from chatops_dashboards.page import Page, PageContext
from chatops_dashboards.pages.audit.entry import RESULT_WORDS, entry_detail, row_of
from chatops_dashboards.session import Session, current_session
from chatops_dashboards.settings import DashboardSettings
from chatops_dashboards.units import format_value
from chatops_protocol.audit_resources import AuditVerification

GRID = "audit-entries"
TEXTS = {"actor": "Who", "action": "Action", "search": "On what, or any text"}
HINTS = {"actor": "a user name", "action": "user, or user.create", "search": "a name, an address, a value"}
TIMES = {"start": "From", "end": "To"}
NAMES = (*TEXTS, "result", *TIMES)


async def layout(context: PageContext) -> Any:
    asked = {name: context.query[name] for name in NAMES if context.query.get(name)}
    return html.Div(
        [
            dmc.Group(
                [html.H1("Audit"), dmc.Button("Verify the chain", id="audit-verify", variant="default")],
                justify="space-between",
                className="page-head",
            ),
            html.Div(id="audit-verified", className="page-message"),
            html.Div(
                [*(_text(name, asked) for name in TEXTS), _result(asked), *(_time(name, asked) for name in TIMES)],
                className="toolbar",
            ),
            paged_grid(GRID, _columns(), asked, height="460px"),
            html.Div("Choose an entry to see what it changed.", id="audit-entry", className="audit-entry"),
            html.Div(id="audit-placed", hidden=True),
            dcc.Store(id="audit-address"),
            dcc.Store(id="live-view", data={"kind": "idle"}),
        ],
        className="audit",
    )


def _text(name: str, asked: Mapping[str, str]) -> dmc.TextInput:
    return dmc.TextInput(
        id=f"audit-{name}",
        label=TEXTS[name],
        placeholder=HINTS[name],
        value=asked.get(name, ""),
        debounce=400,
        autoComplete="off",
        style={"flex": "1 1 160px"},
    )


def _result(asked: Mapping[str, str]) -> dmc.Select:
    return dmc.Select(
        id="audit-result",
        label="Result",
        data=[{"value": name, "label": word} for name, word in RESULT_WORDS.items()],
        value=asked.get("result"),
        placeholder="any",
        clearable=True,
        w=130,
    )


def _time(name: str, asked: Mapping[str, str]) -> dmc.DateTimePicker:
    return dmc.DateTimePicker(
        id=f"audit-{name}",
        label=TIMES[name],
        value=asked.get(name),
        clearable=True,
        placeholder="any",
        valueFormat="YYYY-MM-DD HH:mm",
        w=180,
    )


def _columns() -> list[dict[str, Any]]:
    return [
        {"field": "number", "headerName": "No.", "width": 85, "cellClass": "numeric ag-right-aligned-cell"},
        {"field": "when", "headerName": "When", "width": 190, "cellClass": "numeric"},
        {"field": "who", "headerName": "Who", "width": 150, "tooltipField": "who"},
        {"field": "action", "headerName": "Action", "width": 180},
        {"field": "target", "headerName": "On what", "flex": 1, "minWidth": 160, "tooltipField": "target"},
        {"field": "word", "headerName": "Result", "width": 120, "cellRenderer": "RunStateCell"},
        {"field": "detail", "headerName": "Detail", "flex": 1, "minWidth": 160, "tooltipField": "detail"},
        {"field": "address", "headerName": "From", "width": 140},
    ]


def read_filters(asked: Mapping[str, Any], zone: tzinfo) -> AuditFilters:
    """Filters of the page as those of the API; times are of the zone of whoever looks. What is no time is left out."""
    filters: AuditFilters = {}
    for name in ("actor", "action", "search"):
        if text := str(asked.get(name) or "").strip():
            filters[name] = text
    if asked.get("result") in RESULT_WORDS:
        filters["result"] = asked["result"]
    if (start := _moment(asked.get("start"), zone)) is not None:
        filters["start"] = start
    if (end := _moment(asked.get("end"), zone)) is not None:
        filters["end"] = end
    return filters


def _moment(text: Any, zone: tzinfo) -> datetime | None:
    try:
        return from_axis(str(text), zone) if text else None
    except ValueError:
        return None


async def fetch(
    session: Session, asked: Filter, cursor: str | None, limit: int, zone: tzinfo
) -> tuple[list[Row], str | None]:
    page = await session.client.audit.page(cursor=cursor, limit=limit, **read_filters(asked, zone))
    return [row_of(entry, zone) for entry in page.items], page.next_cursor


def verified(found: AuditVerification) -> html.Div:
    """Whether the log is whole, in words, with the head to keep elsewhere."""
    checked = format_value(float(found.checked), "count")
    if not found.valid:
        return notice(
            [
                html.B(f"The log is not whole: entry {found.first_bad}, {found.reason}. "),
                f"The {checked} entries before it are whole and in their places.",
            ],
            "critical",
        )
    return html.Div(
        [
            notice(
                [
                    html.B(f"The chain is whole: all {checked} entries are as they were written. "),
                    "Keep its head elsewhere:",
                ]
            ),
            copyable(f"{found.head.entries}:{found.head.hash}", "audit-head", "the head of the log"),
        ],
        className="stack tight",
    )


def register(app: Dash, views: LiveViews, settings: DashboardSettings) -> None:
    nothing = empty("No entry matches", "Change the filters above.", picture="search")
    register_paged(app, GRID, fetch, "The audit log", nothing)
    in_browser(app, "rememberQuery", Output("audit-placed", "title"), Input("audit-address", "data"), initially=False)

    @app.callback(
        Output(f"{GRID}-filter", "data"),
        Output("audit-address", "data"),
        *(Input(f"audit-{name}", "value") for name in NAMES),
        prevent_initial_call=True,
    )
    def choose(*values: str | None) -> Any:
        asked = {name: value for name, value in zip(NAMES, values, strict=True) if value}
        return asked, {"place": "/audit", **asked}

    @app.callback(Output("audit-entry", "children"), Input(GRID, "selectedRows"), prevent_initial_call=True)
    def show(rows: list[Row] | None) -> Any:
        return entry_detail(rows[0]) if isinstance(rows, list) and rows else no_update

    @app.callback(
        Output("audit-verified", "children"),
        Input("audit-verify", "n_clicks"),
        running=[(Output("audit-verify", "loading"), True, False)],
        prevent_initial_call=True,
    )
    async def verify(clicks: int | None) -> Any:
        if not clicks:
            return no_update
        try:
            return verified(await current_session().client.audit.verify())
        except (ApiError, BackendUnreachableError) as error:
            return explain(error)


PAGE = Page(
    name="audit",
    title="Audit",
    pattern=re.compile(r"^/audit/?$"),
    layout=layout,
    register=register,
    navigation="/audit",
    icon="list",
    admin_only=True,
)
