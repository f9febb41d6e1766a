"""Why nothing is stored at a moment: the agent was offline, the server was not there yet, or it is too long ago."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta, tzinfo
from typing import Any

from dash import html

from chatops_client import ApiError, BackendUnreachableError
from chatops_dashboards.components.states import empty
from chatops_dashboards.figures.history_chart import TIER_WORDS
from chatops_dashboards.moments import absolute
from chatops_dashboards.pages.server.past.moment import kept_of
from chatops_dashboards.pages.server.past.reading import Reading
from chatops_dashboards.session import Session
from chatops_protocol.resources import ConnectionEvent, Tier

# What is looked through for the connection of the moment.
MOST_EVENTS = 200
log = logging.getLogger(__name__)


async def nothing_stored(
    session: Session, server_id: int, what: str, moment: datetime, now: datetime, zone: tzinfo
) -> html.Div:
    """Instead of a view: what is missing, and why as far as that is known."""
    start, end = moment - kept_of(moment, now).reach, moment + timedelta(seconds=1)
    events: list[ConnectionEvent] = []
    tier: Tier = "raw"
    try:
        events, asked = await asyncio.gather(
            session.client.connections(server_id, MOST_EVENTS),
            session.client.history_series(server_id, "host.cpu_percent", start, end, points=1000),
        )
        tier = asked.tier
    except (ApiError, BackendUnreachableError) as error:
        log.warning("nothing to explain a gap with: %s", error)
    reason = offline_words(events, moment, zone) or "The agent was not running, or did not measure it."
    still = f" Of that age the {TIER_WORDS[tier]} is kept." if tier != "raw" else ""
    return empty("Nothing stored at that moment", f"There is no reading of {what}. {reason}{still}", picture="search")


def offline_words(events: Sequence[ConnectionEvent], moment: datetime, zone: tzinfo) -> str | None:
    """Whether the agent was connected then. `events` are the newest, newest first; None: connected, or not known."""
    told = [event for event in events if event.event in ("connected", "disconnected")]
    before = next((event for event in told if event.time <= moment), None)
    after = next((event for event in reversed(told) if event.time > moment and event.event == "connected"), None)
    if before is None:
        if after is None or len(events) >= MOST_EVENTS:
            return None
        return f"The agent had not connected yet; it did first, as far as is known, at {absolute(after.time, zone)}."
    if before.event == "connected":
        return None
    back = f"until {absolute(after.time, zone)}" if after is not None else "and has not come back since"
    return f"The agent was offline then, from {absolute(before.time, zone)} {back}."


def as_then(found: Reading, zone: tzinfo, more: str = "") -> html.P:
    """Which reading is shown, and that it is a coarse one."""
    coarse = f", averages over {_length(found.bucket_seconds)}" if found.bucket_seconds > 30 else ""
    words: list[Any] = [f"The reading of {absolute(found.time, zone)}{coarse}.", f" {more}" if more else None]
    return html.P([word for word in words if word], className="as-of as-then")


def _length(seconds: float) -> str:
    for size, word in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = round(seconds / size)
            return f"{count} {word}s" if count != 1 else f"a{'n' if word == 'hour' else ''} {word}"
    return f"{seconds:g} s"
