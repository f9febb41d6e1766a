"""Pressure-stall information of Linux, a part of the host measurement: how long tasks waited for what is scarce."""

import errno
from pathlib import Path

from chatops_agent.collectors.interface import Readings

WANTED = (("cpu", "some"), ("memory", "some"), ("memory", "full"), ("io", "some"), ("io", "full"))


class Pressure:
    def __init__(self, directory: Path = Path("/proc/pressure")) -> None:
        self._directory = directory

    def read(self) -> Readings:
        """10 s averages in percent; nothing where the kernel has none (before 4.20, or `psi=0`)."""
        averages = {resource: self._averages(resource) for resource in ("cpu", "memory", "io")}
        return {f"pressure_{resource}_{scope}_percent": averages[resource].get(scope) for resource, scope in WANTED}

    def _averages(self, resource: str) -> dict[str, float]:
        try:
            with open(self._directory / resource) as file:  # noqa: PTH123 – read every interval; Path.open costs more
                lines = file.read().splitlines()
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.EOPNOTSUPP, errno.EINVAL):
                return {}
            raise
        # some avg10=0.12 avg60=0.05 avg300=0.01 total=123456
        return {line.split(" ", 1)[0]: float(line.split("avg10=")[1].split(" ", 1)[0]) for line in lines}
