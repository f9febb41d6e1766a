"""Queries of both clients: frames hold what the JSON of the REST API holds, with the same columns when empty."""

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from chatops_client import ApiError, AsyncClient, Client, series_to_frame
from chatops_protocol.resources import MetricSeries
from tests.client.conftest import Reported
from tests.stack import Backend

pytestmark = pytest.mark.anyio

CPU, FILES = "host.cpu_percent", "filesystem.used_percent"
LABELS = ["mountpoint", "device", "filesystem_type"]
VALUES = {"avg": pl.Float64, "min": pl.Float64, "max": pl.Float64}
TIME = pl.Datetime("us", "UTC")
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def around(moment: float) -> tuple[datetime, datetime]:
    middle = datetime.fromtimestamp(moment, UTC)
    return middle - timedelta(minutes=5), middle + timedelta(minutes=1)


def rows_of(answer: MetricSeries) -> list[tuple[Any, ...]]:
    """time, server_id, labels…, avg, min, max, as they stand in the answer."""
    return [
        (time, series.server_id, *series.labels.values(), *values)
        for series in answer.series
        for time, *values in zip(series.time, series.avg, series.min, series.max, strict=True)
    ]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"points": 5},
        {"labels": {"mountpoint": "/"}},
        {"aggregate": "p95", "group_by": ["mountpoint"]},
        {"aggregate": "count"},
        {"rate": True},
        {"against_s": 30, "points": 40},
        {"top": 1, "top_by": "max"},
    ],
    ids=str,
)
@pytest.mark.parametrize("metric", [FILES, CPU])
def test_a_frame_holds_what_the_rest_api_answers(
    client: Client, reported: Reported, metric: str, options: dict[str, Any]
) -> None:
    if metric == CPU:
        options = {name: value for name, value in options.items() if name not in ("labels", "group_by")}
    asked = {"server_ids": [reported.server_id], **options}
    answer = client.query_series(metric, *around(reported.newest_at), **asked)
    frame = client.query(metric, *around(reported.newest_at), **asked)
    assert frame.rows() == rows_of(answer)
    assert frame.height > 0
    assert frame.equals(series_to_frame(answer))
    assert frame.schema == series_to_frame(answer).schema


def test_several_metrics_are_one_frame_with_the_labels_of_all(client: Client, reported: Reported) -> None:
    span = around(reported.newest_at)
    frame = client.query([FILES, CPU], *span, server_ids=[reported.server_id], points=50)
    assert frame.columns == ["metric", "server_id", *LABELS, "time", "avg", "min", "max"]
    assert frame["metric"].unique(maintain_order=True).to_list() == [FILES, CPU]
    answers = client.query_answers([FILES, CPU], *span, server_ids=[reported.server_id], points=50)
    assert [answer.metric for answer in answers] == [FILES, CPU]
    for answer, labels in zip(answers, (LABELS, []), strict=True):
        part = frame.filter(metric=answer.metric)
        assert part.select("time", "server_id", *labels, "avg", "min", "max").rows() == rows_of(answer)
        assert all(part[name].null_count() == part.height for name in set(LABELS) - set(labels))
    (one,) = client.query_answers([CPU], *span, server_ids=[reported.server_id], points=50)
    alone = client.query([CPU], *span, server_ids=[reported.server_id], points=50)
    assert alone.equals(frame.filter(metric=CPU).drop(LABELS))
    assert one == answers[1]


@pytest.mark.parametrize(
    ("metric", "options", "columns"),
    [
        (CPU, {}, {"time": TIME, "server_id": pl.Int64, **VALUES}),
        (FILES, {}, {"time": TIME, "server_id": pl.Int64, **dict.fromkeys(LABELS, pl.String), **VALUES}),
        (
            FILES,
            {"aggregate": "max", "group_by": ["tag", "device"]},
            {"time": TIME, "server_id": pl.Int64, "tag": pl.String, "device": pl.String, **VALUES},
        ),
        (
            [CPU, FILES],
            {},
            {"metric": pl.String, "server_id": pl.Int64, **dict.fromkeys(LABELS, pl.String), "time": TIME, **VALUES},
        ),
        ([CPU], {"rate": True}, {"metric": pl.String, "server_id": pl.Int64, "time": TIME, **VALUES}),
    ],
    ids=str,
)
def test_an_empty_frame_has_the_columns_and_types_of_a_full_one(
    client: Client, reported: Reported, metric: str | list[str], options: dict[str, Any], columns: dict[str, Any]
) -> None:
    empty = client.query(metric, *around(reported.newest_at), **options)
    assert (empty.height, dict(empty.schema)) == (0, columns)
    full = client.query(metric, *around(reported.newest_at), server_ids=[reported.server_id], **options)
    assert dict(full.schema) == columns
    history = client.history(reported.server_id, FILES, LONG_AGO, LONG_AGO + timedelta(days=1))
    assert (history.height, history.columns[:3]) == (0, ["time", "server_id", "mountpoint"])


def test_the_end_is_now_when_it_is_left_out(client: Client, reported: Reported) -> None:
    start = datetime.now(UTC) - timedelta(hours=1)
    frame = client.query(CPU, start, server_ids=(reported.server_id,), aggregate="last", points=1)
    assert 22.0 in frame["avg"]


def test_a_refusal_names_what_is_wrong(client: Client, reported: Reported) -> None:
    with pytest.raises(ApiError, match="names cpu"):
        client.query("host.load_1m", LONG_AGO, aggregate="avg", group_by=["names cpu"])
    with pytest.raises(ApiError, match="top"):
        client.query(CPU, LONG_AGO, top=0)


async def test_the_asynchronous_client_gives_the_same_frames(
    backend: Backend, client: Client, reported: Reported
) -> None:
    span = around(reported.newest_at)
    async with AsyncClient(backend.url, tokens=client.tokens) as other:
        for metric in (FILES, [FILES, CPU]):
            frame = await other.query(metric, *span, server_ids=[reported.server_id], points=50)
            assert frame.height > 0
            assert frame.equals(client.query(metric, *span, server_ids=[reported.server_id], points=50))
        answers = await other.query_answers([FILES, CPU], *span, server_ids=[reported.server_id])
        assert answers == client.query_answers([FILES, CPU], *span, server_ids=[reported.server_id])
        one = await other.query_series(CPU, *span, server_ids=[reported.server_id])
        assert one == answers[1]
