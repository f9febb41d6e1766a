"""Picks the tier and the bucket for a range and a number of points. Pure: the clock's time is passed in.

The coarsest tier that still gives that many points, among those that are kept long enough to cover the range's start.
So the cost of a query follows the points asked for, not the history stored. Aggregates that need the readings
themselves ask for the finest tier instead.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Literal

from msgspec import Struct

from chatops_protocol.resources import Tier

MAX_POINTS = 10_000
# What one query may read where no roll-up helps it. A million take the embedded database 1 to 2.5 s, in which it serves
# nobody else.
MAX_READINGS = 1_000_000

# Width of a row in seconds.
WIDTHS: tuple[tuple[Tier, float], ...] = (("1d", 86_400.0), ("1h", 3_600.0), ("1m", 60.0))
# How long rows are kept until somebody changes it (`KeptTiers` asks the database); days are kept for ever.
KEPT: Mapping[Tier, timedelta] = {"raw": timedelta(days=7), "1m": timedelta(days=90), "1h": timedelta(days=730)}
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
    whole_since: Mapping[Tier, datetime] | None = None,
) -> Plan:
    """`interval_s` is the time between raw rows. `start` < `end`, 1 ≤ `points`. Raises `NoTierError`.

    `whole_since` says from when on each tier that is not kept for ever has all its rows; by default `KEPT` does.

    `combined`: several series become one. Raw rows of two servers never share a time, so they need a common bucket,
    two intervals wide: a narrower one would miss a late reading now and then, and a sum would dip. The same holds for
    raw rows that are compared `against_s` seconds earlier ones; of roll-ups only those can be whose rows are then in
    step.
    """
    length_s = (end - start).total_seconds()
    wanted_s = length_s / points
    earliest = start - timedelta(seconds=against_s)
    if whole_since is None:
        whole_since = {tier: now - kept for tier, kept in KEPT.items()}
    tiers: tuple[tuple[Tier, float], ...] = (*WIDTHS, ("raw", interval_s))
    kept = [found for found in tiers if found[0] not in whole_since or earliest >= whole_since[found[0]]]
    covering = [(t, width) for t, width in kept if t == "raw" or against_s % width == 0]
    if reading == "raw":
        covering = [found for found in covering if found[0] == "raw"]
        if not covering:
            raise NoTierError(
                "Percentiles are computed from the readings themselves, which are not kept so long: ask for a range "
                f"that begins (with `against_s`) after {whole_since['raw'].isoformat(timespec='seconds')}, or for avg, "
                "min or max."
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
