"""``/logs`` of the clients: `client.logs` (`Logs`) and `async_client.logs` (`AsyncLogs`)."""

from collections.abc import AsyncGenerator, Callable
from datetime import datetime
from typing import Protocol, TypedDict, Unpack
from urllib.parse import urlencode

import polars as pl

from chatops_client.alerts import AsyncSender, Sender
from chatops_client.live import LinkState, LiveSession, live_messages
from chatops_client.resource_frames import lines_to_frame
from chatops_client.wire import Call, query_params, segment
from chatops_protocol.live_messages import LogLines
from chatops_protocol.log_lines import Level, LogLine, LogPolicies, LogSource, LogSources
from chatops_protocol.resources import Page


class LineFilters(TypedDict, total=False):
    """`level` means that and worse; `search` is words, ``"a phrase"``, ``begin*``, ``-without``, ``or``."""

    level: Level | None
    source: str | None
    search: str | None


class LiveSender(AsyncSender, LiveSession, Protocol):
    """What `AsyncLogs` needs of its client."""


def lines(server_id: int, start: datetime | None, end: datetime | None, filters: LineFilters) -> Call[Page[LogLine]]:
    parameters = query_params({**filters, "start": start, "end": end})
    return Call("GET", f"/logs/{segment(server_id)}", Page[LogLine], parameters)


def sources(server_id: int, start: datetime | None) -> Call[LogSources]:
    return Call("GET", f"/logs/{segment(server_id)}/sources", LogSources, query_params({"start": start}))


def policies() -> Call[LogPolicies]:
    return Call("GET", "/logs/policies", LogPolicies)


def set_policies(wanted: LogPolicies) -> Call[LogPolicies]:
    return Call("PUT", "/logs/policies", LogPolicies, body=wanted)


class Logs:
    def __init__(self, client: Sender) -> None:
        self._client = client

    def __call__(
        self,
        server_id: int,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        limit: int = 10_000,
        **filters: Unpack[LineFilters],
    ) -> pl.DataFrame:
        """The newest lines as a frame (`lines_to_frame`), newest first, at most `limit`; of the day before `end` when
        `start` is left out. What the platform has to tell of the server has the source ``chatops``."""
        found = self._client.all_pages(lines(server_id, start, end, filters), limit)
        return lines_to_frame(server_id, found)

    def page(
        self,
        server_id: int,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        cursor: str | None = None,
        limit: int = 200,
        **filters: Unpack[LineFilters],
    ) -> Page[LogLine]:
        """Newest first; of the day before `end` when `start` is left out."""
        return self._client.request(lines(server_id, start, end, filters).page(cursor, limit))

    def sources(self, server_id: int, start: datetime | None = None) -> list[LogSource]:
        """Who wrote the newest lines, most first."""
        return self._client.request(sources(server_id, start)).sources

    def policies(self) -> LogPolicies:
        """How long lines are kept."""
        return self._client.request(policies())

    def set_policies(self, wanted: LogPolicies) -> LogPolicies:
        return self._client.request(set_policies(wanted))


class AsyncLogs:
    def __init__(self, client: LiveSender) -> None:
        self._client = client

    async def __call__(
        self,
        server_id: int,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        limit: int = 10_000,
        **filters: Unpack[LineFilters],
    ) -> pl.DataFrame:
        """The newest lines as a frame (`lines_to_frame`), newest first, at most `limit`; of the day before `end` when
        `start` is left out. What the platform has to tell of the server has the source ``chatops``."""
        found = await self._client.all_pages(lines(server_id, start, end, filters), limit)
        return lines_to_frame(server_id, found)

    async def page(
        self,
        server_id: int,
        *,
        start: datetime | None = None,
        end: datetime | None = None,
        cursor: str | None = None,
        limit: int = 200,
        **filters: Unpack[LineFilters],
    ) -> Page[LogLine]:
        """Newest first; of the day before `end` when `start` is left out."""
        return await self._client.request(lines(server_id, start, end, filters).page(cursor, limit))

    async def sources(self, server_id: int, start: datetime | None = None) -> list[LogSource]:
        """Who wrote the newest lines, most first."""
        return (await self._client.request(sources(server_id, start))).sources

    def live(
        self,
        server_id: int,
        on_state: Callable[[LinkState], None] | None = None,
        **filters: Unpack[LineFilters],
    ) -> AsyncGenerator[LogLines, None]:
        """New lines as they are stored. After every connect one message without lines: history that is read from then
        on joins what follows. Reconnects by itself; raises `ApiError` as `live_server` does, and 400 for a filter that
        cannot be."""
        query = urlencode(query_params(filters))
        return live_messages(self._client, f"/ws/logs/{segment(server_id)}{query and '?' + query}", LogLines, on_state)
