"""When a silence holds: by what it names, once or every day or week, and on the days when clocks are changed."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatops_backend.alerts.silences import is_active, reason_to_refuse, silenced
from chatops_protocol.alert_resources import Silence

BERLIN = ZoneInfo("Europe/Berlin")
# Another one than an hour, and the other half of the world.
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")
LATER = datetime(2026, 3, 1, 12, tzinfo=UTC)


def silence(start: datetime, end: datetime, recurrence: str = "none", zone: str = "UTC", **named: object) -> Silence:
    values = {"server_id": 1} | named
    return Silence(starts_at=start, ends_at=end, recurrence=recurrence, timezone=zone, **values)  # type: ignore[arg-type]


def test_it_covers_what_all_its_names_fit() -> None:
    span = {"starts_at": LATER, "ends_at": LATER + timedelta(hours=1)}

    def covers(tags: tuple[str, ...] = ("db", "eu"), **named: object) -> bool:
        return silenced(Silence(**span, **named), LATER, 5, 7, tags)  # type: ignore[arg-type]

    assert covers(threshold_id=5)
    assert not covers(threshold_id=6)
    assert covers(server_id=7)
    assert not covers(server_id=8)
    assert covers(tag="eu")
    assert not covers(tag="e")
    assert not covers(tag="eu", tags=())
    assert covers(threshold_id=5, server_id=7, tag="db")
    assert not covers(threshold_id=5, server_id=7, tag="us")
    assert not covers(threshold_id=6, server_id=7, tag="db")
    assert not covers()


def test_one_that_happens_once_holds_from_its_start_to_before_its_end() -> None:
    once = silence(LATER, LATER + timedelta(hours=1))
    moments = [-1e-6, 0, 3600 - 1e-6, 3600, 86_400]
    assert [is_active(once, LATER + timedelta(seconds=s)) for s in moments] == [False, True, True, False, False]


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"server_id": None}, "threshold_id"),
        ({"ends_at": LATER}, "ends_at"),
        ({"ends_at": LATER - timedelta(1)}, "ends_at"),
        ({"timezone": "Europe/Nowhere"}, "timezone"),
        ({"timezone": "../../etc/passwd"}, "timezone"),
        ({"timezone": "/etc/localtime"}, "timezone"),
        ({"timezone": ""}, "timezone"),
        ({"recurrence": "daily", "ends_at": LATER + timedelta(days=1, seconds=1)}, "ends_at"),
        ({"recurrence": "weekly", "ends_at": LATER + timedelta(days=7, seconds=1)}, "ends_at"),
        ({"starts_at": datetime(1, 1, 1, tzinfo=UTC)}, "starts_at"),
        ({"ends_at": datetime(9999, 12, 31, tzinfo=UTC)}, "starts_at"),
    ],
)
def test_one_that_makes_no_sense_is_refused_with_its_field(changes: dict[str, object], key: str) -> None:
    good = silence(LATER, LATER + timedelta(hours=1))
    assert reason_to_refuse(good) is None
    refusal = reason_to_refuse(msgspec.structs.replace(good, **changes))
    assert refusal is not None
    assert refusal[0] == key


def daily(zone: ZoneInfo, first: date, start: time, end: time, recurrence: str = "daily") -> Silence:
    begin = datetime.combine(first, start, zone)
    finish = datetime.combine(first if end > start else first + timedelta(1), end, zone)
    return silence(begin.astimezone(UTC), finish.astimezone(UTC), recurrence, zone.key)


def spans(subject: Silence, day: date, zone: ZoneInfo) -> list[tuple[str, str]]:
    """When it holds on a local day, to the minute, as UTC."""
    start = datetime.combine(day, time(), zone).astimezone(UTC)
    end = datetime.combine(day + timedelta(1), time(), zone).astimezone(UTC)
    found: list[list[datetime]] = []
    moment = start
    while moment < end:
        if is_active(subject, moment):
            if found and found[-1][1] == moment:
                found[-1][1] += timedelta(minutes=1)
            else:
                found.append([moment, moment + timedelta(minutes=1)])
        moment += timedelta(minutes=1)
    return [(f"{a:%H:%M}", f"{b:%H:%M}") for a, b in found]


GAP, FOLD = date(2026, 3, 29), date(2026, 10, 25)  # 02:00 → 03:00 and 03:00 → 02:00, both at 01:00 UTC


@pytest.mark.parametrize(
    ("start", "end", "day", "expected"),
    [
        # An ordinary day of winter and of summer: the same local time, another one in UTC.
        (time(1), time(4), GAP - timedelta(1), [("00:00", "03:00")]),
        (time(1), time(4), FOLD - timedelta(1), [("23:00", "02:00")]),
        # Over the change: the local times of both edges hold.
        (time(1), time(4), GAP, [("00:00", "02:00")]),
        (time(1), time(4), FOLD, [("23:00", "03:00")]),
        # An edge in the hour that does not exist, or exists twice: longer rather than shorter.
        (time(2, 30), time(4), GAP, [("00:30", "02:00")]),
        (time(1), time(2, 30), GAP, [("00:00", "01:30")]),
        (time(2, 15), time(2, 45), GAP, [("00:15", "01:45")]),
        (time(2, 30), time(4), FOLD, [("00:30", "03:00")]),
        (time(1), time(2, 30), FOLD, [("23:00", "01:30")]),
        (time(2, 15), time(2, 45), FOLD, [("00:15", "01:45")]),
        # Exactly at the change.
        (time(2), time(3), GAP, [("00:00", "01:00")]),
        (time(3), time(4), GAP, [("01:00", "02:00")]),
        (time(3), time(4), FOLD, [("02:00", "03:00")]),
    ],
)
def test_the_days_when_clocks_are_changed(start: time, end: time, day: date, expected: list[tuple[str, str]]) -> None:
    subject = daily(BERLIN, date(2026, 1, 5), start, end)
    assert spans(subject, day, BERLIN) == expected


def test_a_night_spans_midnight() -> None:
    subject = daily(BERLIN, date(2026, 1, 5), time(22), time(6))
    assert spans(subject, date(2026, 1, 5), BERLIN) == [("21:00", "23:00")]
    assert spans(subject, date(2026, 1, 6), BERLIN) == [("23:00", "05:00"), ("21:00", "23:00")]
    assert spans(subject, date(2026, 7, 1), BERLIN) == [("22:00", "04:00"), ("20:00", "22:00")]


def test_a_weekly_one_holds_on_its_weekday_from_its_first_on() -> None:
    monday = date(2026, 1, 5)
    subject = daily(BERLIN, monday, time(1), time(2), "weekly")
    holding = [d for d in range(-14, 30) if spans(subject, monday + timedelta(d), BERLIN)]
    assert holding == [0, 7, 14, 21, 28]
    assert spans(subject, monday + timedelta(weeks=25), BERLIN) == [("23:00", "00:00")]


def test_a_whole_day_leaves_no_hole() -> None:
    subject = daily(BERLIN, date(2026, 1, 5), time(0), time(0))
    for day in (GAP, FOLD, date(2026, 7, 1)):
        assert len(spans(subject, day, BERLIN)) == 1


moments = st.integers(0, 2 * 366 * 86_400).map(lambda s: datetime(2026, 1, 6, tzinfo=UTC) + timedelta(seconds=s))
times = st.times().map(lambda t: t.replace(microsecond=0))


@given(at=moments, start=times, end=times, zone=st.sampled_from([BERLIN, LORD_HOWE, ZoneInfo("UTC")]))
def test_it_holds_whenever_the_wall_clock_is_within_and_never_an_hour_off(
    at: datetime, start: time, end: time, zone: ZoneInfo
) -> None:
    subject = daily(zone, date(2026, 1, 5), start, end)
    local = at.astimezone(zone)
    clock = local.time().replace(tzinfo=None, fold=0)
    within = start <= clock < end if start < end else clock >= start or clock < end
    if within:
        assert is_active(subject, at)
    changed = (at - timedelta(hours=25)).astimezone(zone).utcoffset() != (at + timedelta(hours=25)).astimezone(
        zone
    ).utcoffset()
    if not changed:
        assert is_active(subject, at) == within


@given(at=moments, length=st.integers(1, 7 * 86_400), shift=st.integers(0, 7 * 86_400 - 1))
def test_a_weekly_one_in_utc_is_arithmetic(at: datetime, length: int, shift: int) -> None:
    start = datetime(2026, 1, 5, tzinfo=UTC) + timedelta(seconds=shift)
    subject = silence(start, start + timedelta(seconds=length), "weekly")
    passed = (at - start).total_seconds()
    assert is_active(subject, at) == (passed >= 0 and passed % (7 * 86_400) < length)
