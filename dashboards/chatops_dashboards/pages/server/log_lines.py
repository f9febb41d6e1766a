"""Reads log lines for the tab and brings them into the form in which `chatops_logs.js` draws them, as text alone."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from chatops_dashboards.moments import absolute
from chatops_dashboards.pages.server.log_query import LogQuery
from chatops_dashboards.session import Session
from chatops_protocol.log_lines import PLATFORM_SOURCE, LogLine

PAGE_LINES = 200
ONE_STEP = timedelta(microseconds=1)
# After a moment so many lines are shown, looked for in less and less time where many were written.
LINES_AFTER = 20
AFTER_S = (600.0, 60.0, 10.0, 1.0, 0.1)


def drawn(line: LogLine, zone: tzinfo) -> dict[str, Any]:
    """`at` has the same width always: its order is that of time."""
    local = line.time.astimezone(zone)
    return {
        "id": line.id,
        "at": line.time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "time": local.strftime("%Y-%m-%d %H:%M:%S"),
        "when": f"{local:%Y-%m-%d %H:%M:%S}.{local.microsecond // 1000:03d} {local:%Z}".strip(),
        "level": line.level or "",
        "source": line.source,
        "platform": line.source == PLATFORM_SOURCE,
        "message": line.message,
    }


def marker(moment: datetime, zone: tzinfo) -> dict[str, Any]:
    """A line that is none: where the moment is that somebody looks at, above a line of that very moment."""
    at = (moment + ONE_STEP).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return {"id": -1, "at": at, "moment": True, "message": absolute(moment, zone)}


def batch(kind: str, lines: Sequence[LogLine], zone: tzinfo, *, more: bool = False) -> dict[str, Any]:
    """`kind`: ``reset`` begins anew, ``head`` is the newest page (anew if it does not join what is shown), ``older``
    follows below, ``news`` came just now. `more`: older ones are there; of news: some between are left out."""
    return {"kind": kind, "more": more, "lines": [drawn(line, zone) for line in lines]}


async def newest(session: Session, server_id: int, asked: LogQuery, now: datetime) -> tuple[list[LogLine], bool]:
    """The newest lines that are asked for, and whether there are older ones."""
    start, end = asked.range(now)
    page = await session.client.logs.page(server_id, start=start, end=end, limit=PAGE_LINES, **asked.filters)
    return page.items, page.next_cursor is not None


async def around(
    session: Session, server_id: int, asked: LogQuery, moment: datetime
) -> tuple[list[LogLine], list[LogLine], bool]:
    """The few lines after a moment and the last ones up to it, both newest first, and whether there are older ones. Of
    as long a time as is shown of the newest."""
    start, _ = asked.range(moment)
    before = await session.client.logs.page(
        server_id, start=start, end=moment + ONE_STEP, limit=PAGE_LINES, **asked.filters
    )
    after: list[LogLine] = []
    for seconds in AFTER_S:
        page = await session.client.logs.page(
            server_id,
            start=moment + ONE_STEP,
            end=moment + timedelta(seconds=seconds),
            limit=PAGE_LINES,
            **asked.filters,
        )
        after = page.items
        # Pages begin with the newest: only a whole answer holds those next to the moment.
        if page.next_cursor is None:
            break
    return after[-LINES_AFTER:], before.items, before.next_cursor is not None


async def older(
    session: Session, server_id: int, asked: LogQuery, at: datetime, line_id: int, now: datetime
) -> tuple[list[LogLine], bool]:
    """Lines before the one of that time and id. A key and no cursor: what a reader has let go is found again."""
    start, _ = asked.range(now)
    cursor: str | None = None
    while True:
        page = await session.client.logs.page(
            server_id, start=min(start, at), end=at + ONE_STEP, cursor=cursor, limit=PAGE_LINES, **asked.filters
        )
        found = [line for line in page.items if (line.time, line.id) < (at, line_id)]
        cursor = page.next_cursor
        if found or cursor is None:
            return found, cursor is not None
