"""Numbers and times as the sentences of analyses say them. Pure."""

from datetime import UTC, datetime

_PREFIXED = {
    "bytes": (1024.0, ("B", "KiB", "MiB", "GiB", "TiB", "PiB")),
    "bytes_per_second": (1000.0, ("B/s", "kB/s", "MB/s", "GB/s")),
}
_SUFFIXES = {"percent": " %", "per_second": " per second", "celsius": " °C", "seconds": " s"}


def value_in_words(value: float, unit: str) -> str:
    """Three digits and the unit: ``81.3 %``, ``12.4 GiB``."""
    if unit in _PREFIXED:
        base, names = _PREFIXED[unit]
        place = 0
        while abs(value) >= base and place < len(names) - 1:
            value, place = value / base, place + 1
        return f"{_digits(value)} {names[place]}"
    return f"{_digits(value)}{_SUFFIXES.get(unit, '')}"


def change_in_words(value: float, unit: str) -> str:
    """With its sign; the difference of two percentages is in points."""
    if unit == "percent":
        return f"{'+' if value >= 0 else '−'}{_digits(abs(value))} points"
    return f"{'+' if value >= 0 else '−'}{value_in_words(abs(value), unit)}"


def day_in_words(moment: datetime) -> str:
    return f"{moment.day} {moment:%B %Y}"


def at(seconds: float) -> datetime:
    """Unix seconds as a time."""
    return datetime.fromtimestamp(seconds, UTC)


def _digits(value: float) -> str:
    whole = f"{value:.3g}"
    return f"{value:.0f}" if "e" in whole else whole
