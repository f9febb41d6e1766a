"""Whatever is asked of ``/metrics/query``: an answer within its bounds, or a refusal that says what is wrong."""

import secrets
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from litestar import Litestar

from chatops_backend.accounts import first_run
from chatops_backend.accounts.passwords import Passwords
from chatops_backend.audit.actor import SYSTEM
from chatops_backend.database.interface import Database
from chatops_backend.metrics.planner import MAX_POINTS
from chatops_backend.metrics.reader import MAX_TOTAL_POINTS
from chatops_protocol.catalog import BY_NAME, metric_names
from chatops_protocol.resources import AGGREGATES, CreateUserRequest
from tests.backend.conftest import open_client
from tests.backend.metrics.conftest import LAST_HOUR, METRIC, TODAY, NewServer, assert_problem

pytestmark = pytest.mark.anyio

METRICS = ["host.cpu_percent", "filesystem.used_percent", "process.cpu_percent", "custom.value"]
LABELS = sorted({label for measurement in BY_NAME.values() for label in measurement.label_names})
NUMBERS = st.integers(-3, 400) | st.integers() | st.sampled_from([2**31, 2**63, 10**30, 1_000_000])
JUNK = st.text(max_size=12) | st.sampled_from(["NaN", "1e400", "-0", "", "'; --", "\0", "null", "[]", "{}", "true"])


def some(*strategies: Any) -> Any:
    return st.lists(st.one_of(*strategies), max_size=4)


@st.composite
def questions(draw: Any) -> list[tuple[str, str]]:
    """Mostly sensible, and now and then something else in one place or several."""
    start = TODAY - draw(st.sampled_from([timedelta(minutes=5), timedelta(hours=1), timedelta(days=8), timedelta(900)]))
    values: dict[str, Any] = {
        "metric": draw(st.lists(st.sampled_from(METRICS), min_size=1, max_size=3)),
        "start": [start.isoformat()],
        "server_id": draw(some(st.sampled_from(["HERE"]), st.sampled_from(["HERE"]), NUMBERS)),
        "tag": draw(st.sampled_from([[], [], ["bounds"]])),
        "points": [draw(st.sampled_from([1, 10, 100, MAX_POINTS]) | NUMBERS)],
        "labels": [draw(st.sampled_from(["{}", "{}", '{"mountpoint": "/"}', '{"labels": "{}"}']) | JUNK)],
        "aggregate": draw(st.lists(st.sampled_from(AGGREGATES), max_size=1)),
        "group_by": draw(st.lists(st.sampled_from(["server_id", "tag", *LABELS, "time", "avg"]), max_size=3)),
        "rate": draw(st.lists(st.booleans(), max_size=1)),
        "against_s": draw(st.lists(st.sampled_from([60, 3_600, 86_400]) | NUMBERS, max_size=1)),
        "top": draw(st.lists(st.integers(1, 5) | NUMBERS, max_size=1)),
        "top_by": draw(st.lists(st.sampled_from(["avg", "max"]), max_size=1)),
    }
    for name in draw(st.lists(st.sampled_from(sorted(values)), max_size=1)):
        values[name] = draw(some(JUNK, NUMBERS, st.sampled_from(metric_names())))
    return [(name, str(value)) for name, several in values.items() for value in several]


@given(question=questions())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_any_question_is_answered_within_bounds_or_refused(
    api: httpx.AsyncClient, bounded: int, question: list[tuple[str, str]]
) -> None:
    asked = [(name, str(bounded) if value == "HERE" else value) for name, value in question]
    answer = await api.get("/metrics/query", params=asked)
    if answer.status_code != 200:
        assert answer.status_code in (400, 404), answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["detail"]
        return
    given_of = {name: [value for key, value in asked if key == name] for name, _ in asked}
    metrics = given_of["metric"]
    body = answer.json()
    answers = body["metrics"] if len(metrics) > 1 else [body]
    assert [one["metric"] for one in answers] == metrics
    points = 0
    for one in answers:
        assert len(one["series"]) <= int(given_of.get("top", ["1000000"])[0])
        for series in one["series"]:
            points += len(series["time"])
            assert len(series["time"]) == len(series["avg"]) == len(series["min"]) == len(series["max"]) > 0
            assert series["time"] == sorted(set(series["time"]))
            assert series["server_id"] in (None, bounded)
            assert len(series["time"]) <= 2 * int(given_of["points"][0]) + 3
    assert points <= MAX_TOTAL_POINTS


@pytest.fixture(scope="module")
async def bounded(database: Database, new_server: NewServer) -> int:
    """A server with ten minutes of what `METRICS` are about."""
    server_id = await new_server("bounds", "more")
    for statement in (
        "host (time, server_id, cpu_percent) SELECT at, $1, n FROM moments",
        (
            "filesystem (time, server_id, mountpoint, device, filesystem_type, used_percent) "
            "SELECT at, $1, mount, 'disk', 'ext4', n FROM moments, unnest(ARRAY['/', '/home']) AS mount"
        ),
        "process (time, server_id, name, \"user\", cpu_percent) SELECT at, $1, 'python3', 'root', n FROM moments",
        (
            "custom (time, server_id, name, labels, value) SELECT at, $1, 'orders', '{\"shop\": \"a\"}', "
            "CASE WHEN n < 9 THEN 'NaN'::float8 WHEN n = 20 THEN 1e308 WHEN n = 21 THEN 1.7e308 ELSE n END FROM moments"
        ),
    ):
        await database.execute(
            "WITH moments AS (SELECT $2::timestamptz - n * INTERVAL '5 seconds' AS at, n "
            f"FROM generate_series(1, 60) AS n) INSERT INTO metrics.{statement}",
            server_id,
            TODAY,
        )
    return server_id


def many(**several: list[Any]) -> list[tuple[str, str]]:
    return [*LAST_HOUR.items(), *((name, str(value)) for name, values in several.items() for value in values)]


@pytest.mark.parametrize(
    ("params", "word"),
    [
        (many(metric=[METRIC]), "twice"),
        (many(metric=metric_names()[1:21]), "1 to 20"),
        (many(metric=["filesystem.used_percent"], labels=['{"mountpoint": "/"}']), "host has no label"),
        (many(metric=["filesystem.used_percent"], aggregate=["avg"], group_by=["mountpoint"]), "host can be grouped"),
        (many(group_by=["tag"]), "needs `aggregate`"),
        (many(aggregate=["p96"]), "aggregate"),
        (many(aggregate=["avg"], group_by=["tags"]), "server_id, tag and its labels"),
        (many(top=[0]), "top"),
        (many(top=[1_001]), "top"),
        (many(top=[1], top_by=["sum"]), "top_by"),
        (many(against_s=[-1]), "against_s"),
        (many(against_s=[40 * 366 * 86_400]), "against_s"),
        (many(against_s=["a day"]), "against_s"),
        (many(rate=["fast"]), "rate"),
        (many(metric=["cpu.cpu_percent", "disk.busy_percent"], server_id=range(1, 2_000), points=[500]), "3 metrics"),
    ],
    ids=lambda value: value if isinstance(value, str) else "asked",
)
async def test_what_is_wrong_is_named(api: httpx.AsyncClient, params: list[tuple[str, str]], word: str) -> None:
    if word == "3 metrics":
        params = [pair for pair in params if pair != ("points", LAST_HOUR["points"])]
    assert_problem(await api.get("/metrics/query", params=params), 400, word)


async def test_one_unknown_metric_among_several_is_named(api: httpx.AsyncClient) -> None:
    assert_problem(await api.get("/metrics/query", params=many(metric=["host.cpu_percnt"])), 404, "host.cpu_percnt")


async def test_sums_beyond_every_number_are_refused_not_an_error_of_ours(api: httpx.AsyncClient, bounded: int) -> None:
    asked = {"metric": "custom.value", "start": (TODAY - timedelta(minutes=5)).isoformat(), "server_id": str(bounded)}
    answer = await api.get("/metrics/query", params=asked | {"points": "1", "aggregate": "avg"})
    assert answer.status_code in (200, 400)
    assert_problem(
        await api.get("/metrics/query", params=asked | {"points": "5"}), 400, "custom.value", "use min or max"
    )


async def test_a_value_that_is_no_number_is_a_gap(api: httpx.AsyncClient, bounded: int) -> None:
    """The newest eight of the pushed values."""
    start = (TODAY - timedelta(minutes=1)).isoformat()
    asked = {"metric": "custom.value", "start": start, "end": TODAY.isoformat(), "server_id": str(bounded)}
    (series,) = (await api.get("/metrics/query", params=asked)).raise_for_status().json()["series"]
    assert series["avg"] == series["max"] == [12, 11, 10, 9, *[None] * 8]


# -- who sees what -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
async def limited(
    app: Litestar, database: Database, passwords: Passwords, new_server: NewServer
) -> AsyncIterator[tuple[httpx.AsyncClient, int, int]]:
    """Somebody who sees the first of two servers; the other has a tag of the first, and one that only it has."""
    seen, hidden = await new_server("limited", "both"), await new_server("both", "secret")
    for server_id in (seen, hidden):
        await database.execute(
            "INSERT INTO metrics.host (time, server_id, cpu_percent, load_1m) VALUES ($1, $2, $3, $3)",
            TODAY - timedelta(seconds=90),
            server_id,
            1.0 if server_id == seen else 100.0,
        )
    name, password = f"limited-{secrets.token_hex(4)}", "a password that is long enough"
    request = CreateUserRequest(name, password, "viewer", all_servers=False, server_tags=["limited"])
    await first_run.users.create_user(database, request, await passwords.hash(password), SYSTEM)
    async with open_client(app) as anonymous:
        tokens = (await anonymous.post("/auth/login", json={"username": name, "password": password})).json()
    async with open_client(app, tokens["access_token"]) as client:
        yield client, seen, hidden


@pytest.mark.parametrize("aggregate", [*AGGREGATES])
async def test_what_is_not_seen_counts_nowhere(limited: tuple[httpx.AsyncClient, int, int], aggregate: str) -> None:
    client, seen, hidden = limited
    value = 1.0
    for asked in ({"tag": ["both"]}, {"server_id": [seen]}, {"tag": ["both"], "server_id": [seen]}):
        params = many(metric=["host.load_1m"], aggregate=[aggregate], group_by=["tag"], top=[9], **asked)
        answers = (await client.get("/metrics/query", params=params)).raise_for_status().json()["metrics"]
        for answer in answers:
            assert {series["labels"]["tag"] for series in answer["series"]} == {"limited", "both"}
            assert {point for series in answer["series"] for point in series["avg"]} == {value}
    for asked in ({"server_id": [hidden]}, {"server_id": [seen, hidden]}, {"tag": ["both"], "server_id": [hidden]}):
        params = many(aggregate=[aggregate], group_by=["tag"], **asked)
        assert_problem(await client.get("/metrics/query", params=params), 404, f"server {hidden}")
    answer = await client.get("/metrics/query", params=many(tag=["secret"], aggregate=[aggregate], group_by=["tag"]))
    assert answer.raise_for_status().json()["series"] == []
