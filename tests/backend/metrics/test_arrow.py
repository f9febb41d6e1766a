"""The same answers as Arrow streams, for who asks for them."""

import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import polars as pl
import pytest

from chatops_backend.database.interface import Database
from tests.backend.metrics.conftest import NewServer

pytestmark = pytest.mark.anyio

ARROW = "application/vnd.apache.arrow.stream"
NOW = datetime.now(UTC).replace(microsecond=0)
RANGE = {"start": (NOW - timedelta(minutes=20)).isoformat(), "end": NOW.isoformat(), "points": "400"}


@pytest.fixture(scope="module")
async def server_id(database: Database, new_server: NewServer) -> int:
    """File systems with a hole in the readings and a reading that is NULL, and a pushed value with labels."""
    server_id = await new_server("arrow")
    await database.execute(
        "INSERT INTO metrics.filesystem (time, server_id, mountpoint, device, filesystem_type, used_percent) "
        "SELECT $2::timestamptz - n * INTERVAL '5 seconds' - INTERVAL '123 microseconds', $1, mount, 'disk', 'ext4', "
        "CASE WHEN n = 7 THEN NULL ELSE n / 7.0 END "
        "FROM generate_series(1, 100) AS n, unnest(ARRAY['/', '/home']) AS mount WHERE n NOT BETWEEN 40 AND 60",
        server_id,
        NOW,
    )
    await database.execute(
        "INSERT INTO metrics.custom VALUES ($2::timestamptz - INTERVAL '1 minute', $1, 'orders', $3, 5)",
        server_id,
        NOW,
        '{"shop": "a"}',
    )
    return server_id


def frame_of(answer: httpx.Response) -> pl.DataFrame:
    answer.raise_for_status()
    assert answer.headers["content-type"] == ARROW
    assert answer.headers["vary"] == "Accept"
    return pl.read_ipc_stream(io.BytesIO(answer.content))


def rows_of(body: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"time": datetime.fromisoformat(time), "server_id": series["server_id"]}
        | {
            name: text if isinstance(text, str) else json.dumps(text, separators=(",", ":"))
            for name, text in series["labels"].items()
        }
        | {"avg": average, "min": lowest, "max": highest}
        for series in body["series"]
        for time, average, lowest, highest in zip(*(series[n] for n in ("time", "avg", "min", "max")), strict=True)
    ]


@pytest.mark.parametrize(
    "params",
    [
        {"metric": "filesystem.used_percent"},
        {"metric": "filesystem.used_percent", "labels": '{"mountpoint": "/"}'},
        {"metric": "filesystem.used_percent", "aggregate": "sum", "group_by": "mountpoint"},
        {"metric": "filesystem.used_percent", "aggregate": "avg"},
        {"metric": "filesystem.used_percent", "points": "10"},
        {"metric": "custom.value"},
    ],
    ids=str,
)
async def test_a_stream_holds_what_the_json_holds(
    api: httpx.AsyncClient, server_id: int, params: dict[str, str]
) -> None:
    asked = RANGE | {"server_id": str(server_id)} | params
    body = (await api.get("/metrics/query", params=asked)).raise_for_status().json()
    answer = await api.get("/metrics/query", params=asked, headers={"Accept": ARROW})
    frame = frame_of(answer)
    rows = rows_of(body)
    assert rows
    assert frame.rows(named=True) == rows
    assert frame.columns == list(rows[0])
    assert frame.schema["time"] == pl.Datetime("us", "UTC")
    assert answer.headers["chatops-metric"] == body["metric"]
    assert answer.headers["chatops-unit"] == body["unit"]
    assert answer.headers["chatops-tier"] == body["tier"]
    assert float(answer.headers["chatops-bucket-seconds"]) == body["bucket_seconds"]


async def test_history_streams_too_with_empty_points_for_what_is_missing(
    api: httpx.AsyncClient, server_id: int
) -> None:
    asked = RANGE | {"metric": "filesystem.used_percent", "labels": '{"mountpoint": "/home"}'}
    frame = frame_of(await api.get(f"/metrics/{server_id}/history", params=asked, headers={"Accept": ARROW}))
    # One for the hole, one for the reading that is NULL.
    assert (frame.height, frame["avg"].null_count()) == (80, 2)
    assert frame["mountpoint"].unique().to_list() == ["/home"]


async def test_no_series_are_an_empty_frame_with_its_columns(api: httpx.AsyncClient) -> None:
    answer = await api.get("/metrics/query", params=RANGE | {"metric": "host.load_1m"}, headers={"Accept": ARROW})
    frame = frame_of(answer)
    assert frame.columns == ["time", "server_id", "avg", "min", "max"]
    assert frame.height == 0


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (ARROW, ARROW),
        (f"{ARROW}, application/json;q=0.5", ARROW),
        (f"application/json, {ARROW};q=0.5", "application/json"),
        ("*/*", "application/json"),
        ("application/json", "application/json"),
        ("text/html", "application/json"),
        ("application/*", "application/json"),
        (";;;,,,q=x", "application/json"),
        ("", "application/json"),
    ],
)
async def test_json_is_what_one_gets_who_does_not_ask_for_arrow(
    api: httpx.AsyncClient, server_id: int, accept: str, kind: str
) -> None:
    asked = RANGE | {"metric": "host.load_1m"}
    answer = await api.get(f"/metrics/{server_id}/history", params=asked, headers={"Accept": accept})
    assert (answer.status_code, answer.headers["content-type"]) == (200, kind)


async def test_a_refusal_is_a_problem_document_whatever_was_asked_for(api: httpx.AsyncClient, server_id: int) -> None:
    answer = await api.get(
        f"/metrics/{server_id}/history", params=RANGE | {"metric": "nope"}, headers={"Accept": ARROW}
    )
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
