"""Picks the tier and the bucket for a range and a number of points. Pure: the clock's time is passed in.

The coarsest tier that still gives that many points, among those that are kept long enough to cover the range's start.
So the cost of a query follows the points asked for, not the history stored.
"""

from datetime import UTC, datetime, timedelta

from msgspec import Struct

from chatops_protocol.resources import Tier

MAX_POINTS = 10_000

# Width of a row in seconds, and how long rows are kept (`metrics.set_policies`); None is for ever.
_TIERS: tuple[tuple[Tier, float, timedelta | None], ...] = (
    ("1d", 86_400.0, None),
    ("1h", 3_600.0, timedelta(days=730)),
    ("1m", 60.0, timedelta(days=90)),
)
_RAW_KEPT = timedelta(days=7)
_EPOCH = datetime(2000, 1, 3, tzinfo=UTC)  # where TimescaleDB's `time_bucket` counts from: a Monday


class Plan(Struct, frozen=True):
    """Read `tier` from `start` (aligned to the bucket) to `end`. `bucket_seconds` is the width of each point."""

    tier: Tier
    bucket_seconds: float
    # Whether several rows of the tier go into one point.
    regroup: bool
    start: datetime
    end: datetime


def plan(
    start: datetime, end: datetime, points: int, now: datetime, interval_s: float, *, combined: bool = False
) -> Plan:
    """`interval_s` is the time between raw rows. `start` < `end`, 1 ≤ `points`.

    `combined`: several series become one. Raw rows of two servers never share a time, so they need a common bucket,
    two intervals wide: a narrower one would miss a late reading now and then, and a sum would dip.
    """
    wanted_s = (end - start).total_seconds() / points
    covering = [(tier, width) for tier, width, kept in _TIERS if kept is None or start >= now - kept]
    if start >= now - _RAW_KEPT:
        covering.append(("raw", interval_s))
    tier, width = next((t for t in covering if t[1] <= wanted_s), covering[-1])
    rows_per_point = max(2 if combined and tier == "raw" else 1, int(wanted_s // width))
    bucket_s = rows_per_point * width
    return Plan(tier, bucket_s, rows_per_point > 1, _aligned(start, bucket_s), end)


def _aligned(moment: datetime, bucket_s: float) -> datetime:
    """The start of the bucket that holds `moment`, so that no bucket is read in part."""
    since = (moment - _EPOCH).total_seconds()
    return _EPOCH + timedelta(seconds=since // bucket_s * bucket_s)
