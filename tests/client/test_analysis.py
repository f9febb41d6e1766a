"""Questions of the history through both clients, and their answers as frames."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from chatops_client import ApiError, AsyncClient, Client, analysis_to_frame
from chatops_protocol.analysis_resources import (
    Anomalies,
    Blame,
    BlameShares,
    Comparison,
    CorrelatedSeries,
    Correlations,
    Culprit,
    Forecast,
    SeriesAnomalies,
    SeriesForecast,
)
from tests.client.conftest import Reported
from tests.conftest import ADMIN_PASSWORD
from tests.stack import Backend

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 1, tzinfo=UTC)
SPAN: Mapping[str, Any] = {"start": NOW - timedelta(hours=1), "end": NOW, "tier": "1m"}


def an_hour_ago() -> datetime:
    return datetime.fromtimestamp(time.time() - 3600, UTC)


def test_every_question_is_asked_and_answered(client: Client, reported: Reported) -> None:
    server, metric, start = reported.server_id, "host.cpu_percent", an_hour_ago()
    forecast = client.analysis.forecast(metric, server_ids=[server], level=90.0, horizon_s=86_400)
    assert (forecast.level, forecast.horizon_s) == (90.0, 86_400)
    assert [one.outcome for one in forecast.series] == ["not_enough_data"]
    anomalies = client.analysis.anomalies(metric, start, server_ids=[server], weeks=2, threshold=5)
    assert (anomalies.threshold, len(anomalies.series)) == (5, 1)
    correlations = client.analysis.correlate(server, metric, start, other_server_ids=[server], method="spearman")
    assert correlations.method == "spearman"
    comparison = client.analysis.compare(metric, start, server_ids=[server], against="week", windows=2)
    assert [len(one.windows) for one in comparison.series] == [2]
    blame = client.analysis.blame(server, metric, start, baseline_start=start - timedelta(hours=5))
    assert blame.outcome == "not_enough_data"
    for answer in (forecast, anomalies, correlations, comparison, blame):
        assert isinstance(analysis_to_frame(answer), pl.DataFrame)


async def test_the_other_client_asks_the_same(backend: Backend, reported: Reported) -> None:
    server, metric, start = reported.server_id, "host.cpu_percent", an_hour_ago()
    async with AsyncClient(backend.url) as client:
        await client.login("admin", ADMIN_PASSWORD)
        assert isinstance(await client.analysis.forecast(metric, server_ids=[server], direction="falling"), Forecast)
        assert isinstance(await client.analysis.anomalies(metric, start, server_ids=[server]), Anomalies)
        assert isinstance(await client.analysis.correlate(server, metric, start, max_lag_s=60), Correlations)
        assert isinstance(await client.analysis.compare(metric, start, server_ids=[server]), Comparison)
        assert isinstance(await client.analysis.blame(server, metric, start, limit=3), Blame)


def test_labels_go_as_they_are_and_refusals_come_back(client: Client, reported: Reported) -> None:
    with pytest.raises(ApiError) as caught:
        client.analysis.forecast("host.cpu_percent", server_ids=[reported.server_id], labels={"core": "1"})
    assert "no label 'core'" in caught.value.detail
    with pytest.raises(ApiError):
        client.analysis.forecast("host.cpu_percent")


# -- frames ------------------------------------------------------------------------------------------------------


def test_a_forecast_is_a_row_per_series_with_its_labels() -> None:
    series = SeriesForecast(
        server_id=1,
        labels={"mountpoint": "/"},
        outcome="reaches",
        explanation="soon",
        tier="1d",
        bucket_seconds=86_400,
        points=30,
        slope_per_day=1.5,
        reaches_at=NOW,
    )
    answer = Forecast(
        metric="filesystem.used_percent",
        unit="percent",
        level=100.0,
        direction="rising",
        start=NOW,
        end=NOW,
        horizon_s=1.0,
        confidence=0.95,
        series=[series],
    )
    frame = analysis_to_frame(answer)
    assert frame.columns[:3] == ["server_id", "mountpoint", "outcome"]
    assert frame.row(0, named=True) | {"current": None} == frame.row(0, named=True)
    assert (frame["reaches_at"][0], frame["slope_per_day"][0]) == (NOW, 1.5)


def test_anomalies_are_a_row_per_bucket_and_nothing_is_made_of_what_is_not_known() -> None:
    series = SeriesAnomalies(
        server_id=1,
        labels={},
        outcome="usual",
        explanation="",
        season="none",
        weeks=0,
        time=[NOW, NOW + timedelta(minutes=5)],
        value=[1.0, None],
        expected=[1.0, None],
        low=[0.0, None],
        high=[2.0, None],
        score=[0.0, None],
        stretches=[],
    )
    answer = Anomalies(
        metric="host.cpu_percent",
        unit="percent",
        bucket_seconds=300,
        profile_start=NOW,
        threshold=3.5,
        series=[series],
        **SPAN,
    )
    frame = analysis_to_frame(answer)
    assert frame["score"].to_list() == [0.0, None]
    assert frame["time"].to_list() == series.time


def test_correlations_keep_their_order_and_their_labels_in_one_column() -> None:
    series = [
        CorrelatedSeries(
            metric=metric,
            unit="percent",
            server_id=1,
            labels=labels,
            correlation=0.9,
            lag_s=60.0,
            strength=strength,
            points=300,
            effective_points=200.0,
        )
        for metric, labels, strength in (("process.cpu_percent", {"name": "a"}, 0.8), ("host.load_1m", {}, 0.1))
    ]
    answer = Correlations(
        metric="host.cpu_percent",
        unit="percent",
        server_id=1,
        labels={},
        outcome="ranked",
        explanation="",
        method="pearson",
        bucket_seconds=60,
        max_lag_s=900,
        compared=2,
        constant=0,
        short=0,
        series=series,
        **SPAN,
    )
    frame = analysis_to_frame(answer)
    assert frame.select("metric", "labels").rows() == [("process.cpu_percent", "name=a"), ("host.load_1m", "")]


def test_blame_ends_with_what_is_unexplained() -> None:
    culprit = Culprit(
        labels={"name": "backup", "user": "root"},
        rise=30.0,
        share=0.75,
        window=31.0,
        before=None,
        at_most=True,
        listed=1.0,
        listed_before=0.0,
    )
    answer = Blame(
        server_id=1,
        metric="host.cpu_percent",
        unit="percent",
        outcome="rise",
        explanation="",
        baseline_start=NOW,
        baseline_end=NOW,
        window=60.0,
        before=20.0,
        rise=40.0,
        cores=4,
        processes=BlameShares(
            outcome="ranked", explanation="", culprits=[culprit], unexplained=10.0, unexplained_share=0.25
        ),
        containers=BlameShares(outcome="not_enough_data", explanation="", culprits=[]),
        **SPAN,
    )
    frame = analysis_to_frame(answer)
    assert frame.select("kind", "name", "user", "rise", "before").rows() == [
        ("process", "backup", "root", 30.0, None),
        ("process", "unexplained", None, 10.0, None),
    ]


def test_an_answer_without_series_is_a_frame_without_rows() -> None:
    answer = Comparison(
        metric="host.cpu_percent", unit="percent", bucket_seconds=60, period_s=86_400, series=[], **SPAN
    )
    frame = analysis_to_frame(answer)
    assert frame.height == 0
    assert {"server_id", "median", "effect"} <= set(frame.columns)
