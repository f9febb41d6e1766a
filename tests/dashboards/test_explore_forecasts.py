"""Explore's forecast of all series: which disk is full first, whatever the chart shows, and what has no date."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

import anyio
import polars as pl
import pytest

from chatops_client import AsyncClient
from chatops_dashboards.components.explore_forecasts import MOST_ROWS, forecast_table
from chatops_dashboards.pages.explore.absent import EXAMPLES
from chatops_dashboards.pages.explore.drawing import drawn
from chatops_dashboards.pages.explore.query import ExploreQuery, SeriesChoice
from chatops_dashboards.session import Session
from chatops_protocol.analysis_resources import Forecast, SeriesForecast
from tests.conftest import ADMIN_PASSWORD
from tests.dashboards.test_fleet_view import text_of
from tests.dashboards.test_pages import HOSTILE
from tests.stack import Backend

pytestmark = pytest.mark.anyio

METRIC = "filesystem.used_percent"
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
HOURS = 4 * 24


@dataclass(frozen=True)
class Disks:
    """A server with five file systems that stay as they are, and one that fills: lower on average, fullest now."""

    server_id: int
    name: str

    @property
    def fills(self) -> SeriesChoice:
        labels = (("mountpoint", "/var"), ("device", "/dev/vdf"), ("filesystem_type", "ext4"))
        return SeriesChoice(METRIC, self.server_id, labels)

    @property
    def asked(self) -> ExploreQuery:
        return ExploreQuery((METRIC,), servers=(self.server_id,), preset="7d", top=5, forecast=True)


@pytest.fixture(scope="module")
async def disks(backend: Backend) -> Disks:

    name = f"disks {time.time_ns()}"
    server_id, _ = backend.add_server(name)
    now = datetime.now(UTC).replace(microsecond=0)
    times = [now - timedelta(hours=HOURS - n) for n in range(HOURS)]
    filling = [70.0 + 0.27 * n + n * 7 % 5 * 0.05 for n in range(HOURS)]
    parts = [("/var", "/dev/vdf", filling)]
    parts += [(f"/flat{n}", f"/dev/vd{n}", [91.0 + n] * HOURS) for n in range(5)]
    frames = [
        pl.DataFrame({"time": times, "used_percent": values}).with_columns(
            server_id=pl.lit(server_id),
            mountpoint=pl.lit(mountpoint),
            device=pl.lit(device),
            filesystem_type=pl.lit("ext4"),
        )
        for mountpoint, device, values in parts
    ]
    async with AsyncClient(backend.url) as client:
        await client.login("admin", ADMIN_PASSWORD)
        assert (await client.transfer.import_rows("filesystem", pl.concat(frames))).stored == 6 * HOURS
        await client.transfer.finish_import()
        with anyio.fail_after(60):
            while (await client.transfer.import_progress()).pending_days:
                await anyio.sleep(0.1)
    return Disks(server_id, name)


async def draw(session: Session, asked: ExploreQuery) -> Any:
    return await drawn(session, asked, UTC, datetime.now(UTC), "http://127.0.0.1:1")


def rows_of(table: Any) -> list[Any]:
    return [
        c
        for c in table._traverse()
        if isinstance(getattr(c, "id", None), dict) and c.id["type"] == "explore-forecast-row"
    ]


async def test_all_series_are_forecast_by_one_question_and_a_row_shows_its_line(session: Session, disks: Disks) -> None:
    found = await draw(session, disks.asked)
    text = text_of(found.forecasts)
    assert "1 of 6 series is full within 30 days." in text
    assert "5 more without a date: 5 no trend." in text
    [row] = rows_of(found.forecasts)
    assert row.id["series"] == disks.fills.text()
    chosen = await draw(session, disks.asked.but(series=SeriesChoice.read(row.id["series"])))
    assert chosen.target == disks.fills.text()
    assert f"{disks.name} · /var" in text_of(chosen.forecast)
    assert "full on 20" in text_of(chosen.forecast)
    [graph] = [c for panel in chosen.charts for c in panel._traverse() if type(c).__name__ == "Graph"]
    assert graph.figure["data"][-1]["name"] == "Trend"
    assert getattr(rows_of(chosen.forecasts)[0], "aria-pressed") == "true"


async def test_the_fullest_disk_is_shown_where_the_maximum_ranks(session: Session, disks: Disks) -> None:
    found = await draw(session, disks.asked.but(top_by="max"))
    assert found.series[0]["value"] == disks.fills.text()
    assert "There are more series, all with a lower maximum." in text_of(found.charts)
    usual = await draw(session, disks.asked)
    assert disks.fills.text() not in [one["value"] for one in usual.series]
    assert "There are more series, all lower on average." in text_of(usual.charts)


async def test_the_example_of_full_file_systems_ranks_by_the_maximum_and_looks_ahead() -> None:
    asked = ExploreQuery.from_query(dict(parse_qsl(EXAMPLES["Full file systems"].removeprefix("?"))))
    assert (asked.metrics, asked.preset, asked.top_by, asked.forecast) == ((METRIC,), "30d", "max", True)


async def test_without_the_switch_nothing_is_forecast(session: Session, disks: Disks) -> None:
    found = await draw(session, disks.asked.but(forecast=False))
    assert (found.forecast, found.forecasts) == (None, None)


async def test_joined_series_are_forecast_one_by_one_all_the_same(session: Session, disks: Disks) -> None:
    found = await draw(session, disks.asked.but(aggregate="max"))
    assert "A forecast is of one server's series" in text_of(found.forecast)
    assert len(rows_of(found.forecasts)) == 1


def series(number: int, outcome: Any, **more: Any) -> SeriesForecast:
    return SeriesForecast(
        server_id=number,
        labels={"mountpoint": HOSTILE},
        outcome=outcome,
        explanation="",
        tier="1h",
        bucket_seconds=3600,
        points=99,
        **{"current": 90.0, "slope_per_day": 0.5, **more},
    )


def table_of(parts: list[SeriesForecast], level: float | None = 100.0, unit: str = "percent") -> str:
    found = Forecast(
        metric=METRIC,
        unit=unit,
        level=level,
        direction="rising",
        start=NOW - timedelta(days=30),
        end=NOW,
        horizon_s=1e7,
        confidence=0.95,
        series=parts,
    )
    return text_of(forecast_table(found, {1: HOSTILE}, lambda one, words: words, UTC))


def test_the_table_gives_the_day_with_its_earliest_and_latest() -> None:
    day = timedelta(days=1)
    sure = series(1, "reaches", reaches_at=NOW + 6 * day, earliest_at=NOW + 5 * day, latest_at=NOW + 8 * day)
    unsure = series(2, "beyond_horizon", reaches_at=NOW + 400 * day, earliest_at=NOW + 90 * day)
    text = table_of([series(3, "reached"), sure, unsure, series(4, "gone"), series(5, "moves_away")])
    assert text.startswith("2 of 5 series are full within 30 days.")
    assert "ServerWhichNowPer dayFull on" in text
    assert f"{HOSTILE}{HOSTILE}90.0 %+0.50 points2026-11-30 (2026-11-29 – 2026-12-02)" in text
    assert "server 2" in text
    assert "2027-12-29 (2027-02-22 at the earliest)" in text
    assert "already" in text
    assert text.endswith("2 more without a date: 1 a trend away from it, 1 no readings of late.")


def test_what_has_no_end_has_a_trend_and_no_day() -> None:
    text = table_of([series(1, "trend", slope_per_day=-2048.0)], level=None, unit="bytes")
    assert text.startswith("1 of 1 series have a trend; ")
    assert "−2.0 KiB" in text
    assert "Full on" not in text


def test_a_fleet_of_disks_is_cut_and_says_so() -> None:
    day = timedelta(days=1)
    parts = [series(n, "reaches", reaches_at=NOW + n * day, earliest_at=NOW, latest_at=NOW) for n in range(1, 200)]
    assert f"and {199 - MOST_ROWS} more, none sooner" in table_of(parts)
