"""Where imported rows go by their age. Pure: times and policies are passed in.

Each tier that is kept for their age gets them. A roll-up gets them by a refresh from the tier below as far back as its
refresh policy reaches. Before that its source is dropped, or may be, and a refresh would empty what is stored there:
so there the roll-up gets rows of its own, and the limit is never after the start of the policy's work, which must not
come over them either.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

from msgspec import Struct

from chatops_protocol.resources import Tier

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)

TIERS: tuple[Tier, ...] = ("raw", "1m", "1h", "1d")
# Each roll-up with what it reads and the width of its rows.
ROLLUPS: tuple[tuple[Tier, Tier, timedelta], ...] = (("1m", "raw", MINUTE), ("1h", "1m", HOUR), ("1d", "1h", DAY))


class Cutoffs(Struct, frozen=True):
    """`reached`: from when on a refresh may read a tier (of the roll-up above it). `kept`: from when on a tier is
    kept."""

    reached: dict[Tier, datetime]
    kept: dict[Tier, datetime]


class Policies(Struct, frozen=True):
    """Of one measurement. `reach`: how far back the refresh of each roll-up goes; `kept`: how long each tier is kept.
    None, or for `kept` absent, is for ever. A roll-up without a refresh is not reached at all."""

    reach: dict[Tier, timedelta | None]
    kept: dict[Tier, timedelta | None]


def cutoffs(now: datetime, policies: Policies) -> Cutoffs:
    reached: dict[Tier, datetime] = {"1d": EARLIEST}
    for rollup, source, _ in reversed(ROLLUPS):
        # On whole hours and days, so that no bucket of the roll-up is both refreshed and stored.
        oldest = _before(now, policies.reach.get(rollup, timedelta(0)), HOUR if source == "raw" else DAY)
        reached[source] = max(oldest, reached[rollup])
    return Cutoffs(reached, {tier: _before(now, policies.kept.get(tier), MINUTE) for tier in TIERS})


def _before(now: datetime, age: timedelta | None, width: timedelta) -> datetime:
    return EARLIEST if age is None else max(EARLIEST, floor(now - age, width))


def floor(moment: datetime, width: timedelta) -> datetime:
    return moment - (moment - EPOCH) % width


def ceiling(moment: datetime, width: timedelta) -> datetime:
    return moment + (EPOCH - moment) % width


def stretches(days: Iterable[date], longest: timedelta) -> list[tuple[datetime, datetime]]:
    """Neighbouring days together, from the first day's start to the last one's end, cut into pieces."""
    pieces: list[tuple[datetime, datetime]] = []
    starts = [datetime.combine(day, datetime.min.time(), UTC) for day in sorted(days)]
    for start in starts:
        end = start + DAY
        if pieces and pieces[-1][1] == start and end - pieces[-1][0] <= longest:
            pieces[-1] = (pieces[-1][0], end)
            continue
        while end - start > longest:
            pieces.append((start, start + longest))
            start += longest
        pieces.append((start, end))
    return pieces
