"""New log lines of a server, for ``/ws/logs/{server_id}``.

They are read from the database, so that filter and search are those of the history, and what other backends and the
platform itself wrote is there too. A commit of this backend wakes whoever watches its server. A reader that is slow
gets the newest lines when it reads again, and is told that some are left out.
"""

import asyncio
import contextlib
import logging
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable

import asyncpg
from msgspec import Struct

from chatops_backend.database.interface import Database, DatabaseUnavailableError
from chatops_backend.database.queries import load_queries
from chatops_backend.ingest.frame import Frame
from chatops_backend.logs.routes import line_from
from chatops_protocol.live_messages import LogLines, encode
from chatops_protocol.log_lines import Level, LogLine

log = logging.getLogger(__name__)

# Events, and what another backend stored, wake nobody.
LOOK_EVERY_S = 1.0
AT_MOST_EVERY_S = 0.25
MOST_LINES = 500
# Ids are given out before the commit: a line may appear after one with a higher id.
OVERLAP_S = 3.0


class LineFilter(Struct, frozen=True):
    """`search` is a tsquery."""

    level: Level | None = None
    source: str | None = None
    search: str | None = None


class LogTail:
    def __init__(self, database: Database, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._monotonic = monotonic
        self._watchers: dict[int, set[LogWatcher]] = defaultdict(set)

    async def watch(self, server_id: int, wanted: LineFilter) -> "LogWatcher":
        """A watcher of what is stored from now on."""
        watcher = LogWatcher(self._database, server_id, wanted, self._monotonic)
        await watcher.start()
        self._watchers[server_id].add(watcher)
        return watcher

    def unwatch(self, watcher: "LogWatcher") -> None:
        watchers = self._watchers[watcher.server_id]
        watchers.discard(watcher)
        if not watchers:
            del self._watchers[watcher.server_id]

    def publish(self, frames: list[Frame]) -> None:
        """Frames were committed; never waits."""
        for server_id in {frame.server_id for frame in frames if frame.lines} & self._watchers.keys():
            for watcher in self._watchers[server_id]:
                watcher.wake()


class LogWatcher:
    def __init__(
        self, database: Database, server_id: int, wanted: LineFilter, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.server_id = server_id
        self._database = database
        self._wanted = wanted
        self._monotonic = monotonic
        self._queries = load_queries("logs")
        self._there = asyncio.Event()
        # Up to `_after` everything was sent that ever will be; of what is above, `_sent` was.
        self._after = 0
        self._sent: set[int] = set()
        self._newest: deque[tuple[float, int]] = deque()

    async def start(self) -> None:
        self._after = await self._queries.newest_log_id(self._database, server_id=self.server_id)

    def wake(self) -> None:
        self._there.set()

    async def messages(self) -> AsyncIterator[bytes]:
        # Whoever reads the history now has all that is older than what follows.
        yield encode(LogLines(self.server_id, [], False))
        while True:
            self._there.clear()
            try:
                found = await self._look()
            except (DatabaseUnavailableError, asyncpg.PostgresError) as error:
                log.warning("new log lines of server %d were not read: %s", self.server_id, error)
                found = None
            if found is not None:
                yield encode(found)
            await asyncio.sleep(AT_MOST_EVERY_S)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._there.wait(), LOOK_EVERY_S)

    async def _look(self) -> LogLines | None:
        newest = await self._queries.newest_log_id(self._database, server_id=self.server_id)
        if newest == self._after:
            return None
        rows = self._queries.newest_log_lines(
            self._database,
            server_id=self.server_id,
            after=self._after,
            level=self._wanted.level,
            source=self._wanted.source,
            search=self._wanted.search,
            count=MOST_LINES + 1,
        )
        found = [line_from(row) async for row in rows]
        fresh = [line for line in reversed(found[:MOST_LINES]) if line.id not in self._sent]
        # As many as fit, and none of them known: there may be more before them.
        incomplete = len(found) > MOST_LINES and len(fresh) == MOST_LINES
        self._remember(newest, fresh)
        return LogLines(self.server_id, fresh, incomplete) if fresh else None

    def _remember(self, newest: int, fresh: list[LogLine]) -> None:
        now = self._monotonic()
        self._sent.update(line.id for line in fresh)
        if not self._newest or self._newest[-1][1] < newest:
            self._newest.append((now, newest))
        while self._newest and self._newest[0][0] < now - OVERLAP_S:
            self._after = self._newest.popleft()[1]
        self._sent = {known for known in self._sent if known > self._after}
