"""Alerts that are not resolved, for ``/ws/alerts``: all at first, then those that changed."""

import msgspec

from chatops_backend.alerts.alert_routes import alert_from
from chatops_backend.database.interface import Database
from chatops_backend.database.queries import load_queries
from chatops_backend.live.board import Board
from chatops_protocol.alert_resources import Alert
from chatops_protocol.live_messages import AlertsState, encode

REREAD_EVERY_S = 1.0
# What fires beyond this is too much to look at, and is counted on the alerts page instead.
MOST_ALERTS = 1_000
_OPEN = ["pending", "firing", "acknowledged"]


class AlertsBoard(Board[Alert]):
    def __init__(self, database: Database) -> None:
        super().__init__("open alerts were", _message, reread_every_s=REREAD_EVERY_S)
        self._database = database
        self._queries = load_queries("alerts")

    async def _reread(self) -> None:
        known = self._items
        found = {alert.id: alert for alert in await self._read(_OPEN, None, MOST_ALERTS)}
        over: dict[int, Alert] = {}
        for alert_id in known.keys() - found.keys():
            # Resolved, or cancelled while pending, or gone with its server.
            last = await self._read(None, alert_id, 1)
            over[alert_id] = last[0] if last else msgspec.structs.replace(known[alert_id], state="resolved")
        for alert_id, alert in (found | over).items():
            self._put(alert_id, alert)
        self._items = found

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
            start=None,
            end=None,
            count=count,
        )
        return [alert_from(row) async for row in rows]


def _message(complete: bool, alerts: list[Alert]) -> bytes:
    return encode(AlertsState(complete, alerts))
