"""What was run around a moment: a list to choose from, with the output of the chosen one. Nothing is run there."""

from datetime import datetime, timedelta, tzinfo
from typing import Any

from dash import dcc, html

from chatops_dashboards.components.command_runs import runs_grid
from chatops_dashboards.components.run_output import run_place
from chatops_dashboards.pages.server.past.events import commands_panel
from chatops_dashboards.pages.server.past.moment import write
from chatops_dashboards.session import Session

RUNS = "console-runs"
# How far around the moment the list reaches.
LISTED = timedelta(hours=1)


def console_frame(server_id: int, command_id: int | None) -> list[Any]:
    """What stays while the moment moves. `live-view` is that of the console: a chosen run is streamed as there."""
    view = {"kind": "server-console", "server_id": server_id, "command_id": command_id, "past": True}
    return [
        run_place(),
        dcc.Store(id="console-address"),
        html.Div(id="console-placed", hidden=True),
        dcc.Store(id="live-view", data=view),
    ]


async def console_then(
    session: Session, server_id: int, moment: datetime, _choice: str | None, zone: tzinfo, now: datetime
) -> Any:
    start, end = moment - LISTED, min(moment + LISTED, now)
    filters = {"server_id": server_id, "start": write(start), "end": write(end)}
    return html.Div(
        [
            await commands_panel(session, server_id, moment, now, zone),
            html.H2("What was run in the hour before and after"),
            runs_grid(RUNS, filters, with_server=False),
        ],
        className="console",
    )
