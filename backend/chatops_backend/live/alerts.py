"""Alerts that are not resolved, for ``/ws/alerts``: all at first, then those that changed.

They are read from the database each second while somebody watches, since another backend may have evaluated them.
"""

import asyncio
import logging
from collections.abc import AsyncIterator

import asyncpg
import msgspec

from chatops_backend.accounts.visibility import ALL_SERVERS, VisibleServers
from chatops_backend.alerts.alert_routes import alert_from
from chatops_backend.database.interface import Database, DatabaseUnavailableError
from chatops_backend.database.queries import load_queries
from chatops_protocol.alert_resources import Alert
from chatops_protocol.live_messages import AlertsState, encode

log = logging.getLogger(__name__)

REREAD_EVERY_S = 1.0
# What fires beyond this is too much to look at, and is counted on the alerts page instead.
MOST_ALERTS = 1_000
_OPEN = ["pending", "firing", "acknowledged"]


class AlertsBoard:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._queries = load_queries("alerts")
        self._open: dict[int, Alert] = {}
        self._watchers: set[AlertsWatcher] = set()

    async def watch(self, visible: VisibleServers = ALL_SERVERS) -> "AlertsWatcher":
        """A watcher that starts with all open alerts of the servers that its person sees."""
        await self._reread()
        watcher = AlertsWatcher(self._open, visible)
        self._watchers.add(watcher)
        return watcher

    def unwatch(self, watcher: "AlertsWatcher") -> None:
        self._watchers.discard(watcher)

    async def run(self) -> None:
        """Look for changes while somebody watches. Runs until cancelled."""
        while True:
            await asyncio.sleep(REREAD_EVERY_S)
            if self._watchers:
                try:
                    await self._reread()
                except (DatabaseUnavailableError, asyncpg.PostgresError) as error:
                    log.warning("open alerts were not read: %s", error)

    async def _reread(self) -> None:
        found = {alert.id: alert for alert in await self._read(_OPEN, None, MOST_ALERTS)}
        changed = [alert for alert in found.values() if self._open.get(alert.id) != alert]
        for alert_id in self._open.keys() - found.keys():
            # Resolved, or cancelled while pending, or gone with its rule or server.
            changed += await self._read(None, alert_id, 1) or [_gone(self._open[alert_id])]
        self._open = found
        for watcher in self._watchers:
            watcher.offer(changed)

    async def _read(self, states: list[str] | None, alert_id: int | None, count: int) -> list[Alert]:
        rows = self._queries.list_alerts(
            self._database,
            before=None,
            states=states,
            level=None,
            server_id=None,
            threshold_id=None,
            alert_id=alert_id,
            visible=None,
            count=count,
        )
        return [alert_from(row) async for row in rows]


class AlertsWatcher:
    """The alerts that changed since its reader took the last message."""

    def __init__(self, alerts: dict[int, Alert], visible: VisibleServers) -> None:
        self._visible = visible
        self._pending = {key: alert for key, alert in alerts.items() if visible.sees(alert.server_id)}
        self._complete = True
        self._there = asyncio.Event()
        self._there.set()

    def offer(self, alerts: list[Alert]) -> None:
        for alert in filter(lambda alert: self._visible.sees(alert.server_id), alerts):
            self._pending[alert.id] = alert
            self._there.set()

    async def messages(self) -> AsyncIterator[bytes]:
        while True:
            await self._there.wait()
            self._there.clear()
            state = AlertsState(self._complete, list(self._pending.values()))
            self._pending, self._complete = {}, False
            yield encode(state)


def _gone(alert: Alert) -> Alert:
    return msgspec.structs.replace(alert, state="resolved")
