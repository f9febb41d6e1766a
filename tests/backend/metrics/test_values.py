"""Each tier gives what polars computes from the raw rows, whatever is refreshed or compressed meanwhile."""

import math
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import polars as pl
import pytest

from chatops_backend.metrics.reader import MetricReader
from chatops_protocol.resources import MetricSeries, Series
from tests.backend.metrics.conftest import DAY, HOLE, HOUR, MINUTE, MOUNTS, NOW, Stored
from tests.rollups import refresh_rollups

pytestmark = pytest.mark.anyio

# How far back, how many points; which tier and bucket answer.
RANGES = [
    pytest.param(HOUR / 2, 500, "raw", 5, id="raw"),
    pytest.param(2 * HOUR, 500, "raw", 10, id="raw regrouped"),
    pytest.param(2 * HOUR, 120, "1m", 60, id="minutes"),
    pytest.param(2 * HOUR, 40, "1m", 180, id="minutes regrouped"),
    pytest.param(DAY, 100, "1m", 840, id="a day of minutes"),
    pytest.param(5 * DAY, 120, "1h", 3_600, id="hours"),
    pytest.param(5 * DAY, 30, "1h", 14_400, id="hours regrouped"),
    pytest.param(49 * DAY, 49, "1d", 86_400, id="days"),
    pytest.param(49 * DAY, 7, "1d", 7 * 86_400, id="weeks"),
]
ranges = pytest.mark.parametrize(("back", "points", "tier", "bucket_s"), RANGES)


@pytest.fixture(scope="module", params=["nothing refreshed", "refreshed until an hour ago", "refreshed", "compressed"])
async def state(request: pytest.FixtureRequest, stored: Stored) -> str:
    """What the policies have done so far; the parameters run in this order."""
    until = {"refreshed until an hour ago": NOW - HOUR, "refreshed": NOW, "compressed": NOW}.get(request.param)
    if until is not None:
        await refresh_rollups(stored.database, "filesystem", until)
    if request.param == "compressed":
        for table in ("filesystem", "filesystem_1m"):
            chunks = await stored.database.fetch(
                f"SELECT compress_chunk(c, true) FROM show_chunks('metrics.{table}') c"
            )
            assert len(chunks) > 1
    name: str = request.param
    return name


def reader_of(stored: Stored) -> MetricReader:
    return MetricReader(stored.database, clock=NOW.timestamp)


def rows_of(answer: MetricSeries) -> list[tuple[int | None, str, datetime, float | None, float | None, float | None]]:
    """Every point that is not a mere mark of a hole is in here, NULL readings too."""
    return [
        (series.server_id, series.labels["mountpoint"], *point)
        for series in answer.series
        for point in zip(series.time, series.avg, series.min, series.max, strict=True)
    ]


def assert_same(answer: MetricSeries, expected: pl.DataFrame) -> None:
    found = {row[:3]: row[3:] for row in rows_of(answer)}
    wanted = {row[:3]: row[3:] for row in expected.rows()}
    assert len(wanted) > 5
    assert wanted.keys() <= found.keys()
    for key, values in found.items():
        assert is_close(values, wanted.get(key, (None, None, None))), key


def is_close(found: Iterable[float | None], wanted: Iterable[float | None]) -> bool:
    """None is equal to None alone."""
    pairs = list(zip(found, wanted, strict=True))
    return all(a is b if a is None or b is None else math.isclose(a, b, rel_tol=1e-9) for a, b in pairs)


@ranges
async def test_every_tier_gives_what_the_raw_rows_say(
    state: str, stored: Stored, back: timedelta, points: int, tier: str, bucket_s: float
) -> None:
    for field in ("used_percent", "used_bytes"):
        answer = await reader_of(stored).read(f"filesystem.{field}", stored.servers, NOW - back, NOW, points, {})
        assert (answer.tier, answer.bucket_seconds) == (tier, bucket_s)
        assert [(s.server_id, s.labels["mountpoint"]) for s in answer.series] == [
            (server, mount) for server in stored.servers for mount in MOUNTS
        ]
        first = min(series.time[0] for series in answer.series)
        start = NOW - back - timedelta(seconds=bucket_s)
        assert start < first
        assert_same(answer, stored.expected(field, tier, bucket_s, aligned(NOW - back, bucket_s), NOW))


def aligned(moment: datetime, bucket_s: float) -> datetime:
    origin = datetime(2000, 1, 3, tzinfo=UTC)
    return moment - (moment - origin) % timedelta(seconds=bucket_s)


@ranges
async def test_averages_of_whole_buckets_are_averages_of_the_raw_rows(
    state: str, stored: Stored, back: timedelta, points: int, tier: str, bucket_s: float
) -> None:
    """By another way than the reference: one plain mean of all rows of each bucket, no weights."""
    answer = await reader_of(stored).read(
        "filesystem.used_bytes", [stored.servers[0]], NOW - back, NOW, points, {"mountpoint": "/"}
    )
    (series,) = answer.series
    rows = stored.rows.filter((pl.col("server_id") == stored.servers[0]) & (pl.col("mountpoint") == "/"))
    for time, average, lowest, highest in list(zip(series.time, series.avg, series.min, series.max, strict=True))[1:]:
        if average is None:
            continue
        if bucket_s == 5:
            inside = rows.filter(pl.col("time") == time)["used_bytes"]
        else:
            until = time + timedelta(seconds=bucket_s)
            inside = rows.filter((pl.col("time") >= time) & (pl.col("time") < until))["used_bytes"]
        assert is_close((average, lowest, highest), (inside.mean(), inside.min(), inside.max()))  # type: ignore[arg-type]


async def test_a_range_in_the_past_ends_where_it_was_asked_to(stored: Stored) -> None:
    start, end = NOW - 90 * MINUTE, NOW - 60 * MINUTE
    answer = await reader_of(stored).read("filesystem.used_bytes", stored.servers, start, end, 30, {})
    assert answer.tier == "1m"
    assert_same(answer, stored.expected("used_bytes", "1m", 60, aligned(start, 60), end))
    assert max(series.time[-1] for series in answer.series) < end


async def test_a_field_missing_for_whole_minutes_stays_missing(stored: Stored) -> None:
    answer = await reader_of(stored).read(
        "filesystem.used_percent", stored.servers, NOW - 2 * HOUR, NOW, 120, {"mountpoint": "/home"}
    )
    for series in answer.series:
        assert series.avg.count(None) > 5
        assert [i for i, v in enumerate(series.avg) if v is None] == [i for i, v in enumerate(series.min) if v is None]
        assert 0.0 not in series.avg
    there = await reader_of(stored).read(
        "filesystem.used_percent", stored.servers[:2], NOW - 2 * HOUR, NOW, 120, {"mountpoint": "/"}
    )
    assert all(None not in series.avg for series in there.series)


async def test_a_label_filter_takes_only_its_series(stored: Stored) -> None:
    read = reader_of(stored).read
    one = await read("filesystem.used_bytes", stored.servers, NOW - HOUR, NOW, 60, {"mountpoint": "/home"})
    everything = await read("filesystem.used_bytes", stored.servers, NOW - HOUR, NOW, 60, {})
    assert one.series == [series for series in everything.series if series.labels["mountpoint"] == "/home"]
    filtered = {"mountpoint": "/home", "device": "/dev/vda1", "filesystem_type": "ext4"}
    assert (await read("filesystem.used_bytes", stored.servers, NOW - HOUR, NOW, 60, filtered)).series == one.series
    nothing = await read("filesystem.used_bytes", stored.servers, NOW - HOUR, NOW, 60, {"mountpoint": "/home%"})
    assert nothing.series == []


@pytest.mark.parametrize("back", [HOUR / 2, 5 * DAY], ids=["raw", "hours"])
async def test_a_hole_is_one_empty_point_and_nothing_is_invented(stored: Stored, back: timedelta) -> None:
    points = 500 if back < HOUR else 120
    for window in ((NOW - back, NOW), (HOLE[0] - back, HOLE[0] + back)):
        answer = await reader_of(stored).read(
            "filesystem.used_bytes", stored.servers, window[0], min(window[1], NOW), points, {"mountpoint": "/"}
        )
        for series in answer.series:
            empty = [time for time, value in zip(series.time, series.avg, strict=True) if value is None]
            in_hole = series.server_id == stored.servers[2] and back < HOUR and window[0] < HOLE[0]
            assert len(empty) == (1 if in_hole else 0)
            assert all(HOLE[0] <= time <= HOLE[1] for time in empty)
            assert 0.0 not in series.avg


@pytest.mark.parametrize("points", [60, 30, 12, 4])
async def test_minutes_show_the_hole_as_well(stored: Stored, points: int) -> None:
    answer = await reader_of(stored).read(
        "filesystem.used_bytes", [stored.servers[2]], NOW - HOUR, NOW, points, {"mountpoint": "/"}
    )
    (series,) = answer.series
    assert answer.tier == "1m"
    assert series.avg.count(None) == (1 if answer.bucket_seconds <= 300 else 0)
    assert all(later > earlier for earlier, later in pairwise(series.time))


COMBINE: dict[str, tuple[Callable[[str], pl.Expr], str, str]] = {
    "avg": (lambda name: pl.col(name).mean(), "min", "max"),
    "sum": (lambda name: pl.col(name).sum(), "sum", "sum"),
    "min": (lambda name: pl.col(name).min(), "min", "min"),
    "max": (lambda name: pl.col(name).max(), "max", "max"),
}


def combine(frame: pl.DataFrame, by: list[str], how: str) -> pl.DataFrame:
    average, lowest, highest = COMBINE[how]
    lower, upper = getattr(pl.col("min"), lowest)(), getattr(pl.col("max"), highest)()
    return frame.group_by(*by, "time").agg(avg=average("avg"), min=lower, max=upper).sort(*by, "time")


@pytest.mark.parametrize("aggregate", ["avg", "min", "max", "sum"])
@pytest.mark.parametrize("by", [[], ["mountpoint"], ["server_id"], ["server_id", "mountpoint"]], ids=repr)
async def test_series_of_a_group_become_one(stored: Stored, aggregate: Any, by: list[str]) -> None:
    answer = await reader_of(stored).read(
        "filesystem.used_bytes", stored.servers, NOW - 2 * HOUR, NOW, 120, {}, aggregate, by
    )
    each = stored.expected("used_bytes", "1m", 60, aligned(NOW - 2 * HOUR, 60), NOW)
    expected = combine(each, by, aggregate)
    assert len(answer.series) == expected.select(by).n_unique() if by else 1
    for series in answer.series:
        same = expected
        if "server_id" in by:
            same = same.filter(pl.col("server_id") == series.server_id)
        if "mountpoint" in by:
            same = same.filter(pl.col("mountpoint") == series.labels["mountpoint"])
        assert (series.server_id is not None) == ("server_id" in by)
        assert set(series.labels) == set(by) - {"server_id"}
        assert_points(series, same)


def assert_points(series: Series, expected: pl.DataFrame) -> None:
    found = {
        time: values
        for time, *values in zip(series.time, series.avg, series.min, series.max, strict=True)
        if values != [None, None, None]
    }
    wanted = {time: list(values) for time, *values in expected.select("time", "avg", "min", "max").rows()}
    assert found.keys() == wanted.keys()
    for time, values in wanted.items():
        assert is_close(found[time], values)


async def test_the_sum_of_raw_rows_counts_every_server_in_every_point(stored: Stored) -> None:
    """Two servers never read at the same moment: without a common bucket each point would be one server's value."""
    back = 20 * MINUTE
    answer = await reader_of(stored).read(
        "filesystem.used_bytes", stored.servers, NOW - back, NOW, 500, {"mountpoint": "/"}, "sum", []
    )
    (series,) = answer.series
    assert (answer.tier, answer.bucket_seconds) == ("raw", 10)
    each = stored.expected("used_bytes", "raw", 10, aligned(NOW - back, 10), NOW).filter(pl.col("mountpoint") == "/")
    assert_points(series, combine(each, [], "sum"))
    assert each.group_by("time").len()["len"].unique().to_list() == [3]
