"""Gaps, differences, rates and the highest, on series made by hand."""

import math
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatops_backend.metrics.combine import (
    change_per_second,
    find_holes,
    highest,
    mark_holes,
    rate_unit,
    subtract,
)
from chatops_protocol.resources import Series

START = datetime(2025, 6, 18, 12, 0, tzinfo=UTC)


def series(values: list[float | None], server_id: int = 1, step_s: float = 60, **labels: object) -> Series:
    times = [START + timedelta(seconds=step_s * n) for n in range(len(values))]
    return Series(server_id, labels, times, values, values, values)


def test_a_rate_needs_a_value_before_it() -> None:
    (rate,) = change_per_second([series([10.0, 70.0, None, 90.0, 30.0])], START)
    assert rate.avg == [None, 1.0, None, None, -1.0]
    assert rate.time == series([0.0] * 5).time
    assert rate.min == rate.max == rate.avg


def test_a_rate_begins_where_it_was_asked_to_with_the_point_before() -> None:
    (rate,) = change_per_second([series([10.0, 70.0, 130.0])], START + timedelta(seconds=60))
    assert rate.avg == [1.0, 1.0]
    assert rate.time[0] == START + timedelta(seconds=60)
    assert change_per_second([series([10.0])], START + timedelta(seconds=1)) == []
    assert change_per_second([], START) == []


def test_a_difference_is_of_the_same_series_at_the_same_time() -> None:
    now = [series([1.0, 2.0, None], 1, core="0"), series([5.0], 1, core="1"), series([7.0], 2, core="0")]
    earlier = [series([0.5, None, 3.0], 1, core="0"), series([1.0], 2, core="0"), series([9.0], 3, core="0")]
    assert [one.avg for one in subtract(now, earlier)] == [[0.5, None, None], [None], [6.0]]
    nested = subtract([series([3.0], labels={"b": "1", "a": "2"})], [series([1.0], labels={"a": "2", "b": "1"})])
    assert nested[0].avg == [2.0]


def test_the_highest_come_first_and_series_without_values_not_at_all() -> None:
    found = [
        series([1.0, 1.0], 1),
        series([None], 2),
        series([0.0, 9.0], 3),
        series([5.0, None], 4),
        series([math.nan], 5),
    ]
    assert [one.server_id for one in highest(found, 9, "avg")] == [4, 3, 1]
    assert [one.server_id for one in highest(found, 2, "max")] == [3, 4]
    assert [one.server_id for one in highest([series([1e308, 1e308], 1), series([1e307], 2)], 1, "avg")] == [1]
    assert highest([series([math.inf, -math.inf])], 1, "avg") == []


@pytest.mark.parametrize(
    ("unit", "rate"), [("bytes", "bytes_per_second"), ("count", "per_second"), ("percent", "percent_per_second")]
)
def test_the_unit_of_a_rate_is_per_second(unit: str, rate: str) -> None:
    assert rate_unit(unit) == rate


buckets = st.sets(st.integers(0, 60), max_size=40).map(sorted)


@given(places=buckets, bucket_s=st.sampled_from([5.0, 60.0, 3_600.0]), interval_s=st.sampled_from([1.0, 5.0, 300.0]))
def test_what_is_seen_at_a_glance_is_what_is_found_one_by_one(
    places: list[int], bucket_s: float, interval_s: float
) -> None:
    times = [START + timedelta(seconds=bucket_s * place) for place in places]
    holes = find_holes(times, bucket_s, interval_s)
    marked, (column,) = mark_holes(times, [[1.0] * len(times)], bucket_s, interval_s, aligned=True)
    assert len(times) == len(places)
    assert len(marked) == len(column) == len(times) + len(holes)
    assert column.count(None) == len(holes)
    assert all(later > earlier for earlier, later in pairwise(marked))
