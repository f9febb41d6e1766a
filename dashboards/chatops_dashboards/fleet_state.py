"""What a fleet's newest state means: what needs attention, which servers match, in which order. Pure.

Two things say how bad it is: the alerts that fire, which decide a host's colour, and fixed marks for single figures.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from chatops_dashboards.alert_words import alert_value, labels_text
from chatops_dashboards.fleet_alerts import Fired
from chatops_dashboards.fleet_hub import Spark
from chatops_dashboards.theme import CPU_LASTS_S, CRITICAL_PERCENT, WARNING_PERCENT, Level, level_of
from chatops_dashboards.units import format_percent
from chatops_protocol.alert_resources import Alert
from chatops_protocol.live_messages import FleetEntry

SORTS = {
    "attention": "Needs attention first",
    "name": "Name",
    "cpu": "CPU",
    "memory": "Memory",
    "disk": "Fullest disk",
}


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, where, and since when if that is known (Unix seconds). `alert`: what says so; `note`:
    what became of it since."""

    entry: FleetEntry
    level: Level
    text: str
    since: float | None = None
    alert: Alert | None = None
    note: str = ""


NOTHING_FIRES = Fired()
# A figure over its mark is not told again when an alert of its host about it fires; None is the host's silence.
_OFFLINE, _DISK, _MEMORY, _CPU = (None, "filesystem.used_percent", "host.memory_used_percent", "host.cpu_percent")


def problems_of(
    entries: Sequence[FleetEntry], sparks: Mapping[int, Spark], now: float, fired: Fired = NOTHING_FIRES
) -> list[Problem]:
    """What needs attention, worst first: critical alerts, offline servers, other alerts, resources by how full they
    are, and last what somebody looks after already."""
    found: list[tuple[float, Problem]] = []
    for entry in entries:
        alerts = fired.of(entry.server_id)
        told = {(alert.metric, alert.labels.get("mountpoint")) for alert in alerts}
        # What another alert explains is told by that one.
        found += [(_urgency(alert), _alert_problem(entry, alert)) for alert in alerts if alert.held_back_by is None]
        if entry.status == "offline":
            if (_OFFLINE, None) not in told:
                found.append((1000.0, Problem(entry, "critical", "offline", entry.last_seen)))
            continue
        if entry.status != "online":
            continue
        busy_since = high_since(sparks.get(entry.server_id, ()))
        lasting = busy_since is not None and now - busy_since >= CPU_LASTS_S
        disk = f"disk {entry.fullest_mountpoint or ''}".strip()
        for name, told_by, value, since in (
            (disk, (_DISK, entry.fullest_mountpoint), entry.fullest_used_percent, None),
            ("memory", (_MEMORY, None), entry.memory_used_percent, None),
            ("CPU", (_CPU, None), entry.cpu_percent if lasting else None, busy_since),
        ):
            level = level_of(value)
            if told_by not in told and level in ("warning", "critical") and value is not None:
                found.append((value, Problem(entry, level, f"{name} {format_percent(value)}", since)))
    return [problem for _, problem in sorted(found, key=lambda pair: -pair[0])]


def _alert_problem(entry: FleetEntry, alert: Alert) -> Problem:
    began = alert.started_at or alert.pending_at
    parts = [str(alert.labels.get("mountpoint") or labels_text(alert.labels)), alert_value(alert)]
    text = " · ".join(part for part in parts if part)
    note = ""
    if alert.state == "acknowledged":
        note = f"acknowledged by {alert.acknowledged_by}" if alert.acknowledged_by else "acknowledged"
    return Problem(entry, alert.level, text, began.timestamp() if began else None, alert, note)


def _urgency(alert: Alert) -> float:
    if alert.state == "acknowledged":
        return 20.0 if alert.level == "critical" else 10.0
    return 2000.0 if alert.level == "critical" else 500.0


def high_since(spark: Iterable[tuple[float, float | None]]) -> float | None:
    """Since when the newest readings have all been high; None when the newest is not."""
    since = None
    for time, value in spark:
        if value is None or value < WARNING_PERCENT:
            since = None
        elif since is None:
            since = time
    return since


def severity(entry: FleetEntry, fired: Fired = NOTHING_FIRES) -> float:
    """A number to sort by: offline, then the worst alert or the fullest resource, then those that never reported."""
    if entry.status == "offline":
        return 1000.0
    worst = fired.worst(entry.server_id)
    alerts = {"critical": 100.0, "warning": WARNING_PERCENT}[worst] if worst else -1.0
    if entry.status == "never":
        return alerts
    known = [v for v in (entry.memory_used_percent, entry.fullest_used_percent) if v is not None]
    return max(known, default=0.0) if alerts < 0 else max(alerts, *known)


def select(
    entries: Sequence[FleetEntry],
    search: str = "",
    tags: Sequence[str] = (),
    status: str = "all",
    sort: str = "attention",
    fired: Fired = NOTHING_FIRES,
) -> list[FleetEntry]:
    """Entries that match every word of `search` (name or tag), all `tags` and the status, in order."""
    words = search.casefold().split()
    chosen = [
        entry
        for entry in entries
        if _in_state(entry, status, fired)
        and set(tags) <= set(entry.tags)
        and all(any(word in text.casefold() for text in (entry.name, *entry.tags)) for word in words)
    ]
    # Attention in steps of state, so that cards do not change places with every reading.
    order = _ORDERS.get(sort) or (lambda entry: -_step(severity(entry, fired)))
    return sorted(chosen, key=lambda entry: (order(entry), entry.name.casefold(), entry.server_id))


def _in_state(entry: FleetEntry, status: str, fired: Fired) -> bool:
    if status == "attention":
        return severity(entry, fired) >= WARNING_PERCENT
    return status in ("all", "", entry.status)


_ORDERS: dict[str, Callable[[FleetEntry], float]] = {
    "cpu": lambda entry: _descending(entry.cpu_percent),
    "memory": lambda entry: _descending(entry.memory_used_percent),
    "disk": lambda entry: _descending(entry.fullest_used_percent),
    "name": lambda entry: 0.0,
}


def _descending(value: float | None) -> float:
    return 1.0 if value is None else -value


def _step(worst: float) -> float:
    return (
        3.0
        if worst >= 1000
        else 2.0
        if worst >= CRITICAL_PERCENT
        else 1.0
        if worst >= WARNING_PERCENT
        else min(worst, 0.0)
    )
