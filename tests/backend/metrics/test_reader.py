"""The reader over little data: the newest collection, values that users push, and lines that must not break."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chatops_backend.database.interface import Database
from chatops_backend.metrics.combine import find_holes
from chatops_backend.metrics.reader import MetricReader
from chatops_backend.problems import ProblemError
from chatops_protocol.catalog import MEASUREMENTS
from tests.backend.metrics.conftest import NewServer

pytestmark = pytest.mark.anyio

NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def reader(database: Database) -> MetricReader:
    return MetricReader(database, clock=NOW.timestamp)


async def store(database: Database, table: str, server_id: int, *rows: dict[str, Any]) -> None:
    """Rows with their age in seconds as `ago`."""
    for row in rows:
        names = [name for name in row if name != "ago"]
        columns = ", ".join(["time", "server_id", *(f'"{name}"' for name in names)])
        places = ", ".join(f"${n}" for n in range(1, len(names) + 3))
        await database.execute(
            f"INSERT INTO metrics.{table} ({columns}) VALUES ({places})",
            NOW - timedelta(seconds=row["ago"]),
            server_id,
            *(row[name] for name in names),
        )


async def test_a_server_that_never_sent_anything_has_an_empty_newest_collection(
    reader: MetricReader, new_server: NewServer
) -> None:
    assert await reader.latest(await new_server()) == {"time": None, "host": None} | {
        m.name: [] for m in MEASUREMENTS if m.labels
    }


async def test_the_newest_collection_is_the_newest_row_of_each_label(
    reader: MetricReader, database: Database, new_server: NewServer
) -> None:
    server_id, other = await new_server(), await new_server()
    await store(database, "host", server_id, {"ago": 10, "cpu_percent": 1.0}, {"ago": 5, "cpu_percent": 2.0})
    await store(database, "host", other, {"ago": 1, "cpu_percent": 99.0})
    core = [{"ago": ago, "core": n, "cpu_percent": float(ago)} for ago in (10, 5) for n in ("0", "1")]
    await store(database, "cpu", server_id, *core)
    # Processes are collected every thirty seconds.
    await store(database, "process", server_id, {"ago": 29, "name": "python3", "user": "root", "cpu_percent": None})
    latest = await reader.latest(server_id)
    assert latest["time"] == NOW - timedelta(seconds=5)
    assert latest["host"]["cpu_percent"] == 2.0
    assert latest["host"]["memory_used_percent"] is None
    assert {row["core"]: row["cpu_percent"] for row in latest["cpu"]} == {"0": 5.0, "1": 5.0}
    assert [(row["name"], row["user"], row["cpu_percent"]) for row in latest["process"]] == [("python3", "root", None)]
    assert latest["container"] == []


@pytest.mark.parametrize(("interval_s", "ago", "shown"), [(5, 119, True), (5, 121, False), (60, 239, True)])
async def test_what_is_no_longer_collected_is_not_shown_as_the_newest(
    reader: MetricReader, database: Database, new_server: NewServer, interval_s: float, ago: float, shown: bool
) -> None:
    server_id = await new_server(interval_s=interval_s)
    await store(database, "host", server_id, {"ago": 0, "cpu_percent": 1.0})
    stopped = {"ago": ago, "container_id": "c1", "name": "web", "image": "nginx", "cpu_percent": 3.0}
    await store(database, "container", server_id, stopped)
    assert len((await reader.latest(server_id))["container"]) == shown


async def test_a_silent_server_keeps_its_last_collection(
    reader: MetricReader, database: Database, new_server: NewServer
) -> None:
    server_id = await new_server()
    day = 86_400
    await store(database, "host", server_id, {"ago": 3 * day, "cpu_percent": 7.0})
    await store(database, "cpu", server_id, {"ago": 3 * day, "core": "0", "cpu_percent": 8.0})
    latest = await reader.latest(server_id)
    assert latest["time"] == NOW - timedelta(days=3)
    assert (latest["host"]["cpu_percent"], latest["cpu"][0]["cpu_percent"]) == (7.0, 8.0)


async def test_pushed_values_have_their_labels_as_objects_and_a_rhythm_of_their_own(
    reader: MetricReader, database: Database, new_server: NewServer
) -> None:
    server_id = await new_server()
    await store(
        database,
        "custom",
        server_id,
        {"ago": 7_200, "name": "orders", "labels": '{"shop": "a"}', "value": 1.0},
        {"ago": 3_600, "name": "orders", "labels": '{"shop": "a"}', "value": 2.0},
        {"ago": 60, "name": "orders", "labels": '{"shop": "b"}', "value": 3.0},
        {"ago": 900, "name": "queue", "labels": "{}", "value": 4.0},
    )
    latest = await reader.latest(server_id)
    assert [(row["name"], row["labels"], row["value"]) for row in latest["custom"]] == [
        ("orders", {"shop": "a"}, 2.0),
        ("orders", {"shop": "b"}, 3.0),
        ("queue", {}, 4.0),
    ]
    assert latest["time"] == NOW - timedelta(seconds=60)
    await store(database, "host", server_id, {"ago": 600, "cpu_percent": 1.0})
    latest = await reader.latest(server_id)
    assert latest["time"] == NOW - timedelta(seconds=600)
    assert latest["host"] is not None
    assert len(latest["custom"]) == 3

    start = NOW - timedelta(hours=3)
    everything = await reader.read("custom.value", [server_id], start, NOW, 100, {})
    assert [series.labels for series in everything.series] == [
        {"name": "orders", "labels": {"shop": "a"}},
        {"name": "orders", "labels": {"shop": "b"}},
        {"name": "queue", "labels": {}},
    ]
    # Order and spaces of the JSON text do not matter.
    one = await reader.read("custom.value", [server_id], start, NOW, 100, {"labels": '{ "shop":"a" }'})
    assert [value for series in one.series for value in series.avg if value is not None] == [1.0, 2.0]
    total = await reader.read("custom.value", [server_id], start, NOW, 100, {}, "sum", ["labels"])
    assert [series.labels for series in total.series] == [
        {"labels": {}},
        {"labels": {"shop": "a"}},
        {"labels": {"shop": "b"}},
    ]


@pytest.mark.parametrize("text", ["", "shop", "[]", '{"shop": 1}', '{"shop": "\\u0000"}', '{"shop"', '"shop"', "null"])
async def test_a_filter_on_labels_that_is_no_object_is_refused(
    reader: MetricReader, new_server: NewServer, text: str
) -> None:
    with pytest.raises(ProblemError) as caught:
        await reader.read("custom.value", [await new_server()], NOW - timedelta(hours=1), NOW, 10, {"labels": text})
    assert caught.value.problem.status == 400


async def test_processes_read_twice_a_minute_make_an_unbroken_line(
    reader: MetricReader, database: Database, new_server: NewServer
) -> None:
    server_id = await new_server()
    process = {"name": "python3", "user": "root", "cpu_percent": 1.0}
    await store(database, "process", server_id, *({"ago": 30 * n + 3, **process} for n in range(1, 61) if n != 20))
    for points in (1_000, 100, 31):
        answer = await reader.read("process.cpu_percent", [server_id], NOW - timedelta(minutes=31), NOW, points, {})
        (series,) = answer.series
        assert series.avg.count(None) == 0, answer.bucket_seconds
    await database.execute(
        "DELETE FROM metrics.process WHERE server_id = $1 AND time BETWEEN $2::timestamptz AND $3::timestamptz",
        server_id,
        NOW - timedelta(minutes=20),
        NOW - timedelta(minutes=15),
    )
    answer = await reader.read("process.cpu_percent", [server_id], NOW - timedelta(minutes=31), NOW, 1_000, {})
    assert answer.series[0].avg.count(None) == 1


async def test_a_slow_agents_line_is_unbroken_in_every_tier(
    reader: MetricReader, database: Database, new_server: NewServer
) -> None:
    server_id = await new_server(interval_s=300)
    await store(database, "host", server_id, *({"ago": 300 * n + 7, "cpu_percent": 1.0} for n in range(60)))
    tiers = set()
    for points in (5_000, 100, 20):
        answer = await reader.read("host.cpu_percent", [server_id], NOW - timedelta(hours=5), NOW, points, {})
        tiers.add(answer.tier)
        assert answer.series[0].avg.count(None) == 0, answer.tier
    assert tiers == {"raw", "1m"}


HOLES = [
    pytest.param([0, 5, 10, 15], 5, 5, [], id="regular"),
    pytest.param([0, 5.3, 9.9, 15.2], 5, 5, [], id="jitter"),
    pytest.param([0, 5, 15, 20], 5, 5, [], id="one reading is late"),
    pytest.param([0, 5, 18, 23], 5, 5, [2], id="two are missing"),
    pytest.param([0, 60, 180, 240], 60, 5, [2], id="a minute is missing"),
    pytest.param([0, 600], 60, 5, [1], id="two points far apart"),
    pytest.param([0, 60, 660, 720, 1_320, 1_380], 60, 5, [2, 4], id="several holes"),
    pytest.param([0, 30, 60, 90], 5, 5, [], id="readings more seldom than the interval says"),
    pytest.param([0, 20, 60, 80, 120, 140], 20, 30, [], id="thirty seconds in buckets of twenty"),
    pytest.param([0, 300, 600, 2_100, 2_400], 60, 300, [3], id="a hole of a slow agent"),
    pytest.param([], 60, 5, [], id="nothing"),
    pytest.param([0], 60, 5, [], id="one point"),
]


@pytest.mark.parametrize(("seconds", "bucket_s", "interval_s", "places"), HOLES)
def test_a_hole_is_told_from_the_rhythm(
    seconds: list[float], bucket_s: float, interval_s: float, places: list[int]
) -> None:
    assert find_holes([NOW + timedelta(seconds=s) for s in seconds], bucket_s, interval_s) == places
