"""What a fleet's newest state means: what needs attention, which servers match, in which order. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from chatops_dashboards.fleet_hub import Spark
from chatops_dashboards.theme import CPU_LASTS_S, CRITICAL_PERCENT, WARNING_PERCENT, Level, level_of
from chatops_dashboards.units import format_percent
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
    """One thing that is wrong, where, and since when if that is known (Unix seconds)."""

    entry: FleetEntry
    level: Level
    text: str
    since: float | None = None


def problems_of(entries: Sequence[FleetEntry], sparks: Mapping[int, Spark], now: float) -> list[Problem]:
    """What needs attention, worst first: offline servers, then resources by how full they are."""
    found: list[tuple[float, Problem]] = []
    for entry in entries:
        if entry.status == "offline":
            found.append((1000.0, Problem(entry, "critical", "offline", entry.last_seen)))
            continue
        if entry.status != "online":
            continue
        busy_since = high_since(sparks.get(entry.server_id, ()))
        lasting = busy_since is not None and now - busy_since >= CPU_LASTS_S
        for name, value, since in (
            (f"disk {entry.fullest_mountpoint or ''}".strip(), entry.fullest_used_percent, None),
            ("memory", entry.memory_used_percent, None),
            ("CPU", entry.cpu_percent if lasting else None, busy_since),
        ):
            level = level_of(value)
            if level in ("warning", "critical") and value is not None:
                found.append((value, Problem(entry, level, f"{name} {format_percent(value)}", since)))
    return [problem for _, problem in sorted(found, key=lambda pair: -pair[0])]


def high_since(spark: Iterable[tuple[float, float | None]]) -> float | None:
    """Since when the newest readings have all been high; None when the newest is not."""
    since = None
    for time, value in spark:
        if value is None or value < WARNING_PERCENT:
            since = None
        elif since is None:
            since = time
    return since


def severity(entry: FleetEntry) -> float:
    """A number to sort by: offline, then the fullest resource, then those that never reported."""
    if entry.status == "offline":
        return 1000.0
    if entry.status == "never":
        return -1.0
    return max(
        (v for v in (entry.memory_used_percent, entry.fullest_used_percent) if v is not None),
        default=0.0,
    )


def select(
    entries: Sequence[FleetEntry],
    search: str = "",
    tags: Sequence[str] = (),
    status: str = "all",
    sort: str = "attention",
) -> list[FleetEntry]:
    """Entries that match every word of `search` (name or tag), all `tags` and the status, in order."""
    words = search.casefold().split()
    chosen = [
        entry
        for entry in entries
        if (
            status in ("all", "")
            or entry.status == status
            or (status == "attention" and severity(entry) >= WARNING_PERCENT)
        )
        and set(tags) <= set(entry.tags)
        and all(any(word in text.casefold() for text in (entry.name, *entry.tags)) for word in words)
    ]
    order = _ORDERS.get(sort, _by_attention)
    return sorted(chosen, key=lambda entry: (order(entry), entry.name.casefold(), entry.server_id))


def _in_state(entry: FleetEntry, status: str) -> bool:
    return status in ("all", entry.status) or (status == "attention" and severity(entry) >= WARNING_PERCENT)


def _by_attention(entry: FleetEntry) -> float:
    # In steps of state, so that cards do not change places with every reading.
    return -_step(entry)


_ORDERS: dict[str, Callable[[FleetEntry], float]] = {
    "cpu": lambda entry: _descending(entry.cpu_percent),
    "memory": lambda entry: _descending(entry.memory_used_percent),
    "disk": lambda entry: _descending(entry.fullest_used_percent),
    "name": lambda entry: 0.0,
}


def _descending(value: float | None) -> float:
    return 1.0 if value is None else -value


def _step(entry: FleetEntry) -> float:
    worst = severity(entry)
    return (
        3.0
        if worst >= 1000
        else 2.0
        if worst >= CRITICAL_PERCENT
        else 1.0
        if worst >= WARNING_PERCENT
        else min(worst, 0.0)
    )
