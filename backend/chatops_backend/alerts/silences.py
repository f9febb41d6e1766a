"""Whether a silence covers an alert at a moment. Pure; the outbox asks. The SQL of silences is read here as well.

A recurring silence is the same span of local time every day or week, from its first on. When clocks are changed on an
edge of the span, that day's is longer rather than shorter: it starts at the earlier and ends at the later reading.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

import msgspec

from chatops_backend.database.interface import Executor
from chatops_backend.database.queries import load_queries
from chatops_protocol.alert_resources import Silence

PERIODS = {"daily": timedelta(days=1), "weekly": timedelta(weeks=1)}


def silenced(silence: Silence, at: datetime, threshold_id: int, server_id: int, tags: Sequence[str]) -> bool:
    """Whether `silence` covers this rule on this server at `at` (aware). What it does not name it does not ask for."""
    if silence.threshold_id is None and silence.server_id is None and silence.tag is None:
        return False
    return (
        silence.threshold_id in (None, threshold_id)
        and silence.server_id in (None, server_id)
        and (silence.tag is None or silence.tag in tags)
        and is_active(silence, at)
    )


def is_active(silence: Silence, at: datetime) -> bool:
    if silence.recurrence == "none":
        return silence.starts_at <= at < silence.ends_at
    zone = ZoneInfo(silence.timezone)
    period = PERIODS[silence.recurrence]
    start, end = (moment.astimezone(zone).replace(tzinfo=None) for moment in (silence.starts_at, silence.ends_at))
    passed = (at.astimezone(zone).replace(tzinfo=None) - start) // period
    # The clock may have been changed between, which moves a moment into the neighbouring period.
    return any(
        _readings(start + number * period, zone)[0] <= at < _readings(end + number * period, zone)[1]
        for number in range(max(0, passed - 1), passed + 2)
    )


def reason_to_refuse(silence: Silence) -> tuple[str, str] | None:
    """The field at fault and what to do; None for a silence that makes sense."""
    if silence.threshold_id is None and silence.server_id is None and silence.tag is None:
        return "threshold_id", "name a rule, a server or a tag; a silence of nothing silences nothing"
    if silence.timezone not in _zones():
        return "timezone", f"{silence.timezone!r} is no time zone; write one such as Europe/Berlin or UTC"
    if not 1970 < silence.starts_at.year < 9000 or not 1970 < silence.ends_at.year < 9000:
        return "starts_at", "choose years between 1971 and 8999"
    if silence.ends_at <= silence.starts_at:
        return "ends_at", "must be later than `starts_at`"
    longest = PERIODS.get(silence.recurrence)
    if longest is not None and silence.ends_at - silence.starts_at > longest:
        return "ends_at", f"a {silence.recurrence} silence lasts {longest.days} days at most"
    return None


async def read_silences(executor: Executor) -> list[Silence]:
    rows = load_queries("notifications").list_all_silences(executor)
    return [msgspec.json.decode(row["definition"], type=Silence) async for row in rows]


def _readings(local: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The earliest and the latest moment that a local time can mean: two when clocks are put back or forward there."""
    moments = [local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)]
    return min(moments), max(moments)


@lru_cache(maxsize=1)
def _zones() -> set[str]:
    return available_timezones()
