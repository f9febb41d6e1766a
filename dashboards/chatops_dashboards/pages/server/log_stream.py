"""New log lines into the tab as they are stored: after every connect the newest page, so that nothing is missed."""

import secrets
from contextlib import aclosing
from datetime import UTC, datetime, tzinfo

from chatops_client.live import LinkState
from chatops_dashboards.live import Push, View
from chatops_dashboards.pages.server.log_lines import batch, newest
from chatops_dashboards.pages.server.log_query import LogQuery
from chatops_dashboards.session import Session


async def stream(session: Session, view: View, zone: tzinfo, push: Push) -> None:
    """A tab that draws slowly is waited for; the backend then sends the newest and says that some are left out."""
    server_id = int(view["server_id"])
    asked = LogQuery.of(view.get("level"), view.get("source"), view.get("search"), view.get("range"), None, None)

    def on_link(state: LinkState) -> None:
        if state == "disconnected":
            push("logs-link", data="down")

    # By these the page notices that one did not reach it.
    name, sequence = secrets.token_hex(8), 0
    async with aclosing(session.client.logs.live(server_id, on_link, **asked.filters)) as feed:
        async for message in feed:
            if message.lines:
                shown = batch("news", message.lines, zone, more=message.incomplete)
            else:
                push("logs-link", data="live")
                lines, more = await newest(session, server_id, asked, datetime.now(UTC))
                shown = batch("head", lines, zone, more=more)
            sequence += 1
            push("logs-news", data=shown | {"stream": name, "sequence": sequence})
            try:
                await push.settle()
            except TimeoutError:
                # A tab that is frozen; it asks for a new stream when it wakes up.
                return
