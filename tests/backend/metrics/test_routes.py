"""The metrics API over HTTP: what it answers, and whom and what it refuses."""

from datetime import datetime, timedelta
from itertools import product
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from chatops_backend.database.interface import Database
from chatops_backend.metrics import reader
from chatops_protocol.catalog import MEASUREMENTS, metric_names
from tests.backend.metrics.conftest import LAST_HOUR, METRIC, TODAY, NewServer, assert_problem

pytestmark = pytest.mark.anyio


def at(**ago: float) -> str:
    return (TODAY - timedelta(**ago)).isoformat()


PATHS = [
    "/metrics/catalog",
    "/metrics/1/latest",
    f"/metrics/1/history?metric={METRIC}&start=2025-01-01",
    "/metrics/query",
]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer nothing"}, {"Authorization": "Basic YTpi"}])
async def test_strangers_are_refused_before_anything_is_looked_at(
    anonymous: httpx.AsyncClient, path: str, headers: dict[str, str]
) -> None:
    assert_problem(await anonymous.get(path, headers=headers), 401)


# -- catalog and latest ------------------------------------------------------------------------------------------


async def test_the_catalogue_lists_every_metric(api: httpx.AsyncClient) -> None:
    metrics = (await api.get("/metrics/catalog")).raise_for_status().json()["metrics"]
    assert [entry["metric"] for entry in metrics] == metric_names()
    by_name = {entry["metric"]: entry for entry in metrics}
    assert by_name["filesystem.used_percent"] == {
        "metric": "filesystem.used_percent",
        "measurement": "filesystem",
        "field": "used_percent",
        "unit": "percent",
        "description": "Used share of what ordinary users can use",
        "labels": ["mountpoint", "device", "filesystem_type"],
    }


async def test_latest_has_every_measurement(api: httpx.AsyncClient, server_id: int) -> None:
    latest = (await api.get(f"/metrics/{server_id}/latest")).raise_for_status().json()
    assert list(latest) == ["time", *(m.name for m in MEASUREMENTS)]
    assert datetime.fromisoformat(latest["time"]) == TODAY - timedelta(seconds=5)
    assert latest["time"].endswith("Z")
    assert set(latest["host"]) == set(MEASUREMENTS[0].field_names)
    assert (latest["host"]["cpu_percent"], latest["host"]["load_1m"]) == (1.0, None)
    assert [(row["mountpoint"], row["used_percent"]) for row in latest["filesystem"]] == [("/", 1.0), ("/home", 1.0)]
    assert {row["user"] for row in latest["process"]} == {"root", "ann"}
    assert latest["container"] == []


@pytest.mark.parametrize("bad", ["0", "-1", "2147483648", "9223372036854775808", "1" + "0" * 30])
async def test_server_ids_out_of_bounds_are_refused(api: httpx.AsyncClient, bad: str) -> None:
    for path in (f"/metrics/{bad}/latest", f"/metrics/{bad}/history"):
        assert (await api.get(path, params=LAST_HOUR)).status_code in (400, 404)
    assert_problem(await api.get("/metrics/query", params=LAST_HOUR | {"server_id": bad}), 400)


@pytest.mark.parametrize("bad", ["abc", "1.5", "1e3", "%00", "1;", "1'--"])
async def test_server_ids_that_are_no_numbers_are_refused(api: httpx.AsyncClient, bad: str) -> None:
    for path in (f"/metrics/{bad}/latest", f"/metrics/{bad}/history"):
        assert (await api.get(path, params=LAST_HOUR)).status_code in (400, 404)


async def test_an_unknown_server_is_not_found(api: httpx.AsyncClient, server_id: int) -> None:
    unknown = 2**31 - 1
    assert_problem(await api.get(f"/metrics/{unknown}/latest"), 404, "server 2147483647")
    assert_problem(await api.get(f"/metrics/{unknown}/history", params=LAST_HOUR), 404, "server 2147483647")
    both = [("server_id", str(server_id)), ("server_id", str(unknown)), *LAST_HOUR.items()]
    assert_problem(await api.get("/metrics/query", params=both), 404, "server 2147483647")


# -- history and query -------------------------------------------------------------------------------------------


async def test_history_answers_columns(api: httpx.AsyncClient, server_id: int) -> None:
    answer = (await api.get(f"/metrics/{server_id}/history", params=LAST_HOUR)).raise_for_status()
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert list(body) == ["metric", "unit", "tier", "bucket_seconds", "series"]
    assert (body["metric"], body["unit"], body["tier"], body["bucket_seconds"]) == (METRIC, "percent", "1m", 60.0)
    (series,) = body["series"]
    assert list(series) == ["server_id", "labels", "time", "avg", "min", "max"]
    assert (series["server_id"], series["labels"]) == (server_id, {})
    assert len(series["time"]) == len(series["avg"]) == len(series["min"]) == len(series["max"]) in (10, 11)
    assert all(time.endswith(":00Z") for time in series["time"])
    assert min(series["min"]) == 1.0
    assert max(series["max"]) == 120.0


@pytest.mark.parametrize("path", ["/metrics/{}/history", "/metrics/query?server_id={}"])
async def test_start_and_metric_are_needed_and_the_rest_has_defaults(
    api: httpx.AsyncClient, server_id: int, path: str
) -> None:
    path = path.format(server_id)
    path += "&" if "?" in path else "?"
    assert_problem(await api.get(f"{path}start={quote(at(hours=1))}"), 400, "metric")
    assert_problem(await api.get(f"{path}metric={METRIC}"), 400, "start")
    answer = (await api.get(f"{path}metric={METRIC}&start={quote(at(hours=1))}")).raise_for_status().json()
    assert answer["tier"] == "raw"
    assert len(answer["series"][0]["time"]) == 120


async def test_an_unknown_metric_is_answered_with_its_neighbours(api: httpx.AsyncClient, server_id: int) -> None:
    for wrong, near in (("host.cpu_percnt", METRIC), ("filesystem.used", "filesystem.used_percent"), ("cpu", "cpu.")):
        problem = assert_problem(
            await api.get(f"/metrics/{server_id}/history", params=LAST_HOUR | {"metric": wrong}), 404
        )
        assert near in problem["detail"]
    for wrong in ("", ".", "host.", ".cpu_percent", "host.cpu_percent.x", "x" * 5_000, "host_1m.cpu_percent_avg"):
        assert_problem(await api.get(f"/metrics/{server_id}/history", params=LAST_HOUR | {"metric": wrong}), 404)


MALFORMED = [
    ({"start": at(), "end": at(hours=1)}, "exchange"),
    ({"start": at(), "end": at()}, "exchange"),
    ({"start": at(hours=-1)}, "exchange"),
    ({"points": "10001"}, "10000"),
    ({"points": "0"}, "1 to 10000"),
    ({"points": "-5"}, "1 to 10000"),
    ({"points": "1" + "0" * 30}, "1 to 10000"),
    ({"points": "many"}, "points"),
    ({"points": "1.5"}, "points"),
    ({"points": "NaN"}, "points"),
    ({"start": "yesterday"}, "start"),
    ({"start": "2025-13-01T00:00:00Z"}, "start"),
    ({"start": "0001-01-01T00:00:00+23:59"}, "2000"),
    ({"start": "1999-12-31T23:59:59Z"}, "2000"),
    ({"start": "9999-12-31T23:59:59-23:59"}, "exchange"),
    ({"end": "9999-12-31T23:59:59-23:59"}, "a year"),
    ({"end": "0001-01-01T00:00:00+23:59"}, "exchange"),
    ({"labels": "{"}, "JSON object"),
    ({"labels": "[]"}, "JSON object"),
    ({"labels": "null"}, "JSON object"),
    ({"labels": '{"mountpoint": 1}'}, "JSON object"),
    ({"labels": '{"mountpoint": null}'}, "JSON object"),
    ({"labels": "[" * 5_000}, "JSON object"),
    ({"labels": '{"mountpoint": "\\ud800"}'}, "JSON object"),
    ({"labels": '{"mountpoint": "/"}'}, "no label 'mountpoint'"),
    ({"metric": "filesystem.used_percent", "labels": '{"server_id": "1"}'}, "no label 'server_id'"),
    ({"metric": "filesystem.used_percent", "labels": '{"nope": "/"}'}, "mountpoint, device, filesystem_type"),
    ({"metric": "filesystem.used_percent", "labels": '{"mountpoint": "\\u0000"}'}, "NUL"),
]


@pytest.mark.parametrize(("changes", "word"), MALFORMED, ids=[str(changes)[:60] for changes, _ in MALFORMED])
async def test_what_is_malformed_is_refused_by_name(
    api: httpx.AsyncClient, server_id: int, changes: dict[str, str], word: str
) -> None:
    assert_problem(await api.get(f"/metrics/{server_id}/history", params=LAST_HOUR | changes), 400, word)
    assert_problem(await api.get("/metrics/query", params=LAST_HOUR | changes | {"server_id": server_id}), 400, word)


async def test_a_time_without_zone_is_utc_and_other_zones_are_understood(
    api: httpx.AsyncClient, server_id: int
) -> None:
    start, end = TODAY - timedelta(minutes=30), TODAY
    spellings = [
        (start.isoformat(), end.isoformat()),
        (start.replace(tzinfo=None).isoformat(), end.replace(tzinfo=None).isoformat()),
        (start.isoformat().replace("+00:00", "Z"), end.isoformat().replace("+00:00", "Z")),
        ((start + timedelta(hours=5.5)).isoformat().replace("+00:00", "+05:30"), end.isoformat()),
    ]
    answers = [
        (await api.get(f"/metrics/{server_id}/history", params=LAST_HOUR | {"start": s, "end": e}))
        .raise_for_status()
        .json()
        for s, e in spellings
    ]
    assert all(answer == answers[0] for answer in answers)
    assert answers[0]["series"]


# -- several servers ---------------------------------------------------------------------------------------------


async def test_no_server_named_is_no_series(api: httpx.AsyncClient, server_id: int) -> None:
    """An empty choice must never mean all."""
    for params in (LAST_HOUR, LAST_HOUR | {"tag": "nobody-has-this"}, LAST_HOUR | {"aggregate": "avg"}):
        answer = (await api.get("/metrics/query", params=params)).raise_for_status().json()
        assert answer["series"] == []
    for name, text in product(("server_id", "tag"), ("", "all", "*", "null", "[]", "0", "-1", "%")):
        answer = await api.get("/metrics/query", params=LAST_HOUR | {name: text})
        assert answer.status_code == 400 or answer.json()["series"] == []


async def test_servers_are_chosen_by_id_and_by_tag(
    api: httpx.AsyncClient, database: Database, new_server: NewServer
) -> None:
    first, second, third = await new_server("db", "env=test"), await new_server("db"), await new_server("cache")
    for server in (first, second, third):
        await database.execute(
            "INSERT INTO metrics.host (time, server_id, cpu_percent) VALUES ($1, $2::integer, $2::integer)",
            TODAY - timedelta(seconds=90),
            server,
        )

    async def servers(*params: tuple[str, str | int]) -> list[int]:
        answer = (await api.get("/metrics/query", params=[*LAST_HOUR.items(), *params])).raise_for_status().json()
        return [series["server_id"] for series in answer["series"]]

    assert await servers(("tag", "db")) == [first, second]
    assert await servers(("tag", "env=test")) == [first]
    assert await servers(("tag", "d")) == []
    assert await servers(("server_id", third), ("tag", "env=test")) == [first, third]
    assert await servers(("server_id", third), ("server_id", third)) == [third]

    params = LAST_HOUR | {"tag": "db", "aggregate": "sum"}
    (series,) = (await api.get("/metrics/query", params=params)).raise_for_status().json()["series"]
    assert (series["server_id"], series["labels"], series["avg"]) == (None, {}, [first + second])


async def test_groups_are_formed_by_labels_even_by_one_named_user(api: httpx.AsyncClient, server_id: int) -> None:
    params = {**LAST_HOUR, "metric": "process.cpu_percent", "server_id": str(server_id)}

    async def labels(**changes: Any) -> list[dict[str, str]]:
        answer = (await api.get("/metrics/query", params=params | changes)).raise_for_status().json()
        return [series["labels"] for series in answer["series"]]

    assert await labels() == [{"name": "python3", "user": "ann"}, {"name": "python3", "user": "root"}]
    assert await labels(labels='{"user": "root"}') == [{"name": "python3", "user": "root"}]
    assert await labels(aggregate="max", group_by="user") == [{"user": "ann"}, {"user": "root"}]
    assert await labels(aggregate="max", group_by=["user", "name", "user"]) == [
        {"user": "ann", "name": "python3"},
        {"user": "root", "name": "python3"},
    ]


async def test_a_choice_that_cannot_be_answered_is_refused(api: httpx.AsyncClient, server_id: int) -> None:
    chosen = LAST_HOUR | {"server_id": str(server_id)}
    for changes, word in (
        ({"group_by": "server_id"}, "needs `aggregate`"),
        ({"aggregate": "median"}, "aggregate"),
        ({"aggregate": "avg", "group_by": "mountpoint"}, "group_by"),
        ({"aggregate": "avg", "group_by": "bucket"}, "group_by"),
        ({"tag": "x" * 65}, "tag"),
        ({"tag": "a b"}, "tag"),
    ):
        assert_problem(await api.get("/metrics/query", params=chosen | changes), 400, word)
    many = [("server_id", str(n)) for n in range(1, 2_002)]
    assert_problem(await api.get("/metrics/query", params=[*LAST_HOUR.items(), *many]), 400, "2000")
    fine = {**LAST_HOUR, "points": "10000"}
    assert_problem(await api.get("/metrics/query", params=[*fine.items(), *many[:101]]), 400, "together")


async def test_more_points_than_one_answer_may_have_are_refused_with_what_to_narrow(
    api: httpx.AsyncClient, server_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server has two processes in each of the last ten minutes."""
    processes = {"metric": "process.cpu_percent", "server_id": str(server_id), "start": at(minutes=10), "points": "10"}
    processes |= {"end": at()}
    answer = (await api.get("/metrics/query", params=processes)).json()
    points = sum(len(series["time"]) for series in answer["series"])
    monkeypatch.setattr(reader, "MAX_TOTAL_POINTS", points)
    assert (await api.get("/metrics/query", params=processes)).json() == answer
    monkeypatch.setattr(reader, "MAX_TOTAL_POINTS", points - 1)
    refused = await api.get("/metrics/query", params=processes)
    assert_problem(refused, 400, f"more than {points - 1} points", "a label (name, user)", "`aggregate`")
    one = processes | {"labels": '{"user": "root"}'}
    assert (await api.get("/metrics/query", params=one)).status_code == 200
    assert (await api.get("/metrics/query", params=processes | {"aggregate": "sum"})).status_code == 200
    monkeypatch.setattr(reader, "MAX_TOTAL_POINTS", 15)
    both = processes | {"aggregate": "sum", "group_by": ["user", "server_id"]}
    assert_problem(await api.get("/metrics/query", params=both), 400, "fewer names in `group_by`")


@pytest.mark.parametrize(
    ("method", "path"),
    [(m, p) for m in ("POST", "PUT", "DELETE", "PATCH") for p in ("/metrics/catalog", "/metrics/query")],
)
async def test_reading_is_all_one_can_do(api: httpx.AsyncClient, method: str, path: str) -> None:
    assert_problem(await api.request(method, path), 405)
