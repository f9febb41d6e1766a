"""What is made of series after they are read: gaps, differences, rates, the highest. Pure; `reader` calls it.

A difference or a rate is of the value, `avg`; `min` and `max` are the same then, since the extremes of a difference
are not known from the extremes of its sides.
"""

import math
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median_high

import msgspec

from chatops_protocol.resources import Series, TopBy

# Readings come a little late or early; a hole is more than two and a half of the usual distance.
GAP_FACTOR = 2.5

Values = list[float | None]


def find_holes(times: list[datetime], bucket_s: float, interval_s: float) -> list[int]:
    """Places before which readings are missing."""
    steps = [(later - earlier).total_seconds() for earlier, later in pairwise(times)]
    usual = max(bucket_s * 1.5, interval_s * GAP_FACTOR)
    # What comes more seldom than its server's interval says is sparse, not full of holes.
    if len(steps) > 2 and median_high(steps) > usual:
        usual = median_high(steps) * GAP_FACTOR
    return [place for place, step in enumerate(steps, 1) if step > usual]


def mark_holes(
    times: list[datetime], columns: list[Values], bucket_s: float, interval_s: float, aligned: bool
) -> tuple[list[datetime], list[Values]]:
    """Mark each hole by one empty point, enough to break a line. `aligned`: the times are starts of buckets; then most
    series show at a glance that none is missing."""
    if aligned and times and (times[-1] - times[0]).total_seconds() < (len(times) - 0.5) * bucket_s:
        return times, columns
    if holes := find_holes(times, bucket_s, interval_s):
        times, columns = list(times), [list(column) for column in columns]
        for place in reversed(holes):
            times.insert(place, times[place - 1] + timedelta(seconds=bucket_s))
            for column in columns:
                column.insert(place, None)
    return times, columns


def subtract(series: list[Series], earlier: list[Series]) -> list[Series]:
    """Each value minus that of the same series at the same time in `earlier`; nothing where there is none."""
    before = {_identity(one): dict(zip(one.time, one.avg, strict=True)) for one in earlier}
    differences = []
    for one in series:
        old = before.get(_identity(one), {})
        values = [_minus(value, old.get(time)) for time, value in zip(one.time, one.avg, strict=True)]
        differences.append(_with_values(one, one.time, values))
    return differences


def change_per_second(series: list[Series], start: datetime) -> list[Series]:
    """How fast each value changed since the point before it, from `start` on; nothing at a series' first point and
    after a gap."""
    rates = []
    for one in series:
        first = next((place for place, time in enumerate(one.time) if time >= start), len(one.time))
        if first == len(one.time):
            continue
        values: Values = []
        for place in range(first, len(one.time)):
            change = _minus(one.avg[place], one.avg[place - 1]) if place else None
            step_s = (one.time[place] - one.time[place - 1]).total_seconds() if place else 0.0
            values.append(change / step_s if change is not None and step_s > 0 else None)
        rates.append(_with_values(one, one.time[first:], values))
    return rates


def highest(series: list[Series], count: int, by: TopBy) -> list[Series]:
    """The `count` series whose mean of all points (or whose highest point, `by` max) is highest, the highest first.
    A series without any value is none of them."""
    ranked = [(_rank(one, by), one) for one in series]
    found = [(rank, one) for rank, one in ranked if rank is not None]
    return [one for _, one in sorted(found, key=lambda pair: -pair[0])[:count]]


def rate_unit(unit: str) -> str:
    return {"bytes": "bytes_per_second", "count": "per_second"}.get(unit, f"{unit}_per_second")


def _rank(series: Series, by: TopBy) -> float | None:
    values = [value for value in (series.avg if by == "avg" else series.max) if value is not None and value == value]
    if not values:
        return None
    # In parts: a sum of huge values would be infinite, and infinite ones among them nothing at all.
    rank = max(values) if by == "max" else sum(value / len(values) for value in values)
    return rank if not math.isnan(rank) else None


def _identity(series: Series) -> bytes:
    return msgspec.json.encode((series.server_id, series.labels), order="deterministic")


def _minus(value: float | None, other: float | None) -> float | None:
    if value is None or other is None:
        return None
    return value - other


def _with_values(series: Series, times: list[datetime], values: Values) -> Series:
    return Series(series.server_id, series.labels, times, values, values, values)
