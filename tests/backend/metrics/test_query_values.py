"""What a query makes of readings is what polars makes of them: percentiles, counts, tags, rates, differences, ranks."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import polars as pl
import pytest

from chatops_backend.metrics import reader, statements
from chatops_backend.metrics.question import Question
from chatops_backend.metrics.reader import MetricReader
from chatops_backend.problems import ProblemError
from chatops_protocol.resources import MetricSeries, Series
from tests.backend.metrics.conftest import DAY, HOLE, HOUR, MINUTE, NOW, Stored
from tests.rollups import refresh_rollups

pytestmark = pytest.mark.anyio

BYTES, PERCENT = "filesystem.used_bytes", "filesystem.used_percent"
BUCKET = "1m"
GROUPS = [[], ["server_id"], ["mountpoint"], ["tag"], ["tag", "mountpoint"], ["server_id", "mountpoint"]]
groups = pytest.mark.parametrize("by", GROUPS, ids=lambda by: " ".join(by) or "all")

Points = dict[tuple[Any, ...], float]


@pytest.fixture(scope="module")
async def rolled(stored: Stored) -> Stored:
    await refresh_rollups(stored.database, "filesystem", NOW)
    return stored


async def ask(stored: Stored, *metrics: str, **asked: Any) -> list[MetricSeries]:
    question = Question(
        metrics=metrics,
        server_ids=stored.servers,
        start=NOW - asked.pop("back", 2 * HOUR),
        end=asked.pop("end", NOW),
        points=asked.pop("points", 120),
        **asked,
    )
    return await MetricReader(stored.database, clock=NOW.timestamp).answer(question)


def points_of(answer: MetricSeries, by: Iterable[str], column: str = "avg") -> Points:
    """Values by the group's keys and time; those that are missing are left out."""
    found: Points = {}
    for series in answer.series:
        keys = [series.server_id if name == "server_id" else series.labels[name] for name in by]
        for time, value in zip(series.time, getattr(series, column), strict=True):
            if value is not None:
                assert (*keys, time) not in found
                found[*keys, time] = value
    return found


def points_in(frame: pl.DataFrame, by: Iterable[str]) -> Points:
    rows = frame.select(*by, "time", "value").drop_nulls("value").iter_rows()
    return {tuple(keys): value for *keys, value in rows}


def tagged(stored: Stored, frame: pl.DataFrame) -> pl.DataFrame:
    """Each row once per tag of its server."""
    tags = [["web", "eu"], ["web"], []]
    known = pl.DataFrame({"server_id": stored.servers, "tag": tags}, schema_overrides={"tag": pl.List(pl.String)})
    return frame.join(known.explode("tag").drop_nulls(), on="server_id")


def from_raw(stored: Stored, field: str, by: list[str], width: str, value: pl.Expr, back: timedelta) -> Points:
    """`value` over column ``reading`` of the raw rows of each group and bucket, from the bucket of the start on."""
    frame = stored.rows.sort("time").with_columns(reading=pl.col(field), bucket=pl.col("time").dt.truncate(width))
    frame = frame.filter(pl.col("bucket") >= pl.lit(NOW - back).dt.truncate(width), pl.col("time") < NOW)
    frame = tagged(stored, frame) if "tag" in by else frame
    return points_in(frame.group_by(*by, "bucket").agg(value=value).rename({"bucket": "time"}), by)


def assert_equal(found: Points, wanted: Points) -> None:
    assert len(wanted) > 3
    assert found.keys() == wanted.keys()
    for key, value in wanted.items():
        assert found[key] == pytest.approx(value, rel=1e-9), key


@groups
@pytest.mark.parametrize(("aggregate", "share"), [("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99)])
async def test_percentiles_are_those_of_the_raw_readings(
    rolled: Stored, aggregate: Any, share: float, by: list[str]
) -> None:
    (answer,) = await ask(rolled, PERCENT, aggregate=aggregate, group_by=by)
    assert (answer.tier, answer.bucket_seconds, answer.unit) == ("raw", 60, "percent")
    expected = from_raw(rolled, "used_percent", by, BUCKET, pl.col("reading").quantile(share, "linear"), 2 * HOUR)
    assert_equal(points_of(answer, by), expected)
    assert all(series.avg == series.min == series.max for series in answer.series)


@groups
async def test_the_last_reading_of_a_bucket_is_its_newest(rolled: Stored, by: list[str]) -> None:
    newest = pl.col("reading").sort_by("time", "reading").drop_nulls().last()
    (answer,) = await ask(rolled, BYTES, aggregate="last", group_by=by)
    assert (answer.tier, answer.bucket_seconds) == ("raw", 60)
    assert_equal(points_of(answer, by), from_raw(rolled, "used_bytes", by, BUCKET, newest, 2 * HOUR))


async def test_the_last_of_a_time_without_raw_rows_is_the_average_of_the_newest_minute(rolled: Stored) -> None:
    back = 40 * DAY
    (answer,) = await ask(rolled, BYTES, aggregate="last", group_by=["server_id", "mountpoint"], back=back, points=40)
    assert (answer.tier, answer.bucket_seconds) == ("1m", 86_400)
    by = ["server_id", "mountpoint"]
    minutes = rolled.rows.group_by(*by, pl.col("time").dt.truncate("1m")).agg(value=pl.col("used_bytes").mean())
    newest = minutes.sort("time").group_by(*by, pl.col("time").dt.truncate("1d")).agg(pl.col("value").last())
    newest = newest.filter(pl.col("time") >= pl.lit(NOW - back).dt.truncate("1d"))
    assert_equal(points_of(answer, by), points_in(newest, by))


@groups
async def test_counts_of_raw_rows_are_of_what_was_read(rolled: Stored, by: list[str]) -> None:
    (answer,) = await ask(rolled, PERCENT, aggregate="count", group_by=by, back=20 * MINUTE, points=40)
    assert (answer.tier, answer.bucket_seconds, answer.unit) == ("raw", 30, "count")
    counted = pl.when(pl.col("reading").count() > 0).then(pl.col("reading").count().cast(pl.Float64))
    assert_equal(points_of(answer, by), from_raw(rolled, "used_percent", by, "30s", counted, 20 * MINUTE))


@groups
@pytest.mark.parametrize(("points", "width"), [(120, "1m"), (40, "3m")])
async def test_counts_of_roll_ups_are_their_samples_where_the_field_was_read(
    rolled: Stored, by: list[str], points: int, width: str
) -> None:
    (answer,) = await ask(rolled, PERCENT, aggregate="count", group_by=by, points=points)
    assert answer.tier == "1m"
    each = ["server_id", "mountpoint"]
    minutes = rolled.rows.group_by(*each, pl.col("time").dt.truncate("1m")).agg(
        read=pl.col("used_percent").count(), samples=pl.len().cast(pl.Float64)
    )
    minutes = minutes.filter(
        pl.col("read") > 0, pl.col("time") >= pl.lit(NOW - 2 * HOUR).dt.truncate(width), pl.col("time") < NOW
    )
    minutes = tagged(rolled, minutes) if "tag" in by else minutes
    counted = minutes.group_by(*by, pl.col("time").dt.truncate(width)).agg(value=pl.col("samples").sum())
    assert_equal(points_of(answer, by), points_in(counted, by))


@pytest.mark.parametrize("aggregate", ["avg", "min", "max", "sum"])
async def test_a_server_counts_in_each_of_its_tags_and_without_one_in_none(rolled: Stored, aggregate: Any) -> None:
    (answer,) = await ask(rolled, BYTES, aggregate=aggregate, group_by=["tag", "mountpoint"])
    start = (NOW - 2 * HOUR).replace(second=0)
    each = tagged(rolled, rolled.expected("used_bytes", "1m", 60, start, NOW))
    combined = each.group_by("tag", "mountpoint", "time").agg(
        value=getattr(pl.col("avg"), {"avg": "mean"}.get(aggregate, aggregate))()
    )
    assert_equal(points_of(answer, ["tag", "mountpoint"]), points_in(combined, ["tag", "mountpoint"]))
    assert {series.labels["tag"] for series in answer.series} == {"eu", "web"}
    assert {series.server_id for series in answer.series} == {None}


SERIES = ["server_id", "mountpoint"]


def minutes_of(stored: Stored, start: datetime, field: str = "used_bytes") -> Points:
    frame = stored.expected(field, "1m", 60, start.replace(second=0), NOW)
    return points_in(frame.rename({"avg": "value"}), SERIES)


async def test_a_rate_is_the_change_per_second_since_the_point_before(rolled: Stored) -> None:
    (answer,) = await ask(rolled, BYTES, rate=True)
    assert (answer.tier, answer.unit) == ("1m", "bytes_per_second")
    values = minutes_of(rolled, NOW - 2 * HOUR - MINUTE)
    start = (NOW - 2 * HOUR).replace(second=0)
    expected = {
        (server, mount, time): (value - values[server, mount, time - MINUTE]) / 60
        for (server, mount, time), value in values.items()
        if time >= start and (server, mount, time - MINUTE) in values
    }
    assert_equal(points_of(answer, SERIES), expected)
    # Not over the hole: its first point has none before it.
    broken = [series for series in answer.series if series.server_id == rolled.servers[2]]
    assert all(after_hole(series).count(None) >= 2 for series in broken)


def after_hole(series: Series) -> list[float | None]:
    pairs = zip(series.time, series.avg, strict=True)
    return [value for time, value in pairs if HOLE[0] <= time <= HOLE[1] + 2 * MINUTE]


@pytest.mark.parametrize("against_s", [1_800, 3_600, 300])
async def test_a_difference_is_to_the_bucket_that_much_earlier(rolled: Stored, against_s: int) -> None:
    (answer,) = await ask(rolled, BYTES, against_s=against_s, back=HOUR, points=60)
    assert answer.tier == "1m"
    earlier = timedelta(seconds=against_s)
    values = minutes_of(rolled, NOW - HOUR - earlier)
    start = (NOW - HOUR).replace(second=0)
    expected = {
        (server, mount, time): value - values[server, mount, time - earlier]
        for (server, mount, time), value in values.items()
        if time >= start and (server, mount, time - earlier) in values
    }
    # An hour earlier there is no hole; in the others values are missing that were read.
    assert (len(expected) < sum(1 for *_, time in values if time >= start)) == (against_s < 3_600)
    assert_equal(points_of(answer, SERIES), expected)


async def test_raw_readings_are_compared_in_buckets_that_both_times_share(rolled: Stored) -> None:
    back = 10 * MINUTE
    (answer,) = await ask(rolled, BYTES, against_s=77, back=back, points=500)
    assert (answer.tier, answer.bucket_seconds) == ("raw", 10)
    rows = rolled.rows.filter(pl.col("time") >= NOW - back).with_columns(pl.col("time").dt.truncate("10s"))
    now = rows.group_by(*SERIES, "time").agg(value=pl.col("used_bytes").mean())
    moved = rolled.rows.with_columns(time=pl.col("time") + timedelta(seconds=77)).filter(
        pl.col("time") >= NOW - back, pl.col("time") < NOW
    )
    then = moved.group_by(*SERIES, pl.col("time").dt.truncate("10s")).agg(before=pl.col("used_bytes").mean())
    both = now.join(then, on=[*SERIES, "time"]).with_columns(value=pl.col("value") - pl.col("before"))
    assert_equal(points_of(answer, SERIES), points_in(both, SERIES))


async def test_a_rate_of_a_difference_is_the_difference_of_the_rates(rolled: Stored) -> None:
    (both,) = await ask(rolled, BYTES, rate=True, against_s=3_600, back=HOUR / 2, points=30)
    (rate,) = await ask(rolled, BYTES, rate=True, back=HOUR / 2, points=30)
    (before,) = await ask(rolled, BYTES, rate=True, back=3 * HOUR / 2, end=NOW - HOUR, points=30)
    rates, earlier = points_of(rate, SERIES), points_of(before, SERIES)
    found = points_of(both, SERIES)
    assert len(found) > 100
    for (server, mount, time), value in found.items():
        expected = rates[server, mount, time] - earlier[server, mount, time - HOUR]
        assert value == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("top_by", ["avg", "max"])
async def test_the_top_are_the_highest_of_the_range_in_order(rolled: Stored, top_by: Any) -> None:
    (everything,) = await ask(rolled, BYTES)
    (answer,) = await ask(rolled, BYTES, top=2, top_by=top_by)
    frame = rolled.expected("used_bytes", "1m", 60, (NOW - 2 * HOUR).replace(second=0), NOW)
    value = pl.col("avg").mean() if top_by == "avg" else pl.col("max").max()
    ranked = frame.group_by(SERIES).agg(value=value).sort("value", descending=True).head(2)
    named = [(series.server_id, series.labels["mountpoint"]) for series in answer.series]
    assert named == ranked.select(SERIES).rows()
    assert all(series in everything.series for series in answer.series)
    (many,) = await ask(rolled, BYTES, top=100)
    assert len(many.series) == 6


async def test_several_metrics_are_answered_in_the_order_asked(rolled: Stored) -> None:
    answers = await ask(rolled, PERCENT, BYTES, "host.cpu_percent", points=30)
    assert [answer.metric for answer in answers] == [PERCENT, BYTES, "host.cpu_percent"]
    assert [answer.unit for answer in answers] == ["percent", "bytes", "percent"]
    for answer, metric in zip(answers[:2], (PERCENT, BYTES), strict=True):
        assert [answer] == await ask(rolled, metric, points=30)
    assert answers[2].series == []


async def refusal(stored: Stored, *metrics: str, **asked: Any) -> str:
    with pytest.raises(ProblemError) as caught:
        await ask(stored, *metrics, **asked)
    assert caught.value.problem.status == 400
    return caught.value.problem.detail


@pytest.mark.parametrize("aggregate", ["p50", "p90", "p95", "p99"])
async def test_percentiles_are_refused_where_raw_rows_are_gone(rolled: Stored, aggregate: Any) -> None:
    reason = await refusal(rolled, PERCENT, aggregate=aggregate, back=8 * DAY)
    assert "kept" in reason
    assert (NOW - 7 * DAY).isoformat(timespec="seconds") in reason
    reason = await refusal(rolled, PERCENT, aggregate=aggregate, back=4 * DAY, against_s=4 * 86_400)
    assert "against_s" in reason
    assert await ask(rolled, PERCENT, aggregate=aggregate, back=6 * DAY)


async def test_a_difference_needs_rows_that_are_in_step(rolled: Stored) -> None:
    assert "multiple" in await refusal(rolled, BYTES, back=100 * DAY, against_s=90)
    (answer,) = await ask(rolled, BYTES, back=5 * DAY, points=5, against_s=5_400)
    assert answer.tier == "1m"
    (answer,) = await ask(rolled, BYTES, back=5 * DAY, points=5, against_s=7_200)
    assert answer.tier == "1h"


@pytest.mark.parametrize("by", [[], ["tag"]], ids=["all", "tag"])
async def test_no_more_readings_are_looked_at_than_allowed(
    rolled: Stored, monkeypatch: pytest.MonkeyPatch, by: list[str]
) -> None:
    rows = rolled.rows.filter(pl.col("time") >= (NOW - 2 * HOUR).replace(second=0))
    count = (tagged(rolled, rows) if by else rows).height
    for most, fits in ((count, True), (count - 1, False)):
        monkeypatch.setattr(reader, "MAX_READINGS", most)
        monkeypatch.setattr(statements, "MAX_READINGS", most)
        if fits:
            assert await ask(rolled, PERCENT, aggregate="p95", group_by=by)
        else:
            assert f"more than {most}" in await refusal(rolled, PERCENT, aggregate="p95", group_by=by)


async def test_all_metrics_together_stay_within_the_points_of_one_answer(
    rolled: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = await ask(rolled, PERCENT, BYTES, points=10)
    points = sum(len(series.time) for answer in answers for series in answer.series)
    monkeypatch.setattr(reader, "MAX_TOTAL_POINTS", points)
    assert await ask(rolled, PERCENT, BYTES, points=10) == answers
    monkeypatch.setattr(reader, "MAX_TOTAL_POINTS", points - 1)
    assert "all series together" in await refusal(rolled, PERCENT, BYTES, points=10)
    monkeypatch.setattr(reader, "MAX_TOTAL_POINTS", points * 3 // 4)
    assert "all series together" in await refusal(rolled, PERCENT, points=10, against_s=86_400)
