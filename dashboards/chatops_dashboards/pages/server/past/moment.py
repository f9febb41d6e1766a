"""The moment of the past that a server's page shows: how the address and people write it, and how far around it one has
to look for what is stored of that age. Pure; the clock's time is passed in."""

from datetime import UTC, datetime, timedelta, tzinfo
from typing import NamedTuple

from chatops_dashboards.moments import from_axis

# Nothing is stored from before it, and a moment so far back is a slip.
OLDEST = datetime(2000, 1, 2, tzinfo=UTC)


class Span(NamedTuple):
    """How much of the past the slider covers, and how far one step goes."""

    word: str
    length: timedelta
    step: timedelta


SPANS = {
    "1h": Span("1 h", timedelta(hours=1), timedelta(seconds=30)),
    "24h": Span("24 h", timedelta(days=1), timedelta(minutes=5)),
    "7d": Span("7 d", timedelta(days=7), timedelta(hours=1)),
    "30d": Span("30 d", timedelta(days=30), timedelta(hours=3)),
    "90d": Span("90 d", timedelta(days=90), timedelta(hours=12)),
}


class Kept(NamedTuple):
    """What is stored of an age, as long as nobody changes the policies: how far before a moment the last of it may be,
    how much a chart shows."""

    reach: timedelta
    around: timedelta


_RAW = Kept(timedelta(seconds=150), timedelta(minutes=30))
_KEPT = (
    (timedelta(days=6, hours=23), _RAW),
    (timedelta(days=89), Kept(timedelta(minutes=4), timedelta(hours=3))),
    (timedelta(days=729), Kept(timedelta(hours=3), timedelta(days=5))),
)
_OLDEST_KEPT = Kept(timedelta(days=3), timedelta(days=120))


def kept_of(moment: datetime, now: datetime) -> Kept:
    return next((kept for age, kept in _KEPT if now - moment <= age), _OLDEST_KEPT)


def around(moment: datetime, now: datetime) -> tuple[datetime, datetime]:
    """What a chart shows around it: more of what came before than of what came after."""
    whole = kept_of(moment, now).around
    end = min(moment + whole / 3, now)
    return end - whole, end


def stretch(length: timedelta, moment: datetime | None, now: datetime) -> tuple[datetime, datetime]:
    """What a slider or a range of that length covers: up to now, or around a moment that is further back."""
    end = now if moment is None or now - moment <= length else moment + length / 2
    return end - length, end


def span_of(moment: datetime | None, now: datetime) -> str:
    """The shortest that reaches back to it, a day at least."""
    back = timedelta(0) if moment is None else now - moment
    return next((name for name, span in SPANS.items() if name != "1h" and back <= span.length), "90d")


def read(text: object, zone: tzinfo, now: datetime) -> datetime | None:
    """What the address or the field says; a time without a zone is in that of whoever looks. None: not of the past."""
    if not isinstance(text, str) or not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
        moment = moment.astimezone(UTC) if moment.tzinfo is not None else from_axis(text, zone)
    except (ValueError, OverflowError):
        return None
    return moment.replace(microsecond=0) if OLDEST <= moment <= now else None


def write(moment: datetime) -> str:
    """As the address has it: the same moment in every zone."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def local(moment: datetime, zone: tzinfo) -> str:
    """As the field has it."""
    return moment.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")
