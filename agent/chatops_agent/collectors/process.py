"""`process`: processes summed by name and user, the top by CPU and by memory. Runs at its own, longer interval."""

import heapq
import sys
from typing import NamedTuple

import psutil

from chatops_agent.collectors.interface import Row, row
from chatops_agent.collectors.process_table import ProcessReading, ProcessTable, read_with_psutil
from chatops_agent.rates import Rates, share
from chatops_protocol.catalog import PROCESS

TOP = 15


class Group(NamedTuple):
    name: str
    user: str
    cpu_percent: float | None
    resident_bytes: int
    processes: int
    threads: int


class ProcessCollector:
    measurement = PROCESS

    def __init__(self) -> None:
        self._rates = Rates()
        self._read = ProcessTable().read if sys.platform == "linux" else read_with_psutil
        self._memory = psutil.virtual_memory().total
        self._seen_before = False

    def collect(self, now: float) -> list[Row]:
        readings = self._read()
        self._rates.start(now)
        groups = list(self._sum(readings))
        self._seen_before = True
        return [row(PROCESS, {"name": group.name, "user": group.user}, self._values(group)) for group in top(groups)]

    def _sum(self, readings: list[ProcessReading]) -> list[Group]:
        sums: dict[tuple[str, str], Group] = {}
        for reading in readings:
            key = (reading.pid, reading.started)
            if self._seen_before:  # the list before was complete, so this process is younger than it
                self._rates.begin_at_zero(key)
            cpu = self._rates.per_second(key, reading.cpu_seconds)
            before = sums.get((reading.name, reading.user)) or Group(reading.name, reading.user, None, 0, 0, 0)
            sums[reading.name, reading.user] = Group(
                reading.name,
                reading.user,
                before.cpu_percent if cpu is None else (before.cpu_percent or 0.0) + 100 * cpu,
                before.resident_bytes + reading.resident_bytes,
                before.processes + 1,
                before.threads + reading.threads,
            )
        return list(sums.values())

    def _values(self, group: Group) -> dict[str, float | None]:
        return {
            "cpu_percent": group.cpu_percent,
            "memory_resident_bytes": group.resident_bytes,
            "memory_percent": share(group.resident_bytes, self._memory),
            "process_count": group.processes,
            "thread_count": group.threads,
        }


def top(groups: list[Group]) -> list[Group]:
    """The union of the top by CPU and the top by memory; kernel threads and what is idle have none of one."""
    by_cpu = heapq.nlargest(
        TOP, [group for group in groups if group.cpu_percent], key=lambda group: group.cpu_percent or 0
    )
    by_memory = heapq.nlargest(
        TOP, [group for group in groups if group.resident_bytes], key=lambda group: group.resident_bytes
    )
    return list(dict.fromkeys([*by_cpu, *by_memory]))
