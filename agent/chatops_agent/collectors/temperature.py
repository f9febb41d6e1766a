"""The temperature of the host measurement: the hottest sensor of the processor, else of the machine."""

from pathlib import Path

from chatops_agent.collectors.interface import Readings

PROCESSOR_CHIPS = frozenset({"coretemp", "k10temp", "zenpower", "cpu_thermal", "cpu", "soc_thermal", "cpu_temp"})
PROCESSOR_ZONES = ("x86_pkg_temp", "cpu", "soc")
LOOK_AGAIN_S = 600.0
PLAUSIBLE_CELSIUS = (-50.0, 150.0)


class Temperature:
    """Looks for sensors now and then (drivers load late), and reads only the ones it needs: some take milliseconds."""

    def __init__(self, sysfs: Path = Path("/sys/class")) -> None:
        self._sysfs = sysfs
        self._sensors: list[Path] = []
        self._looked_at: float | None = None

    def read(self, now: float) -> Readings:
        if self._looked_at is None or now - self._looked_at >= LOOK_AGAIN_S:
            self._sensors = find_sensors(self._sysfs)
            self._looked_at = now
        known = [celsius for sensor in self._sensors if (celsius := _celsius(sensor)) is not None]
        return {"temperature_celsius": max(known) if known else None}


def find_sensors(sysfs: Path) -> list[Path]:
    chips = [(path, _content(path.parent / "name")) for path in sysfs.glob("hwmon/hwmon*/temp*_input")]
    zones = [(path, _content(path.parent / "type")) for path in sysfs.glob("thermal/thermal_zone*/temp")]
    processor = [path for path, name in chips if name in PROCESSOR_CHIPS]
    processor = processor or [path for path, name in zones if name.startswith(PROCESSOR_ZONES)]
    return processor or [path for path, _ in chips] or [path for path, _ in zones]


def _celsius(sensor: Path) -> float | None:
    """None for a sensor that is gone, asleep or talks nonsense, as many do."""
    try:
        celsius = int(_content(sensor)) / 1000
    except ValueError:
        return None
    return celsius if PLAUSIBLE_CELSIUS[0] < celsius < PLAUSIBLE_CELSIUS[1] else None


def _content(path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""
