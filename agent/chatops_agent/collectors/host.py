"""`host`: the machine as a whole and the agent's view of itself, in one row put together from parts that fail alone."""

import os
import time
from collections.abc import Callable

import psutil

from chatops_agent.collectors.cpu import CpuCollector
from chatops_agent.collectors.disk import DiskCollector
from chatops_agent.collectors.interface import Readings, Row, row
from chatops_agent.collectors.network import NetworkCollector
from chatops_agent.collectors.pressure import Pressure
from chatops_agent.collectors.temperature import Temperature
from chatops_agent.counters import Counters
from chatops_agent.rates import Rates, share
from chatops_protocol.catalog import HOST

Part = Callable[[float], Readings]


class HostCollector:
    """Runs after the cpu, disk and network collectors, whose sums it shows."""

    measurement = HOST

    def __init__(self, counters: Counters, cpu: CpuCollector, disk: DiskCollector, network: NetworkCollector) -> None:
        self._counters = counters
        pressure = Pressure()
        self.parts: dict[str, Part] = {
            "cpu of the host": lambda now: cpu.host_readings(),
            "load": lambda now: read_load(),
            "memory": lambda now: read_memory(),
            "swap": lambda now: read_swap(),
            "disks of the host": lambda now: disk.host_readings(),
            "networks of the host": lambda now: network.host_readings(),
            "pressure": lambda now: pressure.read(),
            "temperature": Temperature().read,
            "uptime": lambda now: read_uptime(),
            "number of processes": lambda now: {"process_count": len(psutil.pids())},
            "agent": AgentItself(counters).read,
        }

    def collect(self, now: float) -> list[Row]:
        readings: Readings = {}
        for name, part in self.parts.items():
            try:
                readings.update(part(now))
            except Exception as error:  # one part must not cost the others
                self._counters.collector_failed(name, error)
        return [row(HOST, {}, readings)]


def read_load() -> Readings:
    one, five, fifteen = os.getloadavg()
    return {"load_1m": one, "load_5m": five, "load_15m": fifteen}


def read_memory() -> Readings:
    memory = psutil.virtual_memory()
    used = memory.total - memory.available
    return {
        "memory_total_bytes": memory.total,
        "memory_used_bytes": used,
        "memory_available_bytes": memory.available,
        "memory_cached_bytes": memory.cached + memory.buffers if hasattr(memory, "cached") else None,
        "memory_used_percent": share(used, memory.total),
    }


def read_swap() -> Readings:
    swap = psutil.swap_memory()
    return {
        "swap_total_bytes": swap.total,
        "swap_used_bytes": swap.used,
        "swap_used_percent": share(swap.used, swap.total),
    }


def read_uptime() -> Readings:
    """Not from the wall clock where there is something better: that one steps."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return {"uptime_seconds": time.clock_gettime(time.CLOCK_BOOTTIME)}
    return {"uptime_seconds": time.time() - psutil.boot_time()}


class AgentItself:
    """What the agent costs and how far behind it is."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._rates = Rates()
        self._process = psutil.Process()

    def read(self, now: float) -> Readings:
        self._rates.start(now)
        seconds_per_second = self._rates.per_second("cpu", time.process_time())
        return {
            "agent_cpu_percent": None if seconds_per_second is None else 100 * seconds_per_second,
            "agent_memory_bytes": self._process.memory_info().rss,
            "agent_spool_frames": self._counters.spool_frames,
            "agent_spool_bytes": self._counters.spool_bytes,
            "agent_dropped_frames": self._counters.dropped_frames,
            "agent_collector_errors": self._counters.collector_errors,
            "agent_reconnects": self._counters.connections,
        }
