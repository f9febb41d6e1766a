"""Reads time and level off a log line, as far as it says. Pure; what it does not know it leaves open.

Known: syslog (RFC 5424 and 3164, with or without priority), ISO times, nginx and Apache, Python's logging, glog, JSON
and logfmt lines. Only the beginning of a line is looked at.
"""

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, NamedTuple

from msgspec import DecodeError, json

from chatops_protocol.log_lines import Level

LOOKED_AT = 400
# A time outside of this is not believed: clocks and formats are wrong more often than lines are that old.
OLDEST_S = 30 * 86_400.0
NEWEST_S = 300.0

SYSLOG_LEVELS: tuple[Level, ...] = ("critical", "critical", "critical", "error", "warning", "notice", "info", "debug")
_WORDS: dict[str, Level] = {
    **dict.fromkeys(("trace", "debug", "dbg", "verbose", "finest", "finer", "fine"), "debug"),
    **dict.fromkeys(("info", "information", "inf"), "info"),
    "notice": "notice",
    **dict.fromkeys(("warning", "warn", "wrn"), "warning"),
    **dict.fromkeys(("error", "err", "eror", "severe"), "error"),
    **dict.fromkeys(("critical", "crit", "fatal", "panic", "alert", "emerg", "emergency"), "critical"),
}
_GLOG: dict[str, Level] = {"D": "debug", "I": "info", "W": "warning", "E": "error", "F": "critical"}
# What bunyan and pino number: 10 trace to 60 fatal.
_NUMBERED: tuple[tuple[float, Level], ...] = (
    (20, "debug"),
    (30, "info"),
    (40, "warning"),
    (50, "error"),
    (60, "critical"),
)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_ANSI = re.compile(r"\x1b\[[0-9;:]{0,20}[A-Za-z]")
_PRIORITY = re.compile(r"<(\d{1,3})>(?:1 )?")
_ISO = re.compile(
    r"(\d{4})[-/](\d\d)[-/](\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?(?: ?(Z|UTC|[+-]\d\d:?\d\d)(?![\d:]))?"
)
_SYSLOG = re.compile(r"(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) ([ \d]\d) (\d\d):(\d\d):(\d\d)")
_ACCESS = re.compile(
    r"\S{1,100} \S{1,100} [^\[\]]{1,100} \[(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d):(\d\d):(\d\d) ([+-]\d{4})\]"
)
_STATUS = re.compile(r'" ([1-5])\d\d (?:\d+|-)')
_GLOG_LINE = re.compile(r"([DIWEF])(\d\d)(\d\d) (\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))? +\d+ ")
_NAMED = re.compile(r"""(?:^|[\s,{])"?(?:level|lvl|severity|loglevel)"?[=:] ?"?([A-Za-z]{3,11})\b""", re.IGNORECASE)
_BRACKETED = re.compile(r"\[(?:[\w.-]{1,40}:)?([A-Za-z]{3,11})\]|<([A-Za-z]{3,11})>")
# Bare words count in capitals only, or before a colon: "no error" is no error.
_BARE = re.compile(r"(?<![\w/.-])([A-Z]{3,11})(?![\w/.-])|(?:^|\s)([A-Za-z]{4,9})(?=: )")


class Parsed(NamedTuple):
    """`time` in Unix seconds. None: the line does not say, or nothing credible."""

    time: float | None
    level: Level | None


def parse(line: str, now: float) -> Parsed:
    text = line[:LOOKED_AT]
    if "\x1b" in text:
        text = _ANSI.sub("", text)
    text = text.lstrip()
    if text.startswith("{"):
        return _of_json(line, now)
    level: Level | None = None
    priority = _PRIORITY.match(text)
    if priority is not None and int(priority[1]) < 192:
        level = SYSLOG_LEVELS[int(priority[1]) & 7]
        text = text[priority.end() :]
    access = _ACCESS.match(text)
    if access is not None:
        return Parsed(_credible(_of_access(access), now), _of_status(text))
    glog = _GLOG_LINE.match(text)
    if glog is not None:
        return Parsed(_credible(_of_glog(glog, now), now), _GLOG[glog[1]])
    # A time that begins further back is what the message tells of.
    iso = _ISO.search(text, 0, 80)
    if iso is not None:
        return Parsed(_credible(_of_iso(iso), now), level or _level_in(text))
    syslog = _SYSLOG.match(text)
    if syslog is not None:
        return Parsed(_credible(_of_syslog(syslog, now), now), level or _level_in(text))
    return Parsed(None, level or _level_in(text))


def level_of(word: str) -> Level | None:
    return _WORDS.get(word.lower())


def _level_in(text: str) -> Level | None:
    for pattern in (_NAMED, _BRACKETED, _BARE):
        for match in pattern.finditer(text):
            level = _WORDS.get(match[match.lastindex or 1].lower())
            if level is not None:
                return level
    return None


def _of_status(text: str) -> Level | None:
    status = _STATUS.search(text)
    if status is None:
        return None
    return "error" if status[1] == "5" else "warning" if status[1] == "4" else "info"


def _of_json(line: str, now: float) -> Parsed:
    try:
        decoded = json.decode(line)
    except (DecodeError, RecursionError):
        return Parsed(None, _level_in(line[:LOOKED_AT]))
    if not isinstance(decoded, dict):
        return Parsed(None, None)
    time = next((decoded[k] for k in ("time", "timestamp", "ts", "@timestamp", "t", "datetime") if k in decoded), None)
    log = decoded.get("log")
    level = next(
        (decoded[k] for k in ("level", "severity", "levelname", "lvl", "log.level", "loglevel", "s") if k in decoded),
        log.get("level") if isinstance(log, dict) else None,
    )
    return Parsed(_credible(_json_time(time), now), _json_level(level))


def _json_time(value: Any) -> float | None:
    if isinstance(value, dict):  # MongoDB
        value = value.get("$date")
    if isinstance(value, str):
        match = _ISO.match(value)
        return _of_iso(match) if match is not None else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # Seconds, milli-, micro- or nanoseconds: they differ by a thousand.
    for scale in (1.0, 1e3, 1e6, 1e9):
        if abs(value) < 1e11 * scale:
            return value / scale
    return None


def _json_level(value: Any) -> Level | None:
    if isinstance(value, str):
        return _WORDS.get(value.lower()) or {"i": "info", "w": "warning", "e": "error", "f": "critical"}.get(  # type: ignore[return-value]
            value.lower()
        )
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return next((level for number, level in _NUMBERED if value <= number), None)


def _credible(time: float | None, now: float) -> float | None:
    return time if time is not None and -OLDEST_S <= time - now <= NEWEST_S else None


def _of_iso(match: re.Match[str]) -> float | None:
    zone = match[8]
    return _moment(*(int(match[n]) for n in range(1, 7)), fraction=match[7], zone=zone)


def _of_access(match: re.Match[str]) -> float | None:
    if match[2] not in _MONTHS:
        return None
    numbers = (int(match[3]), _MONTHS.index(match[2]) + 1, int(match[1]), int(match[4]), int(match[5]), int(match[6]))
    return _moment(*numbers, zone=match[7])


def _of_syslog(match: re.Match[str], now: float) -> float | None:
    return _in_the_last_year(_MONTHS.index(match[1]) + 1, [int(match[n]) for n in range(2, 6)], None, now)


def _of_glog(match: re.Match[str], now: float) -> float | None:
    return _in_the_last_year(int(match[2]), [int(match[n]) for n in range(3, 7)], match[7], now)


def _in_the_last_year(month: int, rest: list[int], fraction: str | None, now: float) -> float | None:
    """The year is not said: the one in which it lies in the past, give or take a day."""
    year = datetime.fromtimestamp(now + 86_400).year  # noqa: DTZ006 - such lines are in the host's own zone
    moment = _moment(year, month, *rest, fraction=fraction)
    return _moment(year - 1, month, *rest, fraction=fraction) if moment is None or moment > now + 86_400 else moment


def _moment(
    year: int, month: int, day: int, hour: int, minute: int, second: int, *, fraction: str | None = None,
    zone: str | None = None,
) -> float | None:  # fmt: skip
    """Without a zone the host's own."""
    try:
        moment = datetime(  # noqa: DTZ001 - without a zone it is the host's
            year, month, day, hour, minute, min(second, 59), int((fraction or "0")[:6].ljust(6, "0"))
        )
        if zone is not None:
            moment = moment.replace(tzinfo=_zone(zone))
        return moment.timestamp()
    except (ValueError, OverflowError, OSError):
        return None


def _zone(text: str) -> timezone:
    if text in ("Z", "UTC"):
        return UTC
    sign = -1 if text[0] == "-" else 1
    return timezone(sign * timedelta(hours=int(text[1:3]), minutes=int(text[-2:])))
