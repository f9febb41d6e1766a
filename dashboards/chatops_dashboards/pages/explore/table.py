"""The table view of the Explore page: every point that is shown, the newest first."""

from datetime import tzinfo

import dash_ag_grid as dag
from dash import html

from chatops_dashboards.components.fleet_table import THEME
from chatops_dashboards.moments import absolute
from chatops_dashboards.pages.explore.absent import no_readings
from chatops_dashboards.pages.explore.frame import VALUES, shown_frame, table_rows
from chatops_dashboards.pages.explore.query import ExploreQuery
from chatops_dashboards.pages.explore.reading import Reading
from chatops_dashboards.units import format_value

MOST_TABLE_ROWS = 5_000
_WORDS = {"avg": "Average", "min": "Lowest", "max": "Highest"}


def table_panel(asked: ExploreQuery, reading: Reading, zone: tzinfo) -> html.Div:
    frame = shown_frame(reading.answers, asked.top)
    rows = [
        {
            "id": str(number),
            "time": absolute(row["time"], zone)[:19],
            "metric": row["metric"],
            "series": row["series"],
            **{name: row[name] for name in VALUES},
            **{f"{name}_text": format_value(row[name], row["unit"]) for name in VALUES},
        }
        for number, row in enumerate(table_rows(frame, MOST_TABLE_ROWS))
    ]
    if not rows:
        return no_readings(reading)
    more = frame["avg"].count() - len(rows)
    columns = [
        {"field": "time", "headerName": "Time", "width": 205, "cellClass": "numeric"},
        {"field": "metric", "headerName": "Metric", "flex": 1, "minWidth": 190, "hide": len(asked.metrics) == 1},
        {"field": "series", "headerName": "Series", "flex": 1, "minWidth": 150, "tooltipField": "series"},
        *(
            {
                "field": name,
                "headerName": word,
                "cellRenderer": "ExploreValueCell",
                "type": "rightAligned",
                "width": 130,
            }
            for name, word in _WORDS.items()
        ),
    ]
    return html.Div(
        [
            dag.AgGrid(
                id="explore-table",
                rowData=rows,
                columnDefs=columns,
                getRowId="params.data.id",
                defaultColDef={"resizable": True, "sortable": True, "suppressMovable": True, "cellDataType": False},
                dashGridOptions={"theme": THEME, "rowHeight": 34, "animateRows": False},
                style={"height": "max(320px, calc(100vh - 380px))", "width": "100%"},
                dangerously_allow_code=False,
            ),
            html.P(
                f"The newest {MOST_TABLE_ROWS} rows; {more} more are in the downloads below.",
                className="dim small tight",
            )
            if more > 0
            else None,
        ]
    )
