"""`cpu`: every core, and the sums over all cores that the host measurement shows."""

from collections.abc import Sequence
from typing import Any

import psutil

from chatops_agent.collectors.interface import Readings, Row, row
from chatops_agent.rates import Rates, share, total
from chatops_protocol.catalog import CPU

# The kernel lets these step back a little (proc(5)), which is no reset.
MAY_FALL = frozenset({"iowait", "steal", "idle"})
# `guest` is part of `user`, `guest_nice` of `nice`: not counted twice.
MODES = ("user", "nice", "system", "irq", "softirq", "idle", "iowait", "steal")


class CpuCollector:
    measurement = CPU

    def __init__(self) -> None:
        self._rates = Rates()
        self._cores: list[Readings] = []

    def collect(self, now: float) -> list[Row]:
        self._cores = []
        self._rates.start(now)
        self._cores = [self._seconds(core, times) for core, times in enumerate(psutil.cpu_times(percpu=True))]
        return [row(CPU, {"core": str(core)}, _core_readings(seconds)) for core, seconds in enumerate(self._cores)]

    def host_readings(self) -> Readings:
        """Of the same reading as the last `collect`."""
        seconds = {mode: total([core[mode] for core in self._cores]) for mode in (*MODES, "all")}
        return {
            "cpu_percent": _busy(seconds),
            "cpu_user_percent": share(total([seconds["user"], seconds["nice"]]), seconds["all"]),
            "cpu_system_percent": _system(seconds),
            "cpu_iowait_percent": share(seconds["iowait"], seconds["all"]),
            "cpu_steal_percent": share(seconds["steal"], seconds["all"]),
        }

    def _seconds(self, core: int, times: Any) -> Readings:
        """Seconds spent in each mode since the reading before; `all` is None when a counter was reset."""
        present = [mode for mode in MODES if hasattr(times, mode)]
        seconds: Readings = dict.fromkeys(MODES)
        for mode in present:
            seconds[mode] = self._rates.delta((core, mode), getattr(times, mode), may_fall=mode in MAY_FALL)
        seconds["all"] = _all([seconds[mode] for mode in present])
        return seconds


def _all(parts: Sequence[float | None]) -> float | None:
    return None if any(part is None for part in parts) else total(list(parts))


def _busy(seconds: Readings) -> float | None:
    idle = share(total([seconds["idle"], seconds["iowait"]]), seconds["all"])
    return None if idle is None else 100.0 - idle


def _system(seconds: Readings) -> float | None:
    return share(total([seconds["system"], seconds["irq"], seconds["softirq"]]), seconds["all"])


def _core_readings(seconds: Readings) -> Readings:
    return {
        "cpu_percent": _busy(seconds),
        "user_percent": share(total([seconds["user"], seconds["nice"]]), seconds["all"]),
        "system_percent": _system(seconds),
        "iowait_percent": share(seconds["iowait"], seconds["all"]),
    }
