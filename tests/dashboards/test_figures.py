"""Figures are pure: data in, figure out."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from chatops_dashboards.figures.frame import plain
from chatops_dashboards.figures.history_chart import describe, history_figure
from chatops_dashboards.figures.live_charts import (
    CHARTS,
    WINDOW_S,
    Peaks,
    chart_scale,
    extension,
    interval_of,
    live_figure,
)
from chatops_dashboards.figures.sparkline import spark_mask, spark_runs
from chatops_dashboards.theme import level_of, metric_colour
from chatops_protocol.catalog import find_metric
from chatops_protocol.resources import MetricSeries, Series

START = datetime(2026, 1, 2, 12, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
CPU = CHARTS[0]


def series(values: list[float | None], *, step: float = 5.0, labels: dict[str, Any] | None = None) -> Series:
    times = [START + timedelta(seconds=step * n) for n in range(len(values))]
    return Series(1, labels or {}, times, values, values, values)


def answer(*parts: Series, metric: str = "host.cpu_percent", unit: str = "percent") -> MetricSeries:
    return MetricSeries(metric, unit, "raw", 5.0, list(parts))


def lines(figure: dict[str, Any]) -> list[dict[str, Any]]:
    return [trace for trace in figure["data"] if "fill" not in trace or trace["fill"] != "toself"]


def bands(figure: dict[str, Any]) -> list[dict[str, Any]]:
    return [trace for trace in figure["data"] if trace.get("fill") == "toself"]


def test_every_line_of_the_live_charts_is_in_the_catalogue() -> None:
    for chart in CHARTS:
        for line in chart.lines:
            found = find_metric(line.metric)
            assert found, line.metric
            assert found[1].unit == chart.unit


def test_a_missing_reading_breaks_the_live_line() -> None:
    figure = live_figure(CPU, {"host.cpu_percent": series([1.0, None, 3.0])}, chart_scale(CPU, {}), 100, UTC)
    assert figure["data"][0]["y"] == [1.0, None, 3.0]
    assert figure["data"][0]["connectgaps"] is False


def test_live_times_are_in_the_zone_of_the_reader() -> None:
    figure = live_figure(CPU, {"host.cpu_percent": series([1.0])}, chart_scale(CPU, {}), 100, BERLIN)
    assert figure["data"][0]["x"] == ["2026-01-02T13:00:00.000"]


def test_a_chart_without_history_still_has_all_its_traces() -> None:
    # Points are added by trace number: a trace that is missing makes Plotly refuse them all.
    for chart in CHARTS:
        assert len(live_figure(chart, {}, chart_scale(chart, {}), None, UTC)["data"]) == len(chart.lines)


def test_a_reading_adds_one_point_to_each_line_and_the_window_is_bounded() -> None:
    now = START.timestamp()
    points, traces, keep = extension(CPU, {"cpu_percent": 7.0}, now, now - 5, 5.0, chart_scale(CPU, {}), UTC)
    assert points["y"] == [[7.0], [None], [None], [None]]
    assert [len(x) for x in points["x"]] == [1] * 4
    assert traces == [0, 1, 2, 3]
    assert keep == 180


def test_a_late_reading_leaves_a_gap_before_it() -> None:
    now = START.timestamp()
    points, _, _ = extension(CPU, {"cpu_percent": 7.0}, now, now - 60, 5.0, chart_scale(CPU, {}), UTC)
    assert points["y"][0] == [None, 7.0]
    assert points["x"][0] == ["2026-01-02T11:59:05.000", "2026-01-02T12:00:00.000"]


def test_the_interval_is_the_median_so_that_a_gap_does_not_move_it() -> None:
    times = [START + timedelta(seconds=s) for s in (0, 10, 20, 600, 610)]
    assert interval_of(times) == 10.0
    assert interval_of([]) == 5.0


def test_memory_is_drawn_in_the_unit_of_the_machines_size() -> None:
    memory = next(chart for chart in CHARTS if chart.name == "memory")
    scale = chart_scale(memory, {"memory_total_bytes": 32 * 2.0**30})
    assert scale.suffix == " GiB"
    figure = live_figure(memory, {"host.memory_used_bytes": series([2.0**30])}, scale, 32, UTC)
    assert figure["data"][0]["y"] == [1.0]


def test_rates_are_drawn_in_the_unit_of_the_largest_in_the_window() -> None:
    disk = next(chart for chart in CHARTS if chart.name == "disk")
    peaks = Peaks(disk, {"host.disk_read_bytes_per_second": series([3e6, None, 2e3])})
    assert chart_scale(disk, {}, peaks.largest()).suffix == " MB/s"
    peaks.add(START.timestamp() + 20, {"disk_read_bytes_per_second": None, "disk_write_bytes_per_second": 4e9})
    assert chart_scale(disk, {}, peaks.largest()).suffix == " GB/s"
    peaks.add(START.timestamp() + 21 + WINDOW_S, {"disk_read_bytes_per_second": 5e3})
    assert peaks.largest() == 5e3
    assert chart_scale(disk, {}, Peaks(disk, {}).largest()).suffix == " B/s"


def test_a_chart_without_readings_says_so_instead_of_naming_times() -> None:
    memory = next(chart for chart in CHARTS if chart.name == "memory")
    empty = live_figure(memory, {}, chart_scale(memory, {}), None, UTC, "none yet")["layout"]
    assert [note["text"] for note in empty["annotations"]] == ["none yet"]
    assert (empty["xaxis"]["showticklabels"], empty["yaxis"]["showticklabels"]) == (False, False)
    some = live_figure(CPU, {"host.cpu_percent": series([1.0])}, chart_scale(CPU, {}), 100, UTC, "none yet")["layout"]
    assert "annotations" not in some


def test_history_has_a_band_per_unbroken_run() -> None:
    figure = history_figure(answer(series([1.0, 2.0, None, 4.0, 5.0])), START, START + timedelta(minutes=1), UTC)
    assert len(bands(figure)) == 2
    assert lines(figure)[0]["y"] == [1.0, 2.0, None, 4.0, 5.0]


def test_readings_that_are_farther_apart_than_buckets_are_one_line() -> None:
    sparse = series([1.0, 2.0, 3.0])
    sparse.time[:] = [START + timedelta(minutes=5 * n) for n in range(3)]
    figure = history_figure(answer(sparse), START, START + timedelta(minutes=15), UTC)
    assert len(bands(figure)) == 1
    assert lines(figure)[0]["y"] == [1.0, 2.0, 3.0]


def test_text_from_hosts_cannot_be_markup_in_a_chart() -> None:
    hostile = "<img src=x onerror=alert(1)>"
    figure = history_figure(
        answer(series([1.0], labels={"name": hostile}), metric="process.cpu_percent"),
        START,
        START + timedelta(minutes=1),
        UTC,
    )
    assert "<img" not in json.dumps(figure)
    assert lines(figure)[0]["name"] == "&lt;img src=x onerror=alert(1)&gt;"
    assert len(plain("x" * 500)) == 80


def test_the_tier_is_said_in_words() -> None:
    assert describe(answer(series([1.0, 2.0]))) == "raw readings, one point per 5 s, 2 points"
    assert describe(answer(series([1.0]))).endswith(", 1 point")


def test_shares_keep_the_whole_axis_unless_they_exceed_it() -> None:
    within = history_figure(answer(series([50.0])), START, START + timedelta(minutes=1), UTC)
    assert within["layout"]["yaxis"]["range"] == [0, 100]
    beyond = history_figure(answer(series([250.0])), START, START + timedelta(minutes=1), UTC)
    assert "range" not in beyond["layout"]["yaxis"]


def test_spark_lines_break_at_gaps_and_forget_what_is_old() -> None:
    now = 1000.0
    points = [(0.0, 50.0), (700.0, 10.0), (710.0, None), (720.0, 20.0), (990.0, 100.0), (1000.0, 0.0)]
    runs = spark_runs(points, now, 900.0)
    assert len(runs) == 2
    assert runs[-1][-1] == (200.0, 38.5)
    assert runs[-1][-2][1] == 1.5


def test_a_spark_line_of_an_agent_that_reports_each_minute_is_whole() -> None:
    assert [len(run) for run in spark_runs([(61.0 * n, 5.0) for n in range(10)], 600.0, 900.0)] == [10]


def test_nothing_to_draw_is_no_picture() -> None:
    assert spark_mask([], 0.0, 900.0) is None
    assert "polyline" in (spark_mask([(0.0, 1.0), (10.0, 2.0)], 10.0, 900.0) or "")


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("ground", ["#ffffff", "#1b1f26"])
def test_series_colours_stand_out_on_both_grounds(ground: str) -> None:
    for index in range(7):
        colour = metric_colour("custom.value", index)
        high, low = sorted((luminance(colour), luminance(ground)), reverse=True)
        assert (high + 0.05) / (low + 0.05) >= 3.0, colour


def test_a_metric_always_has_its_colour() -> None:
    assert metric_colour("host.cpu_percent", 0) == metric_colour("host.cpu_percent", 5)


def test_levels_follow_the_share() -> None:
    assert [level_of(v) for v in (None, 10.0, 85.0, 95.0)] == ["unknown", "ok", "warning", "critical"]
