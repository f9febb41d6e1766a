"""What fires, as the fleet's page needs it: by host, the worst first. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from chatops_dashboards.alert_hub import AlertHub
from chatops_protocol.alert_resources import Alert, Level


@dataclass(frozen=True)
class Fired:
    """Alerts that fire, acknowledged or not. `current`: the live socket says so now; else more may fire, or less.

    `rules_on`: how many rules are switched on, None when that is not known.
    """

    by_server: Mapping[int, tuple[Alert, ...]] = field(default_factory=dict)
    current: bool = False
    rules_on: int | None = None

    def of(self, server_id: int) -> tuple[Alert, ...]:
        return self.by_server.get(server_id, ())

    def worst(self, server_id: int) -> Level | None:
        alerts = self.of(server_id)
        return alerts[0].level if alerts else None

    def firing(self, level: Level | None = None) -> int:
        """How many nobody has acknowledged."""
        return sum(a.state == "firing" and level in (None, a.level) for own in self.by_server.values() for a in own)

    @property
    def acknowledged(self) -> int:
        return sum(alert.state == "acknowledged" for own in self.by_server.values() for alert in own)


def fired_now(hub: AlertHub, rules_on: int | None = None) -> Fired:
    """What the hub knows."""
    by_server: dict[int, list[Alert]] = {}
    for alert in hub.open.values():
        if alert.state in ("firing", "acknowledged"):
            by_server.setdefault(alert.server_id, []).append(alert)
    return Fired({key: tuple(sorted(own, key=_urgency)) for key, own in by_server.items()}, hub.current, rules_on)


def _urgency(alert: Alert) -> tuple[bool, bool, float, int]:
    began = alert.started_at or alert.pending_at
    return (
        alert.level != "critical",
        alert.state != "firing",
        began.timestamp() if began else 0.0,
        alert.id,
    )
