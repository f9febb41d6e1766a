"""The head of a server's page: name, state, last seen, system. A stream of its own keeps it true on every tab."""

import asyncio
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

import msgspec
from dash import dcc, html

from chatops_client import ApiError, Latest
from chatops_dashboards.components.states import notice
from chatops_dashboards.components.status import moment_text, status_badge, tag_list
from chatops_dashboards.components.way_back import way_back
from chatops_dashboards.fleet_hub import fleet_hub
from chatops_dashboards.live import Push, View
from chatops_dashboards.moments import absolute, from_unix
from chatops_dashboards.pages.server.rows import host_of
from chatops_dashboards.session import Session
from chatops_dashboards.units import format_duration
from chatops_protocol.live_messages import FleetEntry
from chatops_protocol.resources import Server

TITLE_ID = "page-title"
# A server that was added a moment ago is in the list before it is in the live state.
LOOK_AGAIN_S = 5.0
# As in the backend: older readings come too late for the rules that watch the moment.
LATE_S = 120.0
# Below it the way and the agent's pace explain it.
AHEAD_S = 30.0


def document_title(name: str) -> str:
    return f"{name} · ChatOps"


async def read_head(
    session: Session, server_id: int, zone: tzinfo, entry: FleetEntry | None = None
) -> tuple[str, html.Div]:
    """Name and head as they are now. `entry`: the live state, which hears of a reading before the list does."""
    server, latest = await asyncio.gather(session.client.server(server_id), session.client.latest(server_id))
    if entry is not None and entry.last_seen is not None:
        server = msgspec.structs.replace(server, status=entry.status, last_seen=from_unix(entry.last_seen))
    return server.name, head(server, latest, datetime.now(UTC), zone)


def head(server: Server, latest: Latest, now: datetime, zone: tzinfo) -> html.Div:
    uptime = host_of(latest).get("uptime_seconds")
    booted = None if uptime is None or latest.time is None else latest.time - timedelta(seconds=uptime)
    facts: list[Any] = [
        _fact("Last seen", html.Span(moment_text(server.last_seen, now, zone), id="server-seen")),
        _fact("Booted", moment_text(booted, now, zone)) if booted and server.status == "online" else None,
        _fact("System", server.platform) if server.platform else None,
        _fact("Agent", server.agent_version) if server.agent_version else None,
    ]
    return html.Div(
        [
            way_back("Fleet", "/"),
            html.Div(
                [
                    html.H1(server.name),
                    html.Span(status_badge(server.status), id="server-status"),
                    tag_list(server.tags, 8),
                ],
                className="server-title",
            ),
            html.P(server.description, className="dim tight") if server.description else None,
            html.Dl([fact for fact in facts if fact is not None], className="facts"),
        ],
        className="server-head",
    )


def _fact(name: str, value: Any) -> html.Div:
    return html.Div([html.Dt(name), html.Dd(value)])


def clock_words(age_s: float | None) -> str | None:
    """What to say of readings that were so old, or below zero so young, when they arrived; None when all is well.

    Rounded: the words change with the clocks, not with each reading.
    """
    if age_s is not None and age_s > LATE_S:
        old = format_duration(round(age_s / 60) * 60)
        return (
            f"Its readings are {old} old when they arrive: a backlog, or its clock is behind. Rules judge such "
            "readings late, for the record, and tell nobody."
        )
    if age_s is not None and age_s < -AHEAD_S:
        ahead = format_duration(round(-age_s / 10) * 10)
        return (
            f"Its readings are {ahead} ahead of the backend's clock: the clock of one of the two is wrong. Rules judge "
            "such readings only when their time has come."
        )
    return None


def head_notice(
    down_since: float | None, quiet_since: float | None, clocks: str | None, now: datetime, zone: tzinfo
) -> Any:
    """Why what the page shows may be old or at a wrong time; nothing while readings arrive as they should."""
    if down_since is not None:
        since = _moment(from_unix(down_since), now, zone)
        return notice(["No live data from the backend since ", *since, ". Reconnecting…"], "warning")
    if quiet_since is not None:
        since = _moment(from_unix(quiet_since), now, zone)
        return notice(["No new data since ", *since, ". What you see is from before."], "warning")
    return notice(clocks, "warning") if clocks is not None else None


def _moment(moment: datetime, now: datetime, zone: tzinfo) -> list[Any]:
    return [absolute(moment, zone), " (", moment_text(moment, now, zone), ")"]


def idle_view(server_id: int) -> dcc.Store:
    """The view of a tab that does not move by itself: its head still does."""
    return dcc.Store(id="live-view", data={"kind": "idle", "server_id": server_id})


async def stream_head(session: Session, view: View, zone: tzinfo, push: Push) -> None:
    """Runs beside the stream of every view that belongs to a server, also while the charts are paused."""
    if not isinstance(server_id := view.get("server_id"), int) or isinstance(server_id, bool):
        return
    async with fleet_hub(session).subscribed(sparks=False) as hub:
        drawn, noted, seen = None, None, None
        while True:
            if hub.refusal is not None:
                raise hub.refusal
            version, entry, now = hub.version, hub.entries.get(server_id), datetime.now(UTC)
            if version and hub.down_since is None:
                state = entry and (entry.name, entry.status, entry.tags)
                if entry is None or state != drawn:
                    if not await _redraw(session, server_id, entry, zone, push):
                        return
                elif entry.last_seen is not None and entry.last_seen != seen:
                    push("server-seen", children=moment_text(from_unix(entry.last_seen), now, zone))
                drawn, seen = state, entry and entry.last_seen
            quiet_since = entry.last_seen if entry is not None and entry.status == "offline" else None
            clocks = clock_words(entry.age_on_arrival_s) if entry is not None else None
            if (hub.down_since, quiet_since, clocks) != noted:
                noted = (hub.down_since, quiet_since, clocks)
                push("server-notice", children=head_notice(*noted, now, zone))
            await hub.news(version, LOOK_AGAIN_S)


async def _redraw(session: Session, server_id: int, entry: FleetEntry | None, zone: tzinfo, push: Push) -> bool:
    """All of the head; False when there is no such server any more."""
    try:
        name, drawn = await read_head(session, server_id, zone, entry)
    except ApiError as error:
        if error.status != 404:
            raise
        push("server-notice", children=notice("This server has been deleted.", "warning"))
        return False
    push("server-header", children=drawn)
    push(TITLE_ID, data=document_title(name))
    return True
