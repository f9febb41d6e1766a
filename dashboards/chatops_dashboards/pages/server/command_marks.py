"""The commands that mark a server's charts, as far as whoever looks may see them. Charts work without them."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

from chatops_client import ApiError, BackendUnreachableError
from chatops_dashboards.session import Session
from chatops_protocol.command_resources import Command, CommandState

# Of a range the newest; a chart marks fewer still.
MOST = 200
LOOK_EVERY_S = 5.0
States = list[tuple[int, CommandState]]
log = logging.getLogger(__name__)


async def commands_of(session: Session, server_id: int, start: datetime, end: datetime | None = None) -> list[Command]:
    """Those that waited or ran between the two, newest first."""
    try:
        page = await session.client.commands.page(server_id=server_id, start=start, end=end, limit=MOST)
    except (ApiError, BackendUnreachableError) as error:
        log.warning("no commands to mark the charts with: %s", error)
        return []
    return page.items


async def newest_states(session: Session, server_id: int) -> States | None:
    """By which one sees that marks are outdated; None when that is not known."""
    try:
        page = await session.client.commands.page(server_id=server_id, limit=20)
    except (ApiError, BackendUnreachableError):
        return None
    return [(command.id, command.state) for command in page.items if command.started_at is not None]


@asynccontextmanager
async def until_changed(session: Session, server_id: int, known: States | None) -> AsyncIterator[asyncio.Task[None]]:
    """A task that ends when one of the newest commands has begun or ended since `known`."""

    async def watch() -> None:
        before = known
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            now = await newest_states(session, server_id)
            if before is None:
                before = now
            elif now is not None and now != before:
                return

    task = asyncio.create_task(watch())
    try:
        yield task
    finally:
        task.cancel()
