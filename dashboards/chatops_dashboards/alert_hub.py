"""The alerts that are open now, for one session: one backend socket, however many tabs look at them.

Runs while somebody is subscribed and a moment longer, so that a change of page does not reconnect.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from chatops_client import ApiError, AsyncClient
from chatops_client.live import LinkState
from chatops_dashboards.session import Session
from chatops_protocol.alert_resources import Alert, Level
from chatops_protocol.live_messages import AlertsState

LINGER_S = 10.0


class AlertHub:
    """`open` by alert id; `resolved` counts those seen to end. `heard`: the whole state has come once."""

    def __init__(self, client: AsyncClient, clock: Callable[[], float] = time.time) -> None:
        self._client = client
        self._clock = clock
        self.open: dict[int, Alert] = {}
        self.resolved = 0
        self.down_since: float | None = None
        self.refusal: ApiError | None = None
        self.version = 0
        self.heard = False
        self._news = asyncio.Condition()
        self._users = 0
        self._task: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def subscribed(self) -> AsyncIterator["AlertHub"]:
        """Keep the hub running inside the block."""
        self._users += 1
        if self._task is None or self._task.done():
            self.refusal = None
            self._task = asyncio.create_task(self._run())
        try:
            yield self
        finally:
            self._users -= 1
            if self._users == 0:
                asyncio.get_running_loop().call_later(LINGER_S, self._stop_unless_used)

    async def news(self, version: int, timeout: float) -> bool:
        """Wait until something is newer than `version`; False when nothing was for `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout), self._news:
                await self._news.wait_for(lambda: self.version > version)
        except TimeoutError:
            return False
        return True

    @property
    def current(self) -> bool:
        """Whether `open` is what is open now."""
        return self.heard and self.down_since is None and self.refusal is None

    def firing(self, level: Level | None = None) -> int:
        """How many fire and nobody has acknowledged them."""
        return sum(alert.state == "firing" and level in (None, alert.level) for alert in self.open.values())

    def of_server(self, server_id: int) -> frozenset[tuple[int, str]]:
        """Alert and level of what fires on a server: differs when a mark of it would."""
        fired = (a for a in self.open.values() if a.server_id == server_id and a.state != "pending")
        return frozenset((alert.id, alert.level) for alert in fired)

    async def take(self, state: AlertsState) -> None:
        """Bring in one message of ``/ws/alerts``."""
        if state.complete:
            gone = self.open.keys() - {alert.id for alert in state.alerts}
            self.resolved += len(gone)
            self.open, self.heard = {}, True
        for alert in state.alerts:
            if alert.state != "resolved":
                self.open[alert.id] = alert
            elif self.open.pop(alert.id, None) is not None:
                self.resolved += 1
        await self._announce()

    def _stop_unless_used(self) -> None:
        if self._users == 0 and self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        try:
            async for state in self._client.live_alerts(self._on_link):
                await self.take(state)
        except ApiError as error:
            self.refusal = error
            self.down_since = self.down_since or self._clock()
            await self._announce()

    def _on_link(self, state: LinkState) -> None:
        if state == "connected":
            self.down_since = None
        elif self.down_since is None:
            self.down_since = self._clock()
            asyncio.get_running_loop().create_task(self._announce())

    async def _announce(self) -> None:
        async with self._news:
            self.version += 1
            self._news.notify_all()


def alert_hub(session: Session) -> AlertHub:
    """The hub of that session, made on first use."""
    hub: AlertHub = session.shared.setdefault("alerts", AlertHub(session.client))
    return hub
