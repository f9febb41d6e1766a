"""Numbers and durations as people type them: text in, base units of the catalogue out, and exactly back. Pure."""

import math
import re

from chatops_dashboards.units import BINARY, DECIMAL

_NUMBER = re.compile(r"^\s*([+-]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:e[+-]?\d+)?)\s*([^\d\s][^\d]*)?\s*$", re.IGNORECASE)
_PART = re.compile(r"(\d+(?:[.,]\d+)?)\s*([a-z]*)", re.IGNORECASE)
_SECONDS = {
    **dict.fromkeys(("", "s", "sec", "second", "seconds"), 1.0),
    **dict.fromkeys(("m", "min", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86400.0),
    **dict.fromkeys(("w", "week", "weeks"), 604800.0),
}
_PREFIXES = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
_SYMBOLS = {"percent": "%", "celsius": "°c", "per_second": "/s"}
_EXAMPLES = {"bytes": "4 GiB", "bytes_per_second": "20 MB/s", "seconds": "10 min", "percent": "90"}


def parse_quantity(text: str, unit: str) -> float:
    """A number with or without its unit, in base units. Raises `ValueError` with what to write instead."""
    if unit == "seconds" and not text.strip().startswith("-"):
        return parse_duration(text)
    found = _NUMBER.match(text)
    if found is None:
        raise ValueError(f"Write a number, for example {_EXAMPLES.get(unit, '5')}.")
    number = float(found[1].replace(",", "."))
    factor = _factor((found[2] or "").strip().lower(), unit)
    if factor is None:
        raise ValueError(f"“{(found[2] or '').strip()[:20]}” is no unit of this; write {_EXAMPLES.get(unit, '5')}.")
    value = number * factor
    if not math.isfinite(value):
        raise ValueError("That number is too large.")
    return value


def write_quantity(value: float | None, unit: str) -> str:
    """The shortest text that `parse_quantity` reads back, in a handy size; nothing for None."""
    if value is None:
        return ""
    if unit == "seconds" and value >= 0:
        return write_duration(value)
    if unit == "bytes":
        return _sized(value, 1024.0, BINARY)
    if unit == "bytes_per_second":
        return _sized(value, 1000.0, DECIMAL)
    return f"{value:.10g}"


def parse_duration(text: str) -> float:
    """``5 min``, ``1h 30m``, ``90``: seconds. Raises `ValueError` with what to write instead."""
    parts = _PART.findall(text)
    rest = _PART.sub("", text).strip()
    if not parts or rest or any(name.lower() not in _SECONDS for _, name in parts):
        raise ValueError("Write a duration such as 90 s, 5 min, 1 h 30 min or 7 d.")
    return sum(float(number.replace(",", ".")) * _SECONDS[name.lower()] for number, name in parts)


def write_duration(seconds: float | None) -> str:
    """Every part that is not zero; nothing for None."""
    if seconds is None:
        return ""
    left, parts = seconds, []
    for size, name in ((86400, "d"), (3600, "h"), (60, "min")):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count:.12g} {name}")
    if left or not parts:
        parts.append(f"{left:.12g} s")
    return " ".join(parts)


def _factor(suffix: str, unit: str) -> float | None:
    if not suffix or suffix == _SYMBOLS.get(unit):
        return 1.0
    bare = suffix.removesuffix("/s") if unit == "bytes_per_second" else suffix
    if unit not in ("bytes", "bytes_per_second"):
        return None
    prefix, step = bare.removesuffix("b"), 1000.0
    if prefix.endswith("i"):
        prefix, step = prefix[:-1], 1024.0
    power = _PREFIXES.get(prefix)
    return None if power is None else step**power


def _sized(value: float, step: float, names: tuple[str, ...]) -> str:
    index = 0
    while abs(value) >= step and index < len(names) - 1:
        value, index = value / step, index + 1
    return f"{value:.10g} {names[index]}"
