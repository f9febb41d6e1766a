"""What analyses found, as Explore tells it: sentences of the backend first, then what they rest on. Text only. Pure."""

from collections.abc import Callable, Mapping
from datetime import datetime, tzinfo
from typing import Any

from dash import html

from chatops_dashboards.components.attributes import dashed
from chatops_dashboards.components.tables import data_table
from chatops_dashboards.figures.explore_chart import series_name
from chatops_dashboards.moments import absolute
from chatops_dashboards.units import UNKNOWN, format_duration, format_value
from chatops_protocol.analysis_resources import Anomalies, Blame, BlameShares, Correlations, Forecast

MOST_ROWS = 12
# A button that shows a metric too, by the metric and the row it stands in.
AddMetric = Callable[[str, int], Any]


def anomalies_box(found: Anomalies, zone: tzinfo) -> html.Section:
    rows = [
        [
            absolute(stretch.start, zone)[:16],
            format_duration((stretch.end - stretch.start).total_seconds()),
            format_value(stretch.value, found.unit),
            format_value(stretch.expected, found.unit),
            f"{stretch.score:+.1f}",
        ]
        for series in found.series
        for stretch in series.stretches
    ]
    return _box(
        "Is it unusual?",
        [html.P(series.explanation, className="tight") for series in found.series[:3]]
        or [html.P("There are no readings to judge.", className="tight")],
        data_table(
            [("From", False), ("Lasted", True), ("Was", True), ("Usual", True), ("Score", True)],
            rows[:MOST_ROWS],
            caption="Unusual stretches, with what was usual at that hour",
            hide_on_phone=[1],
        )
        if rows
        else None,
        _more(len(rows)),
    )


def correlations_box(found: Correlations, servers: Mapping[int, str], add: AddMetric) -> html.Section:
    moved = [one for one in found.series if one.strength > 0]
    rows = [
        [
            [
                add(one.metric, row),
                html.Div(series_name(servers.get(one.server_id), one.labels), className="dim small"),
            ],
            f"{one.correlation:+.2f}",
            _lag(one.lag_s),
            f"{100 * one.strength:.0f} %",
        ]
        for row, one in enumerate(moved[:MOST_ROWS])
    ]
    return _box(
        "What moved with it?",
        [html.P(found.explanation, className="tight")],
        data_table(
            [("Series", False), ("Correlation", True), ("When", True), ("Strength", True)],
            rows,
            caption="Other series of the server, ranked by how they moved with this one",
            hide_on_phone=[1],
        )
        if rows
        else None,
        _more(len(moved)),
    )


def blame_box(found: Blame) -> html.Section:
    parts: list[Any] = [html.P(found.explanation, className="tight")]
    for title, shares in (("Processes", found.processes), ("Containers", found.containers)):
        if shares.culprits:
            parts += [html.H3(title), html.P(shares.explanation, className="dim small tight"), _culprits(shares, found)]
        elif found.outcome == "rise":
            parts.append(html.P(f"{title}: {shares.explanation}", className="dim small tight"))
    return _box("Who caused it?", parts)


def _culprits(shares: BlameShares, found: Blame) -> html.Div:
    rows = [
        [
            series_name(None, one.labels),
            ("at most " if one.at_most else "") + _change(one.rise, found.unit),
            UNKNOWN if one.share is None else f"{100 * one.share:.0f} %",
        ]
        for one in shares.culprits[:MOST_ROWS]
    ]
    if shares.unexplained is not None:
        part = UNKNOWN if shares.unexplained_share is None else f"{100 * shares.unexplained_share:.0f} %"
        rows.append(["not explained", _change(shares.unexplained, found.unit), part])
    return data_table([("Which", False), ("Rise", True), ("Share", True)], rows, caption="What accounts for the rise")


def forecast_line(found: Forecast, name: str, zone: tzinfo) -> html.Div:
    """The sentence under the chart; the date stands first when there is one."""
    if not found.series:
        return html.Div(f"{name}: no readings to look ahead from.", className="explore-forecast dim")
    one = found.series[0]
    parts: list[Any] = [html.Strong(f"{name}: ")]
    if one.reaches_at is not None and one.outcome == "reaches":
        word = "full" if found.level in (100.0, 0.0) else format_value(found.level, found.unit)
        parts.append(html.Strong(f"{word} on {_day(one.reaches_at, zone)}. "))
    parts.append(one.explanation)
    return html.Div(parts, className="explore-forecast", role="status")


def _change(value: float, unit: str) -> str:
    """Of a share it is points, not per cent."""
    return f"{value:+.1f} points" if unit == "percent" else format_value(value, unit)


def _day(moment: datetime, zone: tzinfo) -> str:
    return moment.astimezone(zone).strftime("%Y-%m-%d")


def _lag(seconds: float) -> str:
    if seconds == 0:
        return "at once"
    return f"{format_duration(abs(seconds))} {'later' if seconds > 0 else 'earlier'}"


def _box(title: str, words: list[Any], *rest: Any) -> html.Section:
    return html.Section([html.H3(title), *words, *rest], className="panel explore-answer", **dashed(aria_label=title))


def _more(count: int) -> Any:
    return html.P(f"and {count - MOST_ROWS} more", className="dim small tight") if count > MOST_ROWS else None
