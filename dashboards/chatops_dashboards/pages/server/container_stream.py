"""Keeps the containers tab fresh: asks the agent for its containers every few seconds while one looks, and runs beside
that what belongs to the chosen one."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, tzinfo
from typing import Any

from dash import html

from chatops_client import ApiError, BackendUnreachableError
from chatops_dashboards.components.attributes import dashed
from chatops_dashboards.components.container_dialogue import act_buttons
from chatops_dashboards.components.container_hosts import (
    no_containers,
    nothing_shown,
    policy_notice,
    still_reason,
)
from chatops_dashboards.components.container_table import GRID, row_of, table_style
from chatops_dashboards.components.states import notice
from chatops_dashboards.components.status import moment_text
from chatops_dashboards.container_words import STATE_MARKS, state_kind, state_text
from chatops_dashboards.live import Push, View
from chatops_dashboards.moments import absolute
from chatops_dashboards.pages.server.chosen_container import Chosen
from chatops_dashboards.pages.server.rows import as_of
from chatops_dashboards.session import Session
from chatops_protocol.container_messages import DockerPolicy
from chatops_protocol.container_resources import ContainerList

ASK_EVERY_S = 3.0
FINAL_STATUSES = (401, 403, 404)
HIDDEN = {"display": "none"}


# What a part of the chosen container's panel pushes, until it is cancelled.
PartStream = Callable[[Session, View, Chosen, tzinfo, Push], Coroutine[Any, Any, None]]


async def stream_tab(
    session: Session, view: View, zone: tzinfo, push: Push, parts: dict[str, PartStream] | None = None
) -> None:
    """`view`: ``container`` is the name of the chosen one, ``part`` what is shown of it."""
    name = view.get("container")
    chosen = Chosen(str(name) if name else None)
    part = (parts or {}).get(str(view.get("part"))) if chosen.name else None
    server_id = int(view["server_id"])
    tasks = [asyncio.create_task(_table(session, server_id, chosen, zone, push))]
    if part is not None:
        tasks.append(asyncio.create_task(part(session, view, chosen, zone, push)))
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _table(session: Session, server_id: int, chosen: Chosen, zone: tzinfo, push: Push) -> None:
    """Ask, draw, wait. When the agent does not answer, what stands there says since when it is old."""
    newest: datetime | None = None
    told: str | None = None
    policy: DockerPolicy | None = None
    drawn: Any = None
    while True:
        try:
            found = await session.client.containers.list(server_id)
        except (ApiError, BackendUnreachableError) as error:
            if isinstance(error, ApiError) and error.status in FINAL_STATUSES:
                raise
            if newest is not None:
                words = f"{still_reason(error)} What you see is of {absolute(newest, zone)}. Trying again…"
                push("containers-note", children=notice(words, "warning"))
            elif str(error) != told:
                told = str(error)
                push("containers-state", children=nothing_shown(error))
                push("containers-note", children=None)
        else:
            draw(found, zone, push)
            if found.policy != policy:
                policy = found.policy
                push("containers-policy", children=policy_notice(policy, may_act=session.may_act))
            chosen.take(found)
            if newest is None and chosen.entry is not None:
                push(GRID, selectedRows={"ids": [chosen.entry.id]})
            newest = found.taken_at
            # Only when it is another: buttons that are drawn anew lose the finger that is on them.
            shown = (chosen.life, chosen.entry and chosen.entry.exit_code, found.policy)
            if chosen.name and shown != drawn:
                drawn = shown
                push("container-panel", style={})
                push("container-head", children=head(chosen, found, session.may_act, zone))
        await asyncio.sleep(ASK_EVERY_S)


def draw(found: ContainerList, zone: tzinfo, push: Push) -> None:
    """The table and how old it is; instead of an empty one what that means."""
    rows = [row_of(entry, zone) for entry in found.containers]
    push(GRID, rowData=rows)
    push(GRID, style=table_style(len(rows)))
    push("containers-table", style={} if rows else HIDDEN)
    push("containers-state", children=None if rows else no_containers())
    push("containers-note", children=None)
    push("containers-as-of", children=[as_of(found.taken_at, zone), html.Span(count_words(found))])


def count_words(found: ContainerList) -> str:
    running = sum(entry.state in ("running", "paused", "restarting") for entry in found.containers)
    count = len(found.containers)
    words = f"{count} container{'' if count == 1 else 's'}, {running} of them running"
    left_out = found.total - count
    return f"{words}; {left_out} more that do not run are left out" if left_out > 0 else words


def head(chosen: Chosen, found: ContainerList, may_act: bool, zone: tzinfo) -> html.Div:
    """The chosen container: what it is, how it is doing, and what can be done to it."""
    entry = chosen.entry
    if entry is None:
        words = f"There is no container “{chosen.name}” on this host any more. Choose another one above."
        return html.Div(notice(words, "warning"))
    now = datetime.now(UTC)
    over = entry.state in ("exited", "dead")
    since = entry.finished_at if over else entry.started_at
    facts: list[Any] = [
        html.Span(
            [html.Span(STATE_MARKS.get(entry.state, "?"), **dashed(aria_hidden="true")), html.Span(state_text(entry))],
            className=f"container-state container-{state_kind(entry)}",
        ),
        html.Span(["ended " if over else "started ", moment_text(since, now, zone)]) if since else None,
        html.Span(["image ", html.B(entry.image)], className="breakable"),
        html.Span(["project ", html.B(entry.compose_project)], className="breakable")
        if entry.compose_project
        else None,
        html.Span(["id ", html.Code(entry.id[:12])]),
    ]
    return html.Div(
        [
            html.Div(
                [
                    html.H2(entry.name, className="breakable"),
                    act_buttons(entry) if may_act and found.policy == "control" else None,
                ],
                className="container-line",
            ),
            html.Div([fact for fact in facts if fact is not None], className="run-facts", role="status"),
        ]
    )
