"""One metric of a fleet: a row per server, a column per stretch of time. Empty cells: unknown. Pure.

The colours get darker as values get higher, readable without telling colours apart, and end well before black, so that
the highest are seen on the dark ground too. They are none of the colours that states have.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta, tzinfo
from typing import Any

from chatops_dashboards.figures.explore_chart import NamedSeries
from chatops_dashboards.figures.frame import layout, plain
from chatops_dashboards.moments import on_axis
from chatops_dashboards.units import scale_for
from chatops_protocol.resources import MetricSeries

COLUMNS = 96
MOST_ROWS = 500
LONGEST_NAME = 20
COLOURS = ((0.0, "#d3e4f6"), (0.25, "#9dbde9"), (0.5, "#6f90dc"), (0.75, "#7b5fce"), (1.0, "#a433ad"))


def row_height(rows: int) -> int:
    """Tall enough to hit with the pointer."""
    return 22 if rows <= 60 else 12 if rows <= 200 else 9


def row_names(rows: Sequence[NamedSeries]) -> list[str]:
    """What the rows are called on the chart: safe, short, and no two the same."""
    names: dict[str, None] = {}
    for row in rows:
        name = plain(row.name, LONGEST_NAME)
        names[name if name not in names else f"{name} ({row.series.server_id})"] = None
    return list(names)


def heat_figure(
    answer: MetricSeries, rows: Sequence[NamedSeries], start: datetime, end: datetime, zone: tzinfo
) -> dict[str, Any]:
    """`rows` from the top down, at most `MOST_ROWS`. What is clicked says the row's name and the bucket's start."""
    rows = list(rows)[:MOST_ROWS]
    width = max(answer.bucket_seconds, 1.0)
    first = min((row.series.time[0] for row in rows if row.series.time), default=start)
    count = max(1, min(4 * COLUMNS, int((end - first).total_seconds() // width) + 1))
    known = [value for row in rows for value in row.series.avg if value is not None]
    lowest, highest = min(known, default=0.0), max(known, default=0.0)
    scale = scale_for(answer.unit, highest)
    height = 110 + row_height(len(rows)) * len(rows)
    frame = layout({}, revision=f"{answer.metric} {start} {end}", height=height, legend=False)
    frame["xaxis"] |= {"fixedrange": True, "showgrid": False, "side": "top", "nticks": 5, "tickangle": 0}
    frame["yaxis"] = {
        "type": "category",
        "autorange": "reversed",
        "fixedrange": True,
        "automargin": True,
        "showgrid": False,
        "ticks": "",
        **({"dtick": 1} if len(rows) <= 60 else {}),
    }
    frame |= {"dragmode": False, "hovermode": "closest"}
    trace: dict[str, Any] = {
        "type": "heatmap",
        "x": [on_axis(first + timedelta(seconds=width * index), zone) for index in range(count)],
        "y": row_names(rows),
        "z": [_cells(row, first, width, count, scale.divisor) for row in rows],
        "zhoverformat": ".3~g",
        "hovertemplate": f"%{{y}}<br>%{{x|%Y-%m-%d %H:%M}}: %{{z}}{scale.suffix}<extra></extra>",
        "colorscale": [list(stop) for stop in COLOURS],
        "xgap": 1 if count <= 130 else 0,
        "ygap": 1,
        "hoverongaps": False,
        "colorbar": {
            "ticksuffix": scale.suffix,
            "orientation": "h",
            "thickness": 8,
            "len": 0.6,
            "x": 0,
            "xanchor": "left",
            "y": 0,
            "yanchor": "top",
            "ypad": 12,
            "outlinewidth": 0,
        },
    }
    if lowest >= 0:
        whole = answer.unit == "percent" and 25 < highest <= 100
        trace |= {"zmin": 0, "zmax": 100 if whole else max(highest / scale.divisor, 1e-9)}
    return {"data": [trace], "layout": frame}


def _cells(row: NamedSeries, first: datetime, width: float, count: int, divisor: float) -> list[float | None]:
    line: list[float | None] = [None] * count
    for moment, value in zip(row.series.time, row.series.avg, strict=True):
        place = int((moment - first).total_seconds() // width)
        if 0 <= place < count and value is not None:
            line[place] = round(value / divisor, 4)
    return line
