"""Times for people: in their zone, absolute and relative. The zone comes from the browser; the clock is passed in."""

from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from chatops_dashboards.units import format_duration

ZONE_COOKIE = "chatops_zone"


def zone_named(name: str | None) -> tzinfo:
    """The zone of that name, or UTC when it is missing, misspelt or unknown to this machine."""
    if not name or len(name) > 64:
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC


def zone_label(zone: tzinfo, now: datetime) -> str:
    """``Europe/Berlin (UTC+01:00)``, or ``UTC``."""
    name = getattr(zone, "key", None)
    if name is None or name == "UTC":
        return "UTC"
    offset = now.astimezone(zone).strftime("%z")
    return f"{name} (UTC{offset[:3]}:{offset[3:5]})"


def from_unix(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def on_axis(moment: datetime, zone: tzinfo) -> str:
    """What a Plotly date axis takes: it knows no zones, so the local time goes in without one."""
    return moment.astimezone(zone).replace(tzinfo=None).isoformat(timespec="milliseconds")


def from_axis(text: str, zone: tzinfo) -> datetime:
    """Back from a Plotly date axis. Raises `ValueError` for what is no date."""
    return datetime.fromisoformat(text.replace(" ", "T")[:26]).replace(tzinfo=zone).astimezone(UTC)


def absolute(moment: datetime, zone: tzinfo) -> str:
    return moment.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S %Z").strip()


def since_text(moment: datetime, now: datetime, zone: tzinfo) -> str:
    """The time of day, with the date when it was not today."""
    local = moment.astimezone(zone)
    return local.strftime("%H:%M" if local.date() == now.astimezone(zone).date() else "%Y-%m-%d %H:%M")


def relative(moment: datetime, now: datetime) -> str:
    """``just now``, ``12 min ago``."""
    seconds = (now - moment).total_seconds()
    return "just now" if seconds < 5 else f"{format_duration(seconds)} ago"
