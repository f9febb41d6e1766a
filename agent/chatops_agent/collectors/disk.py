"""`disk`: every whole block device that is not memory or a file, and the sums over the physical ones."""

from pathlib import Path
from typing import NamedTuple

import psutil

from chatops_agent.collectors.interface import Readings, Row, row
from chatops_agent.rates import Rates, total
from chatops_protocol.catalog import DISK

NOT_DISKS = ("loop", "ram", "zram", "fd", "sr", "nbd")


class Kind(NamedTuple):
    """`shown`: gets a row. `physical`: counts towards the host's sums, unlike a partition, RAID or LVM volume on it."""

    shown: bool
    physical: bool


class DiskCollector:
    measurement = DISK

    def __init__(self, block_devices: Path = Path("/sys/block")) -> None:
        self._block_devices = block_devices
        self._kinds: dict[str, Kind] = {}
        self._rates = Rates()
        self._host: Readings = {}

    def collect(self, now: float) -> list[Row]:
        self._host = {}
        self._rates.start(now)
        devices = psutil.disk_io_counters(perdisk=True, nowrap=False) or {}
        self._kinds = {name: self._kinds.get(name) or kind_of(name, self._block_devices) for name in devices}
        readings = {name: self._readings(name, devices[name]) for name, kind in self._kinds.items() if kind.shown}
        physical = [readings[name] for name in readings if self._kinds[name].physical]
        self._host = {
            "disk_read_bytes_per_second": total([r["read_bytes_per_second"] for r in physical]),
            "disk_write_bytes_per_second": total([r["write_bytes_per_second"] for r in physical]),
        }
        return [row(DISK, {"device": name}, values) for name, values in readings.items()]

    def host_readings(self) -> Readings:
        """Of the same reading as the last `collect`."""
        return self._host

    def _readings(self, name: str, counters: object) -> Readings:
        def rate(counter: str) -> float | None:
            return self._rates.per_second((name, counter), getattr(counters, counter, None))

        busy_milliseconds = rate("busy_time")
        return {
            "read_bytes_per_second": rate("read_bytes"),
            "write_bytes_per_second": rate("write_bytes"),
            "reads_per_second": rate("read_count"),
            "writes_per_second": rate("write_count"),
            "busy_percent": None if busy_milliseconds is None else min(100.0, busy_milliseconds / 10),
        }


def kind_of(name: str, block_devices: Path) -> Kind:
    """`name` as the kernel's counters spell it. Where there is no sysfs, every device counts."""
    if name.rstrip("0123456789") in NOT_DISKS:
        return Kind(shown=False, physical=False)
    if not block_devices.is_dir():
        return Kind(shown=True, physical=True)
    device = block_devices / name.replace("/", "!")  # sysfs spells cciss/c0d0 this way
    # Whole devices are listed there, partitions are not; only hardware (real or a hypervisor's) has `device`.
    return Kind(shown=device.exists(), physical=(device / "device").exists())
