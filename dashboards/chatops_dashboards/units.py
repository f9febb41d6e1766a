"""Numbers for people: values in the catalogue's base units become short text. Pure."""

import math
from dataclasses import dataclass

UNKNOWN = "–"
BINARY = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
DECIMAL = ("B/s", "kB/s", "MB/s", "GB/s", "TB/s")


@dataclass(frozen=True)
class Scale:
    """How an axis shows a unit: divide by `divisor`, then append `suffix`."""

    divisor: float
    suffix: str


def format_value(value: float | None, unit: str) -> str:
    """A value of the catalogue as text; an unknown one is a dash, never zero."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    if unit == "bytes":
        return _prefixed(value, 1024.0, BINARY)
    if unit == "bytes_per_second":
        return _prefixed(value, 1000.0, DECIMAL)
    if unit == "seconds":
        return format_duration(value)
    suffix = {"percent": " %", "per_second": "/s", "celsius": " °C"}.get(unit, "")
    return f"{_short(value)}{suffix}" if unit != "count" else f"{value:,.0f}".replace(",", "\u202f")


def format_percent(value: float | None) -> str:
    """One decimal below ten, none above: a card has no room for more."""
    return UNKNOWN if value is None else f"{value:.1f} %" if value < 9.95 else f"{value:.0f} %"


def format_duration(seconds: float) -> str:
    """The two largest parts: ``3 d 4 h``, ``12 min``, ``8 s``."""
    left = max(0, round(seconds))
    parts: list[str] = []
    for size, name in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        count, left = divmod(left, size)
        if count or (parts and len(parts) == 1):
            parts.append(f"{count} {name}" if count else "")
        if len(parts) == 2:
            break
    return " ".join(part for part in parts if part) or "0 s"


def scale_for(unit: str, largest: float | None) -> Scale:
    """The scale of an axis whose values go up to `largest`."""
    if unit == "bytes":
        return _axis_scale(largest, 1024.0, BINARY)
    if unit == "bytes_per_second":
        return _axis_scale(largest, 1000.0, DECIMAL)
    if unit == "seconds":
        size = largest or 0.0
        return next(
            (Scale(d, s) for d, s in ((86400.0, " d"), (3600.0, " h"), (60.0, " min")) if size >= 2 * d),
            Scale(1.0, " s"),
        )
    return Scale(1.0, {"percent": " %", "per_second": " /s", "celsius": " °C"}.get(unit, ""))


def _axis_scale(largest: float | None, step: float, names: tuple[str, ...]) -> Scale:
    size, index = largest or 0.0, 0
    while size >= step and index < len(names) - 1:
        size, index = size / step, index + 1
    return Scale(step**index, f" {names[index]}")


def _prefixed(value: float, step: float, names: tuple[str, ...]) -> str:
    index = 0
    while abs(value) >= step - 0.5 and index < len(names) - 1:
        value, index = value / step, index + 1
    return f"{value:.0f} {names[0]}" if index == 0 else f"{_short(value)} {names[index]}"


def _short(value: float) -> str:
    if value == 0:
        return "0"
    return f"{value:.2f}" if abs(value) < 0.995 else f"{value:.1f}" if abs(value) < 99.95 else f"{value:.0f}"
