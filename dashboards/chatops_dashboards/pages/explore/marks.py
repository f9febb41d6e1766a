"""What happened in a range, for Explore's charts: alerts, commands, and agents that connected. Charts work without."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from chatops_client import ApiError, BackendUnreachableError
from chatops_dashboards.session import Session
from chatops_protocol.alert_resources import Alert
from chatops_protocol.command_resources import Command
from chatops_protocol.resources import ConnectionEvent, Server

MOST_MARKS = 200
# Of more servers the marks would hide the lines, and each has to be asked for its own.
MOST_CONNECTED = 6
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Happened:
    """`connections` are of the few servers that are shown, by server id; not asked for when there are many."""

    alerts: Sequence[Alert] = ()
    commands: Sequence[Command] = ()
    connections: Sequence[ConnectionEvent] = field(default=())


async def what_happened(session: Session, servers: Mapping[int, Server], start: datetime, end: datetime) -> Happened:
    """Of `servers` only, told with their names."""
    alerts, commands, connections = await asyncio.gather(
        _alerts(session, servers, start, end),
        _commands(session, servers, start, end),
        _connections(session, servers, start, end),
    )
    return Happened(alerts, commands, connections)


async def _alerts(session: Session, servers: Mapping[int, Server], start: datetime, end: datetime) -> list[Alert]:
    try:
        found = await session.client.alerts.list(
            states=["firing", "acknowledged", "resolved"],
            server_id=next(iter(servers)) if len(servers) == 1 else None,
            start=start,
            end=end,
            limit=MOST_MARKS,
        )
    except (ApiError, BackendUnreachableError) as error:
        log.warning("no alerts to mark Explore's charts with: %s", error)
        return []
    named = len(servers) > 1
    return [
        msgspec.structs.replace(one, threshold_name=f"{one.server_name}: {one.threshold_name}") if named else one
        for one in found
        if one.server_id in servers
    ]


async def _commands(session: Session, servers: Mapping[int, Server], start: datetime, end: datetime) -> list[Command]:
    try:
        page = await session.client.commands.page(
            server_id=next(iter(servers)) if len(servers) == 1 else None, start=start, end=end, limit=MOST_MARKS
        )
    except (ApiError, BackendUnreachableError) as error:
        log.warning("no commands to mark Explore's charts with: %s", error)
        return []
    named = len(servers) > 1
    return [
        msgspec.structs.replace(one, title=f"{one.server_name}: {one.title}") if named else one
        for one in page.items
        if one.server_id in servers
    ]


async def _connections(
    session: Session, servers: Mapping[int, Server], start: datetime, end: datetime
) -> list[ConnectionEvent]:
    if len(servers) > MOST_CONNECTED:
        return []
    try:
        found = await asyncio.gather(*(session.client.connections(server_id) for server_id in servers))
    except (ApiError, BackendUnreachableError) as error:
        log.warning("no connections to mark Explore's charts with: %s", error)
        return []
    return [event for events in found for event in events if start <= event.time < end]
