"""The newest state of the whole fleet for one session: one backend socket, however many tabs look at it."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Self

from chatops_client import ApiError, AsyncClient, BackendUnreachableError
from chatops_client.live import LinkState
from chatops_dashboards.live_hub import LiveHub
from chatops_dashboards.moments import from_unix
from chatops_dashboards.session import Session
from chatops_protocol.live_messages import FleetEntry, FleetState

SPARK_WINDOW_S = 900.0
SPARK_STEP_S = 10.0
SPARK_POINTS = 60
# A large fleet's lines start coarser: of 2,000 servers 60 points each took the embedded database 2.9 s, 15 took 1.3 s.
MANY_SERVERS = 50
SPARK_POINTS_OF_MANY = 15
MOST_SPARKS = 2000
SPARK_METRIC = "host.cpu_percent"

log = logging.getLogger(__name__)

Spark = deque[tuple[float, float | None]]


class FleetHub(LiveHub[FleetState]):
    """`entries` by server id; `sparks` too, while somebody wants them."""

    def __init__(self, client: AsyncClient, clock: Callable[[], float] = time.time) -> None:
        super().__init__(clock)
        self._client = client
        self.entries: dict[int, FleetEntry] = {}
        self.sparks: dict[int, Spark] = {}
        self._changed_at: dict[int, int] = {}
        self._sparks_wanted = False
        self._connected = False
        self._history: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def subscribed(self, *, sparks: bool = True) -> AsyncIterator[Self]:
        """Keep the hub running inside the block. `sparks`: fill the spark lines too, which asks the stored history."""
        async with super().subscribed():
            if sparks and not self._sparks_wanted:
                self._sparks_wanted = True
                self._fill_sparks()
            yield self

    def changed_since(self, version: int) -> list[FleetEntry]:
        return [self.entries[key] for key, changed in self._changed_at.items() if changed > version]

    def messages(self) -> AsyncIterator[FleetState]:
        return self._client.live_fleet(self.on_link)

    def started(self) -> None:
        self._connected = self._sparks_wanted = False

    def stopped(self) -> None:
        if self._history is not None:
            self._history.cancel()

    def on_link(self, state: LinkState) -> None:
        if state == "disconnected":
            self._connected = False
        super().on_link(state)

    async def take(self, message: FleetState) -> None:
        """Bring in one message of ``/ws/fleet``."""
        await self._bring_in(message)
        if not self._connected:
            # At every new connection: what was missed meanwhile is in the history.
            self._connected = True
            self._fill_sparks()

    async def _bring_in(self, state: FleetState) -> None:
        if state.complete:
            kept = {entry.server_id for entry in state.servers}
            for gone in self.entries.keys() - kept:
                for table in (self.entries, self.sparks, self._changed_at):
                    table.pop(gone, None)
        if not state.servers and not state.complete:
            return
        now = self._clock()
        for entry in state.servers:
            if self.entries.get(entry.server_id) != entry:
                self.entries[entry.server_id] = entry
                self._changed_at[entry.server_id] = self.version + 1
            if entry.status == "online" and self._sparks_wanted:
                self._extend_spark(entry, now)
        await self.announce()

    def _extend_spark(self, entry: FleetEntry, now: float) -> None:
        spark = self.sparks.setdefault(entry.server_id, deque(maxlen=int(SPARK_WINDOW_S / SPARK_STEP_S) + 2))
        if not spark or now - spark[-1][0] >= SPARK_STEP_S - 1.0:
            spark.append((now, entry.cpu_percent))

    def _fill_sparks(self) -> None:
        if self._sparks_wanted and self._connected:
            if self._history is not None:
                self._history.cancel()
            self._history = asyncio.create_task(self._load_sparks())

    async def _load_sparks(self) -> None:
        """The stored minutes of the whole fleet, by one query; what came live after them stays."""
        end = from_unix(self._clock())
        start, servers = end - timedelta(seconds=SPARK_WINDOW_S), sorted(self.entries)[:MOST_SPARKS]
        if not servers:
            return
        points = SPARK_POINTS if len(servers) <= MANY_SERVERS else SPARK_POINTS_OF_MANY
        try:
            answer = await self._client.query_series(SPARK_METRIC, start, end, server_ids=servers, points=points)
        except (ApiError, BackendUnreachableError) as error:
            # The spark lines then start now; nothing else hangs on them.
            log.warning("no history for the spark lines: %s", error)
            return
        for series in answer.series:
            if series.server_id is None or series.server_id not in self.entries or not series.time:
                continue
            past = [(moment.timestamp(), value) for moment, value in zip(series.time, series.avg, strict=True)]
            after = past[-1][0] + max(answer.bucket_seconds, SPARK_STEP_S) - 1.0
            live = (point for point in self.sparks.get(series.server_id, ()) if point[0] > after)
            self.sparks[series.server_id] = deque([*past, *live], maxlen=int(SPARK_WINDOW_S / SPARK_STEP_S) + 2)
            self._changed_at[series.server_id] = self.version + 1
        await self.announce()


def fleet_hub(session: Session) -> FleetHub:
    """The hub of that session, made on first use."""
    hub: FleetHub = session.shared.setdefault("fleet", FleetHub(session.client))
    return hub
