"""Lists that may be long: an AG Grid that asks for a page at a time, over an API that pages by cursor.

The grid asks for rows by number; the cursor of each page is remembered in the browser as its predecessor brings it, and
pages are asked for one after the other. Cells are text, or drawn by components of this site: never markup.
"""

from collections.abc import Awaitable, Callable
from datetime import tzinfo
from typing import Any

import dash_ag_grid as dag
from dash import Dash, Input, Output, State, dcc, html

from chatops_client import ApiError, BackendUnreachableError
from chatops_dashboards.browser import in_browser
from chatops_dashboards.components.fleet_table import THEME
from chatops_dashboards.components.states import failure
from chatops_dashboards.session import Session, current_session, request_zone

PAGE_ROWS = 50
Row = dict[str, Any]
Filter = dict[str, Any]
# A page of rows from `cursor` on, and the cursor of the next page.
Fetch = Callable[[Session, Filter, str | None, int, tzinfo], Awaitable[tuple[list[Row], str | None]]]


def paged_grid(name: str, columns: list[dict[str, Any]], filters: Filter, *, height: str = "380px") -> html.Div:
    """Ids ``<name>`` (the grid; its rows have `id`), ``<name>-filter`` (data to filter by) and ``<name>-refresh`` (any
    new data reads the list again)."""
    return html.Div(
        [
            html.Div(id=f"{name}-note", className="paged-note"),
            dag.AgGrid(
                id=name,
                columnDefs=columns,
                rowModelType="infinite",
                getRowId="params.data.id",
                defaultColDef={"resizable": True, "sortable": False, "suppressMovable": True, "cellDataType": False},
                dashGridOptions={
                    "theme": THEME,
                    "cacheBlockSize": PAGE_ROWS,
                    "maxConcurrentDatasourceRequests": 1,
                    "infiniteInitialRowCount": 1,
                    "rowHeight": 36,
                    "animateRows": False,
                    "rowSelection": {"mode": "singleRow", "checkboxes": False, "enableClickSelection": True},
                },
                style={"height": height, "width": "100%"},
                dangerously_allow_code=False,
            ),
            dcc.Store(id=f"{name}-filter", data=filters),
            dcc.Store(id=f"{name}-refresh"),
            dcc.Store(id=f"{name}-cursors", data={}),
            dcc.Store(id=f"{name}-name", data=name),
        ],
        id=f"{name}-box",
        className="paged",
    )


def register_paged(app: Dash, name: str, fetch: Fetch, what: str, nothing: Any) -> None:
    """`what` names the list when it cannot be loaded; `nothing` is shown instead of an empty one."""

    @app.callback(
        Output(name, "getRowsResponse"),
        Output(f"{name}-cursors", "data"),
        Output(f"{name}-note", "children"),
        Output(f"{name}-box", "className"),
        Input(name, "getRowsRequest"),
        State(f"{name}-filter", "data"),
        State(f"{name}-cursors", "data"),
        prevent_initial_call=True,
    )
    async def rows(request: dict[str, Any] | None, filters: Filter | None, cursors: dict[str, str] | None) -> Any:
        start = int((request or {}).get("startRow") or 0)
        session, zone = current_session(), request_zone()
        try:
            return await page_of(session, start, filters or {}, cursors or {}, zone)
        except (ApiError, BackendUnreachableError) as error:
            return {"rowData": [], "rowCount": 0}, {}, failure(error, what), "paged quiet"

    async def page_of(session: Session, start: int, filters: Filter, cursors: dict[str, str], zone: tzinfo) -> Any:
        known = {} if start == 0 else dict(cursors)
        at = max((int(row) for row in known if int(row) <= start), default=0)
        cursor = known.get(str(at))
        while True:
            found, cursor = await fetch(session, filters, cursor, PAGE_ROWS, zone)
            if cursor is not None:
                known[str(at + PAGE_ROWS)] = cursor
            if at == start or cursor is None:
                break
            at += PAGE_ROWS
        if at != start:
            found = []
        empty = start == 0 and not found
        count = None if cursor is not None else start + len(found)
        return (
            {"rowData": found, "rowCount": count},
            known,
            nothing if empty else None,
            "paged quiet" if empty else "paged",
        )

    in_browser(
        app,
        "readAgain",
        Output(f"{name}-box", "title"),
        Input(f"{name}-filter", "data"),
        Input(f"{name}-refresh", "data"),
        Input(f"{name}-name", "data"),
        initially=False,
    )
