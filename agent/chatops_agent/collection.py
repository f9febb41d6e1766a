"""One collection: runs every collector that is due and never fails. Called by the runner once per interval."""

import time
from collections.abc import Callable, Sequence

from chatops_agent.collectors.cpu import CpuCollector
from chatops_agent.collectors.disk import DiskCollector
from chatops_agent.collectors.filesystem import FilesystemCollector
from chatops_agent.collectors.host import HostCollector
from chatops_agent.collectors.interface import Collector, Row
from chatops_agent.collectors.network import NetworkCollector
from chatops_agent.collectors.process import ProcessCollector
from chatops_agent.counters import Counters
from chatops_protocol.agent_messages import Layout

Rows = dict[str, list[Row]]


class Collection:
    """`every[i]`: collector `i` runs in each such collection; also in the first two, so that it has rates early."""

    def __init__(
        self,
        collectors: list[tuple[Collector, int]],
        counters: Counters,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._collectors = collectors
        self._counters = counters
        self._monotonic = monotonic
        self._taken = 0
        self.running: str | None = None  # the collector at work, for whoever wonders why it takes so long

    @property
    def layout(self) -> Layout:
        """The columns of the rows this version makes."""
        return {c.measurement.name: list(c.measurement.columns) for c, _ in self._collectors}

    def collect(self) -> Rows:
        rows: Rows = {}
        for collector, every in self._collectors:
            if self._taken > 1 and self._taken % every:
                continue
            self.running = collector.measurement.name
            try:
                rows[collector.measurement.name] = collector.collect(self._monotonic())
            except Exception as error:  # a dead collector must not make a dead agent
                self._counters.collector_failed(collector.measurement.name, error)
        self.running = None
        self._taken += 1
        return rows


def standard_collection(
    counters: Counters, interval_s: float, process_interval_s: float, also: Sequence[Collector] = ()
) -> Collection:
    """All collectors of this package, in the order in which the host row can use the others' sums; `also` before it."""
    cpu, disk, network = CpuCollector(), DiskCollector(), NetworkCollector()
    per_process = max(1, round(process_interval_s / interval_s))
    return Collection(
        [
            (cpu, 1),
            (disk, 1),
            (network, 1),
            (FilesystemCollector(counters), 1),
            (ProcessCollector(), per_process),
            *((collector, 1) for collector in also),
            (HostCollector(counters, cpu, disk, network), 1),
        ],
        counters,
    )
