"""The fleet as a table for hundreds of servers. Cells are drawn by `grid.js` as text nodes, never as markup."""

from typing import Any

import dash_ag_grid as dag

THEME = {
    "function": "themeQuartz.withParams({"
    "backgroundColor: 'var(--panel)', foregroundColor: 'var(--text)', headerBackgroundColor: 'var(--panel)', "
    "headerTextColor: 'var(--text-dim)', borderColor: 'var(--line)', rowHoverColor: 'var(--hover)', "
    "accentColor: 'var(--accent)', fontFamily: 'inherit', fontSize: 14, headerFontWeight: 600, "
    "chromeBackgroundColor: 'var(--panel)', oddRowBackgroundColor: 'var(--panel)', wrapperBorderRadius: 10, "
    "menuBackgroundColor: 'var(--panel)', browserColorScheme: 'inherit'})"
}


def fleet_table(rows: list[dict[str, Any]]) -> dag.AgGrid:
    columns = [
        {"field": "status", "headerName": "State", "cellRenderer": "StatusCell", "width": 160, "minWidth": 110},
        {"field": "name", "headerName": "Server", "cellRenderer": "ServerCell", "flex": 2, "minWidth": 170},
        {"field": "alerts", "headerName": "Alerts", "cellRenderer": "AlertsCell", "width": 120, "minWidth": 90},
        {"field": "spark", "headerName": "CPU, 15 min", "cellRenderer": "SparkCell", "width": 150, "sortable": False},
        number("cpu", "CPU", "PlainPercentCell"),
        number("memory", "Memory", "PercentCell"),
        number("disk", "Fullest disk", "DiskCell", minWidth=150),
        number("receive", "Received", "RateCell"),
        number("transmit", "Sent", "RateCell"),
        {
            "field": "tags",
            "headerName": "Tags",
            "cellRenderer": "TagsCell",
            "flex": 1,
            "minWidth": 120,
            "sortable": False,
        },
        {"field": "seen", "headerName": "Last seen", "cellRenderer": "SeenCell", "width": 140},
    ]
    return dag.AgGrid(
        id="fleet-table",
        rowData=rows,
        columnDefs=columns,
        getRowId="params.data.id",
        defaultColDef={"resizable": True, "sortable": True, "suppressMovable": True, "cellDataType": False},
        dashGridOptions={
            "theme": THEME,
            "rowClassRules": {
                "row-critical": "params.data.critical > 0",
                "row-warning": "params.data.critical == 0 && params.data.warning > 0",
            },
            "rowHeight": 44,
            "animateRows": False,
            "suppressCellFocus": False,
            "domLayout": "autoHeight" if len(rows) <= 30 else "normal",
            "asyncTransactionWaitMillis": 100,
        },
        className="fleet-grid",
        style={"height": None if len(rows) <= 30 else "calc(100vh - 300px)", "minHeight": "240px"},
        dangerously_allow_code=False,
    )


def number(field: str, title: str, renderer: str, **options: Any) -> dict[str, Any]:
    """A right-aligned column of numbers."""
    return {
        "field": field,
        "headerName": title,
        "cellRenderer": renderer,
        "type": "rightAligned",
        "width": 125,
        **options,
    }
