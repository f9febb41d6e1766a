"""Requests and frames, without a backend."""

from datetime import UTC, datetime

import httpx
import polars as pl
import pytest

from chatops_client import ApiError, series_to_frame
from chatops_client.wire import Call, query_params, read_answer, segment
from chatops_protocol.resources import MetricSeries, Series, Server

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def test_parameters_repeat_lists_leave_out_none_and_encode_mappings() -> None:
    pairs = query_params({"server_id": [1, 2], "tag": None, "start": NOON, "labels": {"mountpoint": "/"}})
    assert pairs == (
        ("server_id", "1"),
        ("server_id", "2"),
        ("start", "2026-01-02T12:00:00+00:00"),
        ("labels", '{"mountpoint":"/"}'),
    )


def test_a_segment_cannot_leave_its_place_in_the_path() -> None:
    assert segment("../users?x=1") == "..%2Fusers%3Fx%3D1"


def test_a_problem_document_becomes_an_error_with_its_detail() -> None:
    body = {"title": "Not found", "status": 404, "detail": "There is no server 7."}
    with pytest.raises(ApiError, match="There is no server 7"):
        read_answer(Call("GET", "/servers/7", Server), httpx.Response(404, json=body))


def test_an_error_that_is_no_problem_document_still_tells_its_status() -> None:
    with pytest.raises(ApiError) as caught:
        read_answer(Call("GET", "/servers/7", Server), httpx.Response(502, text="<html>bad gateway</html>"))
    assert caught.value.status == 502
    assert "502" in caught.value.detail


def test_a_redirect_is_not_followed_with_the_token() -> None:
    with pytest.raises(ApiError):
        read_answer(Call("GET", "/servers/7", Server), httpx.Response(302, headers={"location": "http://elsewhere"}))


def test_a_frame_keeps_gaps_as_nulls_and_series_apart() -> None:
    series = [Series(1, {"core": name}, [NOON, NOON], [1.0, None], [0.5, None], [2.0, None]) for name in ("0", "1")]
    frame = series_to_frame(MetricSeries("cpu.cpu_percent", "percent", "raw", 5.0, series))
    assert frame.shape == (4, 6)
    assert frame["avg"].to_list() == [1.0, None, 1.0, None]
    assert frame["core"].to_list() == ["0", "0", "1", "1"]


def test_no_series_is_an_empty_frame_with_the_usual_columns() -> None:
    frame = series_to_frame(MetricSeries("cpu.cpu_percent", "percent", "raw", 5.0, []))
    assert frame.columns == ["time", "server_id", "core", "avg", "min", "max"]
    assert frame.schema["time"] == pl.Datetime("us", "UTC")
