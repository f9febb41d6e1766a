"""The planner: pure, so hypothesis walks it from one second to five years."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatops_backend.metrics.planner import MAX_POINTS, NoTierError, Plan, plan

NOW = datetime(2031, 5, 14, 15, 26, 53, 589_793, tzinfo=UTC)
WIDTHS = {"1m": 60.0, "1h": 3_600.0, "1d": 86_400.0}
KEPT = {"raw": timedelta(days=7), "1m": timedelta(days=90), "1h": timedelta(days=730)}
MONDAY = datetime(2000, 1, 3, tzinfo=UTC)

HOUR, DAY, YEAR = timedelta(hours=1), timedelta(days=1), timedelta(days=365)


def plan_last(length: timedelta, points: int, interval_s: float = 5.0) -> Plan:
    return plan(NOW - length, NOW, points, NOW, interval_s)


@pytest.mark.parametrize(
    ("length", "points", "tier", "bucket_s"),
    [
        (timedelta(seconds=1), 1, "raw", 5),
        (timedelta(minutes=5), 500, "raw", 5),
        (HOUR, 500, "raw", 5),
        (HOUR, 10, "1m", 360),
        (HOUR, 60, "1m", 60),
        (HOUR, 61, "raw", 55),
        (3 * HOUR, 500, "raw", 20),
        (DAY, 500, "1m", 120),
        (DAY, 24, "1h", 3_600),
        (DAY, 25, "1m", 3_420),
        (DAY, 1, "1d", 86_400),
        (6 * DAY, 10_000, "raw", 50),
        (30 * DAY, 500, "1h", 3_600),
        (30 * DAY, 10_000, "1m", 240),
        (YEAR, 500, "1h", 61_200),
        (YEAR, 365, "1d", 86_400),
        (5 * YEAR, 500, "1d", 259_200),
        (5 * YEAR, 10_000, "1d", 86_400),
        (5 * YEAR, 1, "1d", 5 * 365 * 86_400),
    ],
)
def test_ranges_that_people_look_at(length: timedelta, points: int, tier: str, bucket_s: float) -> None:
    chosen = plan_last(length, points)
    assert (chosen.tier, chosen.bucket_seconds) == (tier, bucket_s)


@pytest.mark.parametrize(
    ("tier", "kept", "coarser"),
    [("raw", timedelta(days=7), "1m"), ("1m", timedelta(days=90), "1h"), ("1h", timedelta(days=730), "1d")],
)
def test_a_tier_answers_up_to_its_retention_and_not_a_moment_longer(tier: str, kept: timedelta, coarser: str) -> None:
    start = NOW - kept
    assert plan(start, start + timedelta(minutes=1), MAX_POINTS, NOW, 5).tier == tier
    earlier = start - timedelta(microseconds=1)
    assert plan(earlier, earlier + timedelta(minutes=1), MAX_POINTS, NOW, 5).tier == coarser


def test_a_slow_agent_is_not_asked_for_more_points_than_it_sends() -> None:
    chosen = plan_last(HOUR, 500, interval_s=30.0)
    assert (chosen.tier, chosen.bucket_seconds, chosen.regroup) == ("raw", 30.0, False)


def test_raw_rows_of_several_servers_share_a_bucket_of_two_intervals() -> None:
    chosen = plan(NOW - HOUR, NOW, 10_000, NOW, 5.0, combined=True)
    assert (chosen.tier, chosen.bucket_seconds, chosen.regroup) == ("raw", 10.0, True)
    # Roll-ups have common buckets as they are.
    assert plan(NOW - DAY, NOW, 1_440, NOW, 5.0, combined=True).regroup is False


@pytest.mark.parametrize(
    ("length", "servers", "tier", "bucket_s"),
    [(HOUR, 1, "raw", 60), (6 * DAY, 9, "raw", 8_640), (6 * DAY, 10, "1m", 8_640), (6 * DAY, 2_000, "1h", 7_200)],
)
def test_the_finest_tier_is_the_finest_that_may_be_read_as_a_whole(
    length: timedelta, servers: int, tier: str, bucket_s: float
) -> None:
    chosen = plan(NOW - length, NOW, 60, NOW, 5.0, combined=True, reading="finest", servers=servers)
    assert (chosen.tier, chosen.bucket_seconds) == (tier, bucket_s)


def test_raw_rows_or_nothing() -> None:
    assert plan(NOW - 7 * DAY, NOW, 100, NOW, 5.0, reading="raw").tier == "raw"
    with pytest.raises(NoTierError, match="begins"):
        plan(NOW - 6 * DAY, NOW, 100, NOW, 5.0, reading="raw", against_s=2 * 86_400)


@pytest.mark.parametrize(
    ("against_s", "tier"), [(90, "raw"), (120, "1m"), (5_400, "1m"), (7_200, "1h"), (86_400, "1h"), (0, "1h")]
)
def test_what_is_compared_is_in_step(against_s: float, tier: str) -> None:
    chosen = plan(NOW - 2 * DAY, NOW, 24, NOW, 5.0, against_s=against_s)
    assert (chosen.tier, chosen.bucket_seconds) == (tier, 7_200)
    with pytest.raises(NoTierError, match="multiple"):
        plan(NOW - 100 * DAY, NOW, 24, NOW, 5.0, against_s=90)


intervals = st.sampled_from([0.1, 0.3, 1.0, 5.0, 7.0, 15.0, 30.0])
lengths = st.timedeltas(min_value=timedelta(seconds=1), max_value=5 * YEAR)
ages = st.timedeltas(min_value=timedelta(0), max_value=5 * YEAR)
counts = st.integers(1, MAX_POINTS)


@given(length=lengths, age=ages, points=counts, interval_s=intervals)
def test_any_plan_covers_its_range_in_whole_aligned_buckets(
    length: timedelta, age: timedelta, points: int, interval_s: float
) -> None:
    end = NOW - age
    start = end - length
    chosen = plan(start, end, points, NOW, interval_s)
    bucket = timedelta(seconds=chosen.bucket_seconds)
    rounding = timedelta(microseconds=5)

    assert chosen.start <= start + rounding
    assert start - chosen.start < bucket + rounding
    assert chosen.end == end
    # Aligned as `time_bucket` aligns.
    beyond = (chosen.start - MONDAY) % bucket
    assert min(beyond, bucket - beyond) <= rounding

    width = WIDTHS.get(chosen.tier, interval_s)
    rows = chosen.bucket_seconds / width
    assert rows == pytest.approx(round(rows))
    assert chosen.regroup == (round(rows) > 1)


@given(length=lengths, age=ages, points=counts, interval_s=intervals)
def test_any_plan_is_the_coarsest_tier_that_gives_the_points(
    length: timedelta, age: timedelta, points: int, interval_s: float
) -> None:
    end = NOW - age
    start = end - length
    chosen = plan(start, end, points, NOW, interval_s)
    wanted_s = length.total_seconds() / points
    widths = {"raw": interval_s, **WIDTHS}
    covering = {tier: width for tier, width in widths.items() if tier not in KEPT or start >= NOW - KEPT[tier]}
    assert chosen.tier in covering
    fine_enough = [tier for tier, width in covering.items() if width <= wanted_s]
    if fine_enough:
        assert chosen.tier == max(fine_enough, key=lambda tier: covering[tier])
        # Points as asked for, at most twice as many (less than one row more would be too few).
        given_points = length.total_seconds() / chosen.bucket_seconds
        assert points * 0.999 <= given_points <= points * 2.001
    else:
        assert chosen.tier == min(covering, key=lambda tier: covering[tier])
        assert chosen.regroup is False
