"""Explore's figures and what is taken along: pure, safe whatever the names, and exact."""

import io
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import polars as pl
import pytest

from chatops_dashboards.components.explore_answers import blame_box, forecast_line
from chatops_dashboards.components.explore_legend import legend
from chatops_dashboards.figures.connection_marks import add_connections
from chatops_dashboards.figures.explore_chart import (
    LEADS_ON,
    MOST_BANDS,
    NamedSeries,
    explore_figure,
    series_key,
    series_name,
)
from chatops_dashboards.figures.heat_map import MOST_ROWS, heat_figure, row_names
from chatops_dashboards.figures.series_styles import styles
from chatops_dashboards.pages.explore.explain import selected_stretch
from chatops_dashboards.pages.explore.frame import shown_frame, table_rows, written
from chatops_dashboards.pages.explore.heat import clicked_cell
from chatops_dashboards.pages.explore.reading import Answered
from chatops_protocol.analysis_resources import Blame, BlameShares, Culprit, Forecast, SeriesForecast
from chatops_protocol.resources import ConnectionEvent, MetricSeries, Series
from tests.dashboards.test_fleet_view import text_of

START = datetime(2026, 1, 2, 12, tzinfo=UTC)
END = START + timedelta(hours=1)
BERLIN = ZoneInfo("Europe/Berlin")
HOSTILE = "<img src=x onerror=alert(1)>"


def one(
    server_id: int, values: list[float | None], name: str = "", labels: dict[str, Any] | None = None
) -> NamedSeries:
    times = [START + timedelta(minutes=n) for n in range(len(values))]
    series = Series(server_id, labels or {}, times, values, values, values)
    return NamedSeries(series_key(server_id, series.labels), name or f"web-{server_id}", series)


def answer(*parts: NamedSeries, unit: str = "percent") -> MetricSeries:
    return MetricSeries("host.cpu_percent", unit, "1m", 60.0, [part.series for part in parts])


def figure_of(*parts: NamedSeries, **more: Any) -> dict[str, Any]:
    return explore_figure(answer(*parts), parts, styles(part.key for part in parts), START, END, BERLIN, **more)


def test_a_series_is_a_line_with_its_band_and_a_gap_stays_one() -> None:
    figure = figure_of(one(1, [10.0, None, 30.0, 40.0]))
    line = next(trace for trace in figure["data"] if not trace["meta"]["band"])
    assert line["y"] == [10.0, None, 30.0, 40.0]
    assert line["connectgaps"] is False
    assert line["x"][0].startswith("2026-01-02T13:00")
    assert sum(trace["meta"]["band"] for trace in figure["data"]) == 2
    assert {trace["meta"]["series"] for trace in figure["data"]} == {"[1,{}]"}
    assert json.dumps(figure)


def test_bands_of_many_series_wait_until_one_is_alone() -> None:
    few = figure_of(*(one(n, [1.0, 2.0]) for n in range(MOST_BANDS)))
    many = figure_of(*(one(n, [1.0, 2.0]) for n in range(MOST_BANDS + 1)))
    assert all(trace["visible"] for trace in few["data"])
    assert [trace["visible"] for trace in many["data"]] == [not trace["meta"]["band"] for trace in many["data"]]


def test_names_from_outside_are_text_in_charts_heat_maps_and_marks() -> None:
    part = one(1, [1.0, 2.0], name=HOSTILE)
    figure, heat = figure_of(part), heat_figure(answer(part), [part], START, END, UTC)
    event = ConnectionEvent(START + timedelta(minutes=1), 1, "connected", HOSTILE)
    add_connections(figure, [event], {1: HOSTILE}, START, END, UTC)
    texts = (
        [trace.get("name", "") for trace in figure["data"]] + heat["data"][0]["y"] + figure["data"][-1]["customdata"]
    )
    assert texts
    assert not any("<" in text for text in texts)
    button = legend([part], {}, "percent").children[0]
    assert HOSTILE in [child.children for child in button.children]


def test_a_series_keeps_its_style_and_no_two_share_one() -> None:
    keys = [series_key(n, {}) for n in range(28)]
    found = styles(keys)
    assert len(set(found.values())) == 28
    assert styles(reversed(keys)) == found
    assert {style.dash for style in styles(keys[:7]).values()} == {"solid"}
    assert len({style.colour for style in styles(keys[:7]).values()}) == 7
    # Only who wanted the same style as another may change when that one goes.
    changed = [key for key in keys[1:4] if styles(keys[1:4])[key] != styles(keys[:4])[key]]
    assert len(changed) <= 1
    assert len(styles(series_key(n, {}) for n in range(100))) == 100


def test_a_trend_leads_on_beyond_the_range() -> None:
    trend = SeriesForecast(
        server_id=1,
        labels={},
        outcome="reaches",
        explanation="",
        tier="1h",
        bucket_seconds=3600,
        points=24,
        slope_per_day=24.0,
        line=50.0,
        line_at=START,
    )
    figure = figure_of(one(1, [50.0, 51.0]), trend=trend)
    line = figure["data"][-1]
    assert line["y"] == [50.0, round(50 + 1 + LEADS_ON, 4)]
    assert figure["layout"]["xaxis"]["range"][1] == line["x"][1] > "2026-01-02T14:00"
    assert len(figure_of(one(1, [50.0]))["data"]) < len(figure["data"])


def test_a_trend_leads_to_its_level_unless_that_is_far_off() -> None:
    trend = SeriesForecast(
        server_id=1,
        labels={},
        outcome="reaches",
        explanation="",
        tier="1h",
        bucket_seconds=3600,
        points=24,
        slope_per_day=24.0,
        line=50.0,
        line_at=END,
        reaches_at=END + timedelta(minutes=45),
        earliest_at=END + timedelta(minutes=30),
        latest_at=END + timedelta(minutes=90),
    )
    between, line = figure_of(one(1, [50.0, 51.0]), trend=trend)["data"][-2:]
    assert (line["x"][1][:16], line["y"][1]) == ("2026-01-02T14:45", 50.75)
    # What is beyond the chart's end is not drawn.
    assert [text[:16] for text in between["x"]] == ["2026-01-02T14:30", "2026-01-02T14:45"]
    assert between["y"] == [50.75, 50.75]
    far = msgspec.structs.replace(trend, reaches_at=END + timedelta(days=9))
    figure = figure_of(one(1, [50.0, 51.0]), trend=far)
    assert figure["layout"]["xaxis"]["range"][1][:16] == "2026-01-02T15:00"
    assert [trace["name"] for trace in figure["data"][-2:]] == ["web-1", "Trend"]


def test_a_heat_map_has_a_cell_per_server_and_bucket_and_none_where_nothing_is_known() -> None:
    rows = [one(1, [10.0, 20.0, 30.0]), one(2, [None, 5.0])]
    trace = heat_figure(answer(*rows), rows, START, START + timedelta(minutes=2, seconds=30), BERLIN)["data"][0]
    assert trace["z"] == [[10.0, 20.0, 30.0], [None, 5.0, None]]
    assert trace["x"][0].startswith("2026-01-02T13:00")
    assert trace["y"] == ["web-1", "web-2"]


def test_a_heat_map_of_five_hundred_servers_stays_small() -> None:
    rows = [one(n, [float(n % 90)] * 96, name=f"server-{n:04}") for n in range(MOST_ROWS + 5)]
    figure = heat_figure(answer(*rows), rows, START, START + timedelta(minutes=96), UTC)
    assert len(figure["data"][0]["z"]) == MOST_ROWS
    assert len(json.dumps(figure)) < 600_000
    assert figure["layout"]["height"] < 5_000


def test_rows_of_like_names_are_told_apart_and_lead_to_their_own_server() -> None:
    rows = [one(1, [1.0], name="a" * 40), one(2, [1.0], name="a" * 41), one(3, [1.0], name="b")]
    names = row_names(rows)
    assert len(set(names)) == 3
    known = {"servers": dict(zip(names, [1, 2, 3], strict=True)), "bucket_s": 60.0}
    point = {"points": [{"x": "2026-01-02 13:00", "y": names[1]}]}
    assert clicked_cell(point, known, BERLIN) == "/servers/2?at=2026-01-02T12:00:30Z"


@pytest.mark.parametrize(
    ("click", "rows"),
    [
        (None, None),
        ({"points": []}, {"servers": {"a": 1}}),
        ({"points": [{"x": "2026-01-02", "y": "b"}]}, {"servers": {"a": 1}}),
        ({"points": [{"x": "never", "y": "a"}]}, {"servers": {"a": 1}, "bucket_s": 60}),
    ],
)
def test_a_click_beside_the_cells_leads_nowhere(click: Any, rows: Any) -> None:
    assert clicked_cell(click, rows, UTC) is None


def test_a_drag_over_a_chart_is_a_stretch_of_time() -> None:
    drag = {"range": {"x": ["2026-01-02 14:00", "2026-01-02 13:30:00.5"], "y": [1, 2]}}
    assert selected_stretch(drag, BERLIN) == (
        datetime(2026, 1, 2, 12, 30, 0, 500_000, tzinfo=UTC),
        datetime(2026, 1, 2, 13, tzinfo=UTC),
    )
    for nothing in (None, {}, {"range": {"x": ["a", "b"]}}, {"range": {"x": ["2026-01-02 14:00"] * 2}}):
        assert selected_stretch(nothing, BERLIN) is None


def test_series_are_named_by_server_and_labels() -> None:
    assert series_name("web-01", {"mountpoint": "/", "device": None}) == "web-01 · /"
    assert series_name(None, {"labels": {"a": "b"}}) == '{"a":"b"}'
    assert series_name(None, {}) == "all together"


def answered(*parts: NamedSeries) -> list[Answered]:
    return [Answered("host.cpu_percent", answer(*parts), parts), Answered("host.load_1m", None, [], ValueError("x"))]


def test_what_is_shown_is_what_is_taken_along() -> None:
    parts = [one(2, [3.0, None], labels={"core": "0"}), one(1, [1.0, 2.0]), one(3, [9.0])]
    frame = shown_frame(answered(*parts), 2)
    assert frame.select("server_id", "avg").rows() == [(2, 3.0), (2, None), (1, 1.0), (1, 2.0)]
    assert set(frame["labels"]) == {'{"core":"0"}', "{}"}
    assert pl.read_parquet(io.BytesIO(written(frame, "parquet"))).equals(frame)
    assert pl.read_ipc_stream(io.BytesIO(written(frame, "arrow"))).equals(frame)
    assert pl.read_csv(io.BytesIO(written(frame, "csv")))["avg"].to_list() == [3.0, None, 1.0, 2.0]
    assert [row["avg"] for row in table_rows(frame, 2)] == [2.0, 1.0]
    assert shown_frame([], 5).schema == frame.schema


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1"])
def test_no_cell_of_a_csv_is_a_formula(name: str) -> None:
    content = written(shown_frame(answered(one(1, [1.0], name=name)), 5), "csv").decode()
    assert pl.read_csv(io.StringIO(content))["series"].to_list() == [f"'{name}"]
    assert not re.search(r'[,"]' + re.escape(name[0]), content)


def test_every_id_of_explore_begins_with_its_name() -> None:
    folder = Path(__file__).parents[2] / "dashboards" / "chatops_dashboards"
    files = [*folder.glob("pages/explore/*.py"), *folder.glob("components/explore_*.py")]
    ids = {found for file in files for found in re.findall(r'\bid=f?"([^"]+)"', file.read_text())}
    assert ids - {"live-view"} == {name for name in ids if name.startswith("explore-")}


def forecast_of(**more: Any) -> Forecast:
    one_series = SeriesForecast(
        server_id=1, labels={}, explanation="It grows.", tier="1h", bucket_seconds=3600, points=99, **more
    )
    return Forecast(
        metric="filesystem.used_percent",
        unit="percent",
        level=100.0,
        direction="rising",
        start=START,
        end=END,
        horizon_s=1.0,
        confidence=0.9,
        series=[one_series],
    )


def test_a_forecast_begins_with_the_day_it_is_full() -> None:
    full = forecast_of(outcome="reaches", reaches_at=datetime(2026, 3, 1, 23, 30, tzinfo=UTC))
    # In Berlin it is the next day by then.
    assert text_of(forecast_line(full, HOSTILE, BERLIN)) == f"{HOSTILE}: full on 2026-03-02. It grows."
    assert text_of(forecast_line(forecast_of(outcome="no_trend"), "web-01", UTC)) == "web-01: It grows."


def test_what_accounts_for_a_rise_is_told_in_points_with_what_is_left() -> None:
    culprit = Culprit(
        labels={"name": HOSTILE, "user": "root"},
        rise=12.0,
        share=0.8,
        window=20.0,
        before=None,
        at_most=True,
        listed=1.0,
        listed_before=0.0,
    )
    shares = BlameShares(
        outcome="ranked", explanation="most of it", culprits=[culprit], unexplained=3.0, unexplained_share=0.2
    )
    none = BlameShares(outcome="not_enough_data", explanation="no containers", culprits=[])
    found = Blame(
        server_id=1,
        metric="host.cpu_percent",
        unit="percent",
        outcome="rise",
        explanation="It rose.",
        tier="raw",
        start=START,
        end=END,
        baseline_start=START,
        baseline_end=END,
        window=30.0,
        before=15.0,
        rise=15.0,
        cores=2,
        processes=shares,
        containers=none,
    )
    text = text_of(blame_box(found))
    assert f"{HOSTILE} · rootat most +12.0 points80 %" in text
    assert "not explained+3.0 points20 %" in text
    assert "Containers: no containers" in text
