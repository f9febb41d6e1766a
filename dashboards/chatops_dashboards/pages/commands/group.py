"""The grid of a group's results, moving while its commands run."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import tzinfo
from typing import Any

import dash_ag_grid as dag
import dash_mantine_components as dmc
from dash import html

from chatops_client import ApiError
from chatops_dashboards.command_words import STATE_WORDS, is_over
from chatops_dashboards.components.command_runs import columns, row_of
from chatops_dashboards.components.fleet_table import THEME
from chatops_dashboards.live import Push
from chatops_dashboards.session import Session
from chatops_protocol.command_resources import Command

LOOK_EVERY_S = 1.0


def group_place(session: Session) -> html.Div:
    return html.Div(
        [
            html.Div(
                [
                    html.Div(id="group-head", className="run-facts", role="status"),
                    dmc.Button("Cancel all", id="group-cancel", color="red", variant="light", size="compact-sm")
                    if session.may_act
                    else None,
                ],
                className="run-line",
            ),
            html.Div(id="group-message", className="page-message"),
            dag.AgGrid(
                id="group-grid",
                rowData=[],
                columnDefs=columns(with_server=True, with_detail=True),
                getRowId="params.data.id",
                defaultColDef={"resizable": True, "sortable": True, "suppressMovable": True, "cellDataType": False},
                dashGridOptions={
                    "theme": THEME,
                    "rowHeight": 36,
                    "animateRows": False,
                    "rowSelection": {"mode": "singleRow", "checkboxes": False, "enableClickSelection": True},
                },
                style={"height": "340px"},
                className="paged",
                dangerously_allow_code=False,
            ),
        ],
        id="group",
        style={"display": "none"},
    )


def group_words(commands: Sequence[Command]) -> list[Any]:
    """How a group is doing: what was run, and how many are in which state."""
    counts = Counter(STATE_WORDS[command.state] for command in commands)
    over = sum(is_over(command) for command in commands)
    return [
        html.Span(commands[0].title if commands else "", className="run-part"),
        html.Span([html.B(f"{over} of {len(commands)}"), " ended"]),
        *(html.Span([html.B(str(count)), f" {word.lower()}"]) for word, count in counts.most_common()),
    ]


async def watch_group(session: Session, group_id: int, zone: tzinfo, push: Push) -> None:
    """Rows move in place until all have ended."""
    drawn: list[Command] = []
    while True:
        commands = await session.client.commands.group(group_id)
        if not commands:
            raise ApiError(404, f"There is no group {group_id} of commands, or nothing of it that you may see.")
        over = all(is_over(command) for command in commands)
        if commands != drawn:
            if not drawn:
                push("group", style={})
            push("group-grid", rowData=[row_of(command, zone) for command in commands])
            push("group-head", children=group_words(commands))
            if session.may_act:
                push("group-cancel", disabled=over)
            drawn = commands
        if over:
            return
        await asyncio.sleep(LOOK_EVERY_S)
