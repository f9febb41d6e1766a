"""Follows the log of the chosen container into the tab, also through its ends and new beginnings."""

import asyncio
import contextlib
from contextlib import aclosing
from datetime import tzinfo

from chatops_client import ApiError, BackendUnreachableError
from chatops_client.live import LinkState
from chatops_dashboards.components.container_hosts import still_reason
from chatops_dashboards.components.container_log import LogText, tail_of
from chatops_dashboards.components.states import notice
from chatops_dashboards.live import AnswerPush, Push, View
from chatops_dashboards.pages.server.chosen_container import Chosen
from chatops_dashboards.session import Session

TRY_AGAIN_S = 10.0


async def follow_log(session: Session, view: View, chosen: Chosen, zone: tzinfo, push: Push) -> None:
    """A log ends with its container, and is followed again when that runs again or is made anew under its name."""
    while True:
        while chosen.entry is None:
            await chosen.changed()
        life, container_id = chosen.life, chosen.entry.id
        try:
            await _follow(session, view, container_id, zone, push)
        except ApiError as error:
            if error.status == 401:
                raise
            push("container-log-problem", children=notice(still_reason(error), "warning"))
            push("container-log-link", data="failed")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(chosen.changed(), TRY_AGAIN_S)
            continue
        push("container-log-link", data="ended")
        while chosen.entry is None or chosen.life == life:
            await chosen.changed()


async def _follow(session: Session, view: View, container_id: str, zone: tzinfo, push: Push) -> None:
    """Until the container ends. After every connect the last lines come again, and are told anew."""
    server_id, tail = int(view["server_id"]), tail_of(view.get("tail"))
    of = f"{container_id} {tail}"
    if isinstance(push, AnswerPush):
        # One answer only: what there is now.
        with contextlib.suppress(BackendUnreachableError):
            found = await session.client.containers.log(server_id, container_id, tail)
            push("container-log-feed", data=LogText(of, zone).feed(found.lines, found.skipped))
        await push.settle()
    text: LogText | None = None

    def on_link(state: LinkState) -> None:
        nonlocal text
        text = None
        if state == "disconnected":
            push("container-log-link", data="down")

    async with aclosing(session.client.containers.follow(server_id, container_id, tail, on_link)) as pieces:
        async for piece in pieces:
            if text is None:
                text = LogText(of, zone)
                push("container-log-problem", children=None)
                push("container-log-link", data="live")
            push("container-log-feed", data=text.feed(piece.lines, piece.skipped))
            # A browser that draws slowly is waited for; the host then leaves lines out, and says how many.
            await push.settle()
