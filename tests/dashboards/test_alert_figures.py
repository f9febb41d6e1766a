"""Charts about alerts: lines in sight and where they belong, what a drag means, bands where something fired."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chatops_dashboards.figures.alert_chart import alert_figure, chart_range
from chatops_dashboards.figures.bands import STRIP_HEIGHT, Span, add_bands, add_strip, grow_strip, spans_of_metrics
from chatops_dashboards.figures.bounds import bound_lines, dragged, line_shapes, rule_lines
from chatops_dashboards.figures.rule_chart import difference, firing_spans, rule_figure, rule_scale
from chatops_dashboards.units import Scale
from chatops_protocol.alert_resources import Alert, Firing, Threshold
from chatops_protocol.resources import MetricSeries, Series

START = datetime(2026, 3, 1, tzinfo=UTC)
PERCENT = Scale(1.0, " %")


def series(*values: float | None, unit: str = "percent", labels: dict[str, Any] | None = None) -> MetricSeries:
    times = [START + timedelta(minutes=n) for n in range(len(values))]
    column = list(values)
    return MetricSeries("host.cpu_percent", unit, "1m", 60.0, [Series(1, labels or {}, times, column, column, column)])


def alert(**changes: Any) -> Alert:
    values: dict[str, Any] = {
        "id": 1,
        "threshold_id": 1,
        "threshold_name": "CPU <b>busy</b>",
        "server_id": 1,
        "server_name": "web-01",
        "labels": {},
        "metric": "host.cpu_percent",
        "state": "firing",
        "level": "critical",
        "value": 96.0,
        "bound": 90.0,
        "window_s": 300,
        "pending_at": START + timedelta(minutes=5),
        "started_at": START + timedelta(minutes=10),
    }
    return Alert(**values | changes)


def draw(answer: MetricSeries, lines: dict[str, float], **options: Any) -> dict[str, Any]:
    end = START + timedelta(hours=1)
    return rule_figure(answer, lines, [], [], START, end, UTC, **{"marking": False, "revision": "1"} | options)


def test_each_level_is_one_line_in_an_order_that_a_drag_counts_by() -> None:
    rule = Threshold(name="x", metric="host.cpu_percent", all_servers=True, warning=80.0, critical=90.0, clear=70.0)
    assert rule_lines(rule) == {"warning": 80.0, "critical": 90.0, "clear": 70.0}
    assert [shape["name"] for shape in line_shapes(rule_lines(rule), PERCENT)] == ["warning", "critical", "clear"]
    assert bound_lines({"critical": (5.0, 40.0)}) == {"critical_low": 5.0, "critical_high": 40.0}
    assert rule_lines(Threshold(name="x", kind="offline", all_servers=True)) == {}


def test_a_dragged_line_gives_its_level_in_base_units() -> None:
    lines = {"warning": 80.0, "critical": 90.0}
    moved = {"shapes[1].x0": 0.1, "shapes[1].y0": 77.49, "shapes[1].x1": 1.1, "shapes[1].y1": 77.49}
    assert dragged(moved, lines, PERCENT) == ("critical", 77.5)
    gib = 2.0**30
    assert dragged({"shapes[0].y0": 3.501, "shapes[0].y1": 3.501}, {"critical": 4 * gib}, Scale(gib, " GiB")) == (
        "critical",
        3.5 * gib,
    )


def test_a_line_dragged_at_one_end_takes_the_level_of_that_end() -> None:
    assert dragged({"shapes[0].y1": 60.0, "shapes[0].x1": 1.0}, {"critical": 90.0}, PERCENT) == ("critical", 60.0)


@pytest.mark.parametrize("event", [None, {}, {"autosize": True}, {"shapes[7].y0": 1.0}, {"xaxis.range[0]": "x"}])
def test_other_events_of_the_chart_move_no_line(event: dict[str, Any] | None) -> None:
    assert dragged(event, {"critical": 90.0}, PERCENT) is None


def test_a_line_beyond_the_data_stretches_the_axis() -> None:
    low, high = draw(series(10.0, 20.0), {"critical": 250.0})["layout"]["yaxis"]["range"]
    assert low <= 0
    assert high > 250
    assert draw(series(10.0, 20.0), {"critical": 90.0})["layout"]["yaxis"]["range"] == [0, 100.0]


def test_lines_and_data_are_counted_in_one_unit() -> None:
    gib = 2.0**30
    answer, lines = series(1000.0, 2000.0, unit="bytes"), {"critical": 4 * gib}
    figure = draw(answer, lines)
    assert rule_scale(answer, lines) == Scale(gib, " GiB")
    assert figure["layout"]["shapes"][0]["y0"] == 4.0
    assert max(value for trace in figure["data"] for value in trace["y"]) < 0.001
    assert figure["layout"]["yaxis"]["ticksuffix"] == " GiB"


def test_only_the_lines_are_shapes_in_the_editor_so_that_nothing_else_can_be_dragged() -> None:
    span = Span(START, START + timedelta(minutes=3), "warning", "x")
    end = START + timedelta(hours=1)
    figure = rule_figure(
        series(1.0), {"critical": 9.0}, [span], [(START, end)], START, end, UTC, marking=True, revision="2"
    )
    assert [shape["type"] for shape in figure["layout"]["shapes"]] == ["line"]
    assert [trace["meta"] for trace in figure["data"] if "meta" in trace] == ["firing", "incident"]
    assert figure["layout"]["dragmode"] == "select"


def test_bands_are_cut_to_the_range_and_end_where_the_firing_ended() -> None:
    end = START + timedelta(hours=1)
    spans = [
        Span(START - timedelta(hours=1), START + timedelta(minutes=5), "critical", "early"),
        Span(START + timedelta(minutes=30), None, "warning", "open"),
        Span(START - timedelta(hours=3), START - timedelta(hours=2), "warning", "before"),
    ]
    figure: dict[str, Any] = {"data": [], "layout": {}}
    add_bands(figure, spans, START, end, UTC)
    assert [(t["name"], t["x"][0][11:19], t["x"][-1][11:19]) for t in figure["data"]] == [
        ("early", "00:00:00", "00:05:00"),
        ("open", "00:30:00", "01:00:00"),
    ]
    assert figure["data"][1]["hovertemplate"] == "since 00:30"


def test_a_strip_comes_after_the_lines_and_what_still_fires_grows_with_them() -> None:
    figure: dict[str, Any] = {"data": [{"y": [1.0]}], "layout": {}}
    spans = spans_of_metrics([alert(), alert(id=2, resolved_at=START + timedelta(minutes=20))], ("host.cpu_percent",))
    growing = add_strip(figure, spans, START, START + timedelta(hours=1), UTC)
    assert growing == [1]
    added: list[Any] = [{"x": [["t"]], "y": [[5.0]]}, [0], 60]
    grow_strip(added, growing)
    assert added == [{"x": [["t"], ["t"]], "y": [[5.0], [STRIP_HEIGHT]]}, [0, 1], 60]


def test_a_chart_is_marked_by_alerts_of_its_metric_and_of_a_silent_host() -> None:
    alerts = [alert(), alert(metric="host.load_1m"), alert(metric=None), alert(state="pending", started_at=None)]
    assert len(spans_of_metrics(alerts, ("host.cpu_percent",))) == 2


def test_names_of_rules_cannot_become_markup_in_a_chart() -> None:
    figure: dict[str, Any] = {"data": [], "layout": {}}
    add_strip(figure, spans_of_metrics([alert()], ("host.cpu_percent",)), START, START + timedelta(hours=1), UTC)
    assert "<b>" not in figure["data"][0]["name"]


def test_the_deciding_window_is_shaded_where_it_was() -> None:
    now = START + timedelta(hours=2)
    start, end = chart_range(alert(), now)
    assert start < START < end <= now
    figure = alert_figure(alert(), series(96.0, 97.0), {"critical": 90.0}, start, end, UTC)
    window = figure["layout"]["shapes"][-1]
    assert (window["x0"][11:16], window["x1"][11:16]) == ("00:05", "00:10")
    assert figure["layout"]["shapes"][0]["y0"] == 90.0


def test_only_firings_of_the_server_in_the_chart_are_shown() -> None:
    firings = [
        Firing(server_id=n, labels={}, started_at=START, resolved_at=None, level="critical", value=1.0) for n in (1, 2)
    ]
    assert len(firing_spans(firings, 2)) == 1


def test_a_change_is_each_bucket_minus_the_one_before_and_unknown_where_either_is() -> None:
    now = series(5.0, 6.0, None, 8.0)
    earlier = MetricSeries(
        now.metric,
        now.unit,
        now.tier,
        60.0,
        [
            Series(1, {}, [moment - timedelta(hours=1) for moment in now.series[0].time[:3]], [1.0, None, 1.0], [], []),
        ],
    )
    assert difference(now, earlier, 3600).series[0].avg == [4.0, None, None, 7.0]
