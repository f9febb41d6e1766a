"""The alerts that are open now, for one session: one backend socket, however many tabs look at them."""

import time
from collections.abc import AsyncIterator, Callable

from chatops_client import AsyncClient
from chatops_dashboards.live_hub import LiveHub
from chatops_dashboards.session import Session
from chatops_protocol.alert_resources import Alert, Level
from chatops_protocol.live_messages import AlertsState


class AlertHub(LiveHub[AlertsState]):
    """`open` by alert id; `resolved` counts those seen to end. `heard`: the whole state has come once."""

    def __init__(self, client: AsyncClient, clock: Callable[[], float] = time.time) -> None:
        super().__init__(clock)
        self._client = client
        self.open: dict[int, Alert] = {}
        self.resolved = 0
        self.heard = False

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

    def messages(self) -> AsyncIterator[AlertsState]:
        return self._client.live_alerts(self.on_link)

    def started(self) -> None:
        # What it knew before may be long over.
        self.heard = False

    async def take(self, message: AlertsState) -> None:
        """Bring in one message of ``/ws/alerts``."""
        if message.complete:
            gone = self.open.keys() - {alert.id for alert in message.alerts}
            self.resolved += len(gone)
            self.open, self.heard = {}, True
        for alert in message.alerts:
            if alert.state != "resolved":
                self.open[alert.id] = alert
            elif self.open.pop(alert.id, None) is not None:
                self.resolved += 1
        await self.announce()


def alert_hub(session: Session) -> AlertHub:
    """The hub of that session, made on first use."""
    hub: AlertHub = session.shared.setdefault("alerts", AlertHub(session.client))
    return hub
