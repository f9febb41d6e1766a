"""The containers of one host as a table. Cells are drawn by `chatops_containers.js` as text nodes, never as markup."""

from datetime import tzinfo
from typing import Any

import dash_ag_grid as dag

from chatops_dashboards.components.fleet_table import THEME
from chatops_dashboards.container_words import (
    HEALTH_MARKS,
    HEALTH_WORDS,
    STATE_MARKS,
    ports_text,
    state_kind,
    state_text,
)
from chatops_dashboards.moments import absolute
from chatops_protocol.container_messages import ContainerEntry

GRID = "containers-grid"
ROW_HEIGHT = 38
# More rows than this scroll within the table, so that what belongs to the chosen one stays in sight.
ROWS_IN_SIGHT = 10
RIGHT = "numeric ag-right-aligned-cell"


def row_of(entry: ContainerEntry, zone: tzinfo) -> dict[str, Any]:
    """`status` is the engine's own sentence, for the hover."""
    since = entry.finished_at if entry.state == "exited" else entry.started_at
    # Of one that has ended the engine still tells the last finding.
    health = entry.health if entry.state not in ("exited", "dead") else None
    return {
        "id": entry.id,
        "name": entry.name,
        "project": entry.compose_project or "",
        "image": entry.image,
        "word": state_text(entry),
        "mark": STATE_MARKS.get(entry.state, "?"),
        "kind": state_kind(entry),
        "status": " · ".join(part for part in (entry.status, since and absolute(since, zone)) if part),
        "health": health and HEALTH_WORDS.get(health, health),
        "health_mark": HEALTH_MARKS.get(health or "", "?"),
        "health_kind": {"healthy": "ok", "unhealthy": "critical"}.get(health or "", "quiet"),
        "restarts": entry.restart_count,
        "cpu": entry.cpu_percent,
        "memory": entry.memory_used_bytes,
        "memory_limit": entry.memory_limit_bytes,
        "memory_percent": entry.memory_used_percent,
        "network": _sum(entry.network_receive_bytes_per_second, entry.network_transmit_bytes_per_second),
        "in": entry.network_receive_bytes_per_second,
        "out": entry.network_transmit_bytes_per_second,
        "disk": _sum(entry.disk_read_bytes_per_second, entry.disk_write_bytes_per_second),
        "read": entry.disk_read_bytes_per_second,
        "written": entry.disk_write_bytes_per_second,
        "ports": ports_text(entry.ports),
    }


def _sum(one: float | None, other: float | None) -> float | None:
    """What is sorted by; of two unknowns nothing is known."""
    return None if one is None and other is None else (one or 0.0) + (other or 0.0)


def table_style(rows: int) -> dict[str, Any]:
    return {"height": f"{ROW_HEIGHT * min(max(rows, 1), ROWS_IN_SIGHT) + 66}px", "width": "100%"}


def container_table() -> dag.AgGrid:
    """Rows keep their place: by name, however their states change."""

    def number(field: str, title: str, width: int, renderer: str | None = None) -> dict[str, Any]:
        column = {
            "field": field,
            "headerName": title,
            "width": width,
            "type": "rightAligned",
            "cellClass": RIGHT,
            "sortingOrder": ["desc", "asc", None],
        }
        return column if renderer is None else {**column, "cellRenderer": renderer}

    return dag.AgGrid(
        id=GRID,
        rowData=[],
        columnDefs=[
            {
                "field": "name",
                "headerName": "Container",
                "cellRenderer": "ContainerNameCell",
                "flex": 2,
                "minWidth": 150,
                "sort": "asc",
            },
            {"field": "word", "headerName": "State", "cellRenderer": "ContainerStateCell", "width": 150},
            {"field": "health", "headerName": "Health", "cellRenderer": "ContainerHealthCell", "width": 115},
            number("cpu", "CPU", 85, "ContainerShareCell"),
            number("memory", "Memory", 110, "ContainerMemoryCell"),
            number("network", "Network", 165, "ContainerNetworkCell"),
            number("disk", "Disk", 165, "ContainerDiskCell"),
            number("restarts", "Restarts", 100, "ContainerCountCell"),
            {"field": "ports", "headerName": "Ports", "width": 150, "tooltipField": "ports"},
            {"field": "image", "headerName": "Image", "flex": 2, "minWidth": 150, "tooltipField": "image"},
        ],
        getRowId="params.data.id",
        defaultColDef={"resizable": True, "sortable": True, "suppressMovable": True, "cellDataType": False},
        dashGridOptions={
            "theme": THEME,
            "rowHeight": ROW_HEIGHT,
            "animateRows": False,
            "rowSelection": {"mode": "singleRow", "checkboxes": False, "enableClickSelection": True},
        },
        style=table_style(3),
        className="container-grid",
        dangerously_allow_code=False,
    )
