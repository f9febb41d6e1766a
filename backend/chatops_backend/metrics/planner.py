"""Picks the tier and the bucket for a range and a number of points. Pure: the clock's time is passed in.

The coarsest tier that still gives that many points, among those that are kept long enough to cover the range's start.
So the cost of a query follows the points asked for, not the history stored. Aggregates that need the readings
themselves ask for the finest tier instead.
"""

from datetime import UTC, datetime, timedelta
from typing import Literal

from msgspec import Struct

from chatops_protocol.resources import Tier

MAX_POINTS = 10_000
# What one query may read where no roll-up helps it: percentiles sort it, `last` looks at each.
MAX_READINGS = 2_000_000

# Width of a row in seconds, and how long rows are kept (`metrics.set_policies`); None is for ever.
_TIERS: tuple[tuple[Tier, float, timedelta | None], ...] = (
    ("1d", 86_400.0, None),
    ("1h", 3_600.0, timedelta(days=730)),
    ("1m", 60.0, timedelta(days=90)),
)
RAW_KEPT = timedelta(days=7)
_EPOCH = datetime(2000, 1, 3, tzinfo=UTC)  # where TimescaleDB's `time_bucket` counts from: a Monday

# The tier that fits the points; the finest that `MAX_READINGS` allow; or raw rows and nothing else.
Reading = Literal["fitting", "finest", "raw"]


class NoTierError(Exception):
    """No tier can answer; the message says why and what to do."""


class Plan(Struct, frozen=True):
    """Read `tier` from `start` (aligned to the bucket) to `end`. `bucket_seconds` is the width of each point."""

    tier: Tier
    bucket_seconds: float
    # Whether several rows of the tier go into one point.
    regroup: bool
    start: datetime
    end: datetime


def plan(
    start: datetime,
    end: datetime,
    points: int,
    now: datetime,
    interval_s: float,
    *,
    combined: bool = False,
    against_s: float = 0,
    reading: Reading = "fitting",
    servers: int = 1,
) -> Plan:
    """`interval_s` is the time between raw rows. `start` < `end`, 1 ≤ `points`. Raises `NoTierError`.

    `combined`: several series become one. Raw rows of two servers never share a time, so they need a common bucket,
    two intervals wide: a narrower one would miss a late reading now and then, and a sum would dip. The same holds for
    raw rows that are compared `against_s` seconds earlier ones; of roll-ups only those can be whose rows are then in
    step.
    """
    length_s = (end - start).total_seconds()
    wanted_s = length_s / points
    earliest = start - timedelta(seconds=against_s)
    kept: list[tuple[Tier, float]] = [(t, width) for t, width, k in _TIERS if k is None or earliest >= now - k]
    if earliest >= now - RAW_KEPT:
        kept.append(("raw", interval_s))
    covering = [(t, width) for t, width in kept if t == "raw" or against_s % width == 0]
    if reading == "raw":
        covering = [found for found in covering if found[0] == "raw"]
        if not covering:
            raise NoTierError(
                "Percentiles are computed from the readings themselves, which are kept for "
                f"{RAW_KEPT.days} days: ask for a range that begins (with `against_s`) after "
                f"{(now - RAW_KEPT).isoformat(timespec='seconds')}, or for avg, min or max."
            )
    if not covering:
        raise NoTierError(
            f"`against_s` is {against_s:g}; so far back there is one row each {kept[-1][1]:g} seconds, so it must be a "
            "multiple of that."
        )
    if reading == "finest":
        affordable = [t for t in covering if servers * length_s / t[1] <= MAX_READINGS]
        tier, width = affordable[-1] if affordable else covering[0]
    else:
        tier, width = next((t for t in covering if t[1] <= wanted_s), covering[-1])
    rows_per_point = max(2 if (combined or against_s) and tier == "raw" else 1, int(wanted_s // width))
    bucket_s = rows_per_point * width
    return Plan(tier, bucket_s, rows_per_point > 1, _aligned(start, bucket_s), end)


def _aligned(moment: datetime, bucket_s: float) -> datetime:
    """The start of the bucket that holds `moment`, so that no bucket is read in part."""
    since = (moment - _EPOCH).total_seconds()
    return _EPOCH + timedelta(seconds=since // bucket_s * bucket_s)
