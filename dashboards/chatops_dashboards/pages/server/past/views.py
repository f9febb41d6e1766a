"""Which tabs show a moment of the past, and how: a frame that stays, and what is in it of the moment.

Tabs with ranges of their own (history, logs) are not here: they take the moment as they take their range.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, tzinfo
from typing import Any

import dash_mantine_components as dmc
from dash import html

from chatops_dashboards.components.attributes import dashed
from chatops_dashboards.components.states import notice
from chatops_dashboards.pages.server.head import idle_view
from chatops_dashboards.pages.server.past.charts import charts_then
from chatops_dashboards.pages.server.past.console import console_frame, console_then
from chatops_dashboards.pages.server.past.reading import read_at
from chatops_dashboards.pages.server.past.tables import (
    containers_then,
    filesystems_then,
    network_then,
    processes_then,
)
from chatops_dashboards.session import Session

Draw = Callable[[Session, int, datetime, str | None, tzinfo, datetime], Awaitable[Any]]
DRAWN: dict[str, Draw] = {
    "live": charts_then,
    "filesystems": filesystems_then,
    "network": network_then,
    "processes": processes_then,
    "containers": containers_then,
    "console": console_then,
}
# They follow the moment by their own callbacks, or are of no moment.
OBEYING = ("history", "logs", "settings")
# What cannot be done there, and the word why.
NO_ACTS = {
    "processes": "Signals go to processes of now. Go back to live to list them all and to send one.",
    "containers": "Containers are started and stopped now, not in the past. Go back to live to do so.",
    "console": "Commands run now, not in the past. Go back to live to run one.",
}


async def past_content(
    session: Session, server_id: int, tab: str, query: Mapping[str, str], moment: datetime, zone: tzinfo, now: datetime
) -> html.Div:
    """A tab as it was; `then-body` holds what moves with the moment, `then-choice` what a person chose of it."""
    control, choice = await _control(session, server_id, tab, moment, now)
    run = query.get("run", "")
    frame = console_frame(server_id, int(run) if run.isdecimal() else None) if tab == "console" else []
    why = NO_ACTS.get(tab) if session.may_act or tab == "processes" else None
    body = await DRAWN[tab](session, server_id, moment, choice, zone, now)
    return html.Div(
        [
            html.Div(notice(why), className="no-acts") if why else None,
            html.Div(control, className="toolbar") if control is not None else None,
            *frame,
            html.Div(body, id="then-body"),
            idle_view(server_id) if not frame else None,
        ],
        className="past",
    )


async def _control(session: Session, server_id: int, tab: str, moment: datetime, now: datetime) -> tuple[Any, Any]:
    if tab == "processes":
        choices = [{"value": "cpu", "label": "By CPU"}, {"value": "memory", "label": "By memory"}]
        return dmc.SegmentedControl(
            id="then-choice", value="cpu", data=choices, size="xs", **dashed(aria_label="Order")
        ), "cpu"
    if tab == "network":
        found = await read_at(session, server_id, "network", moment, now, ("receive_bytes_per_second",))
        names = sorted({str(row["interface"]) for row in found.rows}) if found is not None else []
        return dmc.Select(
            id="then-choice",
            data=names,
            placeholder="Chart of the busiest interface",
            clearable=True,
            size="xs",
            w=260,
            **dashed(aria_label="Interface"),
        ), None
    return None, None
