"""What people type comes back as they typed it, in base units between."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatops_dashboards.quantities import parse_duration, parse_quantity, write_duration, write_quantity

UNITS = ["percent", "bytes", "bytes_per_second", "per_second", "seconds", "celsius", "count", "load", "value"]


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("90", "percent", 90.0),
        ("90 %", "percent", 90.0),
        ("0,5", "load", 0.5),
        ("4 GiB", "bytes", 4 * 2.0**30),
        ("4GB", "bytes", 4e9),
        ("20 MB/s", "bytes_per_second", 20e6),
        ("20M", "bytes_per_second", 20e6),
        ("-3", "celsius", -3.0),
        ("1.5e3", "count", 1500.0),
        ("10 min", "seconds", 600.0),
    ],
)
def test_numbers_are_read_with_their_units(text: str, unit: str, value: float) -> None:
    assert parse_quantity(text, unit) == value


@pytest.mark.parametrize(
    ("text", "unit"), [("much", "percent"), ("4 GiB", "percent"), ("1 lot", "bytes"), ("", "load")]
)
def test_what_is_no_number_is_refused_with_an_example(text: str, unit: str) -> None:
    with pytest.raises(ValueError, match=r"Write|write"):
        parse_quantity(text, unit)


@pytest.mark.parametrize(
    ("text", "seconds"), [("5 min", 300), ("1h 30m", 5400), ("90", 90), ("1 d 2 h", 93_600), ("0.5 h", 1800)]
)
def test_durations_are_read_as_people_write_them(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "5 moons", "-5 min", "5 min!"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="Write a duration"):
        parse_duration(text)


@given(st.integers(0, 31_536_000))
def test_a_written_duration_reads_back(seconds: int) -> None:
    assert parse_duration(write_duration(seconds)) == seconds


@given(st.floats(-1e6, 1e12), st.sampled_from(UNITS))
def test_a_written_quantity_reads_back(value: float, unit: str) -> None:
    if unit == "seconds":
        value = round(abs(value))
    assert parse_quantity(write_quantity(value, unit), unit) == pytest.approx(value, rel=1e-8, abs=1e-9)
