"""The engine's counters of one container, as readings of the catalogue. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from chatops_agent.collectors.interface import Readings
from chatops_agent.rates import Rates, share

NANOSECONDS = 1e9


def readings_of(statistics: Mapping[str, Any], rates: Rates, now: float) -> Readings:
    """`rates` are this container's own, `now` is when the counters were read."""
    rates.start(now)
    cpu = rates.per_second("cpu", _number(statistics, "cpu_stats", "cpu_usage", "total_usage"))
    memory = statistics.get("memory_stats") or {}
    used, limit = _memory_used(memory), _number(memory, "limit")
    interfaces = list((statistics.get("networks") or {}).values())
    read, written = _disk_bytes(statistics)
    return {
        "cpu_percent": None if cpu is None else cpu / NANOSECONDS * 100,
        "memory_used_bytes": used,
        "memory_limit_bytes": limit,
        "memory_used_percent": share(used, limit),
        "network_receive_bytes_per_second": rates.per_second("received", _sum(interfaces, "rx_bytes")),
        "network_transmit_bytes_per_second": rates.per_second("sent", _sum(interfaces, "tx_bytes")),
        "disk_read_bytes_per_second": rates.per_second("read", read),
        "disk_write_bytes_per_second": rates.per_second("written", written),
        "process_count": _number(statistics, "pids_stats", "current"),
    }


def _memory_used(memory: Mapping[str, Any]) -> float | None:
    """Without the page cache that would be given back at once, as `docker stats` counts."""
    usage = _number(memory, "usage")
    details = memory.get("stats") or {}
    cache = _number(details, "total_inactive_file" if "total_inactive_file" in details else "inactive_file") or 0.0
    return usage - cache if usage is not None and cache < usage else usage


def _disk_bytes(statistics: Mapping[str, Any]) -> tuple[float | None, float | None]:
    entries = (statistics.get("blkio_stats") or {}).get("io_service_bytes_recursive")
    if entries is None:
        return None, None  # the kernel does not count it; an empty list means that there was none
    sums = {"read": 0.0, "write": 0.0}
    for entry in entries:
        operation = str(entry.get("op")).lower()
        if operation in sums:
            sums[operation] += entry.get("value") or 0
    return sums["read"], sums["write"]


def _sum(interfaces: Iterable[Mapping[str, Any]], name: str) -> float | None:
    values = [_number(interface, name) for interface in interfaces]
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _number(found: Any, *path: str) -> float | None:
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return float(found) if isinstance(found, int | float) else None
