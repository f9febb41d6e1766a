"""Numbers and times for people."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from chatops_dashboards.moments import absolute, from_axis, on_axis, relative, since_text, zone_label, zone_named
from chatops_dashboards.units import format_duration, format_percent, format_value, scale_for

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (None, "bytes", "–"),
        (float("nan"), "percent", "–"),
        (0.0, "bytes", "0 B"),
        (1023.0, "bytes", "1023 B"),
        (1024.0, "bytes", "1.0 KiB"),
        (8 * 2.0**30, "bytes", "8.0 GiB"),
        (512 * 2.0**30, "bytes", "512 GiB"),
        (2.0**60, "bytes", "1024 PiB"),
        (999.0, "bytes_per_second", "999 B/s"),
        (12_500_000.0, "bytes_per_second", "12.5 MB/s"),
        (0.0, "per_second", "0/s"),
        (12.34, "percent", "12.3 %"),
        (0.456, "load", "0.46"),
        (12345.0, "count", "12\u202f345"),
        (61.5, "celsius", "61.5 °C"),
        (90061.0, "seconds", "1 d 1 h"),
    ],
)
def test_values_are_written_for_people(value: float | None, unit: str, text: str) -> None:
    assert format_value(value, unit) == text


def test_unknown_is_never_zero() -> None:
    assert format_percent(None) == "–"
    assert format_percent(0.0) == "0.0 %"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (61, "1 min 1 s"),
        (3600, "1 h"),
        (3601, "1 h"),
        (86400 * 3 + 7200, "3 d 2 h"),
    ],
)
def test_durations_have_two_parts_at_most(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


def test_an_axis_takes_the_scale_of_its_largest_value() -> None:
    assert scale_for("bytes", 3 * 2.0**30).suffix == " GiB"
    assert scale_for("bytes_per_second", 5e6).suffix == " MB/s"
    assert scale_for("bytes", None).divisor == 1.0


def test_plotly_gets_local_times_and_gives_them_back() -> None:
    text = on_axis(NOON, BERLIN)
    assert text == "2026-07-01T14:00:00.000"
    assert from_axis("2026-07-01 14:00:00.0000", BERLIN) == NOON


@pytest.mark.parametrize("name", [None, "", "No/Where", "../../etc/passwd", "x" * 100, "\x00"])
def test_a_zone_that_is_none_is_utc(name: str | None) -> None:
    assert zone_named(name) is UTC


def test_the_zone_is_named_with_its_offset() -> None:
    assert zone_label(BERLIN, NOON) == "Europe/Berlin (UTC+02:00)"
    assert zone_label(UTC, NOON) == "UTC"
    assert absolute(NOON, BERLIN) == "2026-07-01 14:00:00 CEST"


def test_since_has_a_date_only_when_it_was_another_day() -> None:
    assert since_text(NOON, NOON + timedelta(hours=1), BERLIN) == "14:00"
    assert since_text(NOON, NOON + timedelta(days=1), BERLIN) == "2026-07-01 14:00"
    assert relative(NOON, NOON + timedelta(seconds=90)) == "1 min 30 s ago"
    assert relative(NOON, NOON) == "just now"
