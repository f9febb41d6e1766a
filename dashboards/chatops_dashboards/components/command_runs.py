"""The list of what was run: of one server or of all, a page at a time."""

from datetime import datetime, tzinfo
from typing import Any

from dash import Dash, html

from chatops_dashboards.command_words import STATE_MARKS, STATE_WORDS, duration_text, exit_text, output_text
from chatops_dashboards.components.paged_grid import Filter, Row, paged_grid, register_paged
from chatops_dashboards.components.states import empty
from chatops_dashboards.moments import absolute
from chatops_dashboards.session import Session
from chatops_protocol.command_resources import Command

RIGHT = "numeric ag-right-aligned-cell"


def row_of(command: Command, zone: tzinfo) -> Row:
    return {
        "id": str(command.id),
        "server_id": command.server_id,
        "state": command.state,
        "mark": STATE_MARKS[command.state],
        "word": STATE_WORDS[command.state],
        "server": command.server_name,
        "title": command.title,
        "username": command.username,
        "when": absolute(command.created_at, zone)[:19],
        "exit": exit_text(command),
        "took": duration_text(command),
        "output": output_text(command),
        "detail": command.detail,
    }


def columns(*, with_server: bool, with_detail: bool = False) -> list[dict[str, Any]]:
    def number(field: str, title: str, width: int) -> dict[str, Any]:
        return {"field": field, "headerName": title, "type": "rightAligned", "width": width, "cellClass": RIGHT}

    found: list[dict[str, Any]] = [
        {"field": "word", "headerName": "State", "cellRenderer": "RunStateCell", "width": 135},
    ]
    if with_server:
        found.append({"field": "server", "headerName": "Server", "width": 160, "tooltipField": "server"})
    what = {"field": "title", "headerName": "Command", "flex": 3, "minWidth": 180, "tooltipField": "title"}
    detail = {"field": "detail", "headerName": "Why", "flex": 3, "minWidth": 180, "tooltipField": "detail"}
    found += [detail if with_detail else what, number("exit", "Exit code", 115), number("took", "Took", 100)]
    found.append(number("output", "Output", 110))
    if not with_detail:
        found += [
            {"field": "username", "headerName": "By", "width": 130},
            {"field": "when", "headerName": "Asked at", "width": 200, "cellClass": "numeric"},
        ]
    return found


def runs_grid(name: str, filters: Filter, *, with_server: bool) -> html.Div:
    return paged_grid(name, columns(with_server=with_server), filters)


async def fetch_runs(
    session: Session, filters: Filter, cursor: str | None, limit: int, zone: tzinfo
) -> tuple[list[Row], str | None]:
    """`filters`: ``server_id``, or none for all servers; ``start`` and ``end`` of a range."""
    start, end = (datetime.fromisoformat(filters[name]) if name in filters else None for name in ("start", "end"))
    page = await session.client.commands.page(
        server_id=filters.get("server_id"), start=start, end=end, cursor=cursor, limit=limit
    )
    return [row_of(command, zone) for command in page.items], page.next_cursor


def register_runs(app: Dash, name: str) -> None:
    nothing = empty("Nothing was run yet", "What is run appears here, with its output, for 90 days.", picture="play")
    register_paged(app, name, fetch_runs, "The list of commands", nothing)
