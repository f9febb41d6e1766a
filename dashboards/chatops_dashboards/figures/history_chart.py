"""A metric over a range: an average line with its minimum–maximum band per series. Pure.

Gaps are where the backend's answer has an empty point: it knows how far apart a server's readings are.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any

from chatops_dashboards.figures.frame import layout, plain, y_axis
from chatops_dashboards.moments import on_axis
from chatops_dashboards.theme import SERIES_COLOURS, metric_colour
from chatops_dashboards.units import Scale, format_duration, scale_for
from chatops_protocol.resources import MetricSeries, Series

HEIGHT = 300
MOST_SERIES = 7
TIER_WORDS = {"raw": "raw readings", "1m": "1-minute roll-up", "1h": "1-hour roll-up", "1d": "1-day roll-up"}


def series_name(labels: Mapping[str, Any]) -> str:
    """The labels' values, the telling one first; an unlabelled series is called by nothing."""
    return " · ".join(str(value) for value in labels.values() if value not in (None, "")) or "all"


def largest(answer: MetricSeries) -> float | None:
    return max((value for series in answer.series for value in series.max if value is not None), default=None)


def history_figure(
    answer: MetricSeries, start: datetime, end: datetime, zone: tzinfo, labels_shown: Sequence[str] = ()
) -> dict[str, Any]:
    """`labels_shown` names the series to draw (see `series_name`); none means the first few."""
    scale = scale_for(answer.unit, largest(answer))
    chosen = choose(answer, labels_shown)
    traces: list[dict[str, Any]] = []
    for index, series in enumerate(chosen):
        colour = metric_colour(answer.metric) if len(chosen) == 1 else SERIES_COLOURS[index % len(SERIES_COLOURS)]
        traces += series_traces(series, plain(series_name(series.labels)), colour, scale, zone)
    top = 100.0 if answer.unit == "percent" and (largest(answer) or 0) <= 100 else None
    frame = layout(
        y_axis(scale, top=top),
        revision=f"{answer.metric} {start} {end}",
        height=HEIGHT,
        legend=any(series.labels for series in chosen),
    )
    frame["xaxis"]["range"] = [on_axis(start, zone), on_axis(end, zone)]
    return {"data": traces, "layout": frame}


def choose(answer: MetricSeries, labels_shown: Sequence[str]) -> list[Series]:
    wanted = set(labels_shown)
    chosen = [series for series in answer.series if series_name(series.labels) in wanted] if wanted else answer.series
    return list(chosen)[:MOST_SERIES]


def describe(answer: MetricSeries) -> str:
    """Tier and bucket in words."""
    points = max((len(series.time) for series in answer.series), default=0)
    count = "1 point" if points == 1 else f"{points} points"
    return f"{TIER_WORDS[answer.tier]}, one point per {format_duration(answer.bucket_seconds)}, {count}"


def series_traces(series: Series, name: str, colour: str, scale: Scale, zone: tzinfo) -> list[dict[str, Any]]:
    """The bands of a series, broken where it is, then its line, which is the last."""
    times = [on_axis(moment, zone) for moment in series.time]
    traces: list[dict[str, Any]] = []
    for run in _runs(series.min):
        # One band per unbroken run: a fill across a gap would draw data that is not there.
        x = times[run]
        lower, upper = _scaled(series.min[run], scale), _scaled(series.max[run], scale)
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "x": [*x, *reversed(x)],
                "y": [*upper, *reversed(lower)],
                "fill": "toself",
                "fillcolor": _faint(colour),
                "line": {"width": 0},
                "hoverinfo": "skip",
                "showlegend": False,
                "legendgroup": name,
            }
        )
    tips = [f"{_tip(low, scale)} – {_tip(high, scale)}" for low, high in zip(series.min, series.max, strict=True)]
    traces.append(
        {
            "type": "scatter",
            "mode": "lines" if len(times) > 1 else "markers",
            "name": name,
            "x": times,
            "y": _scaled(series.avg, scale),
            "customdata": tips,
            "hovertemplate": "%{y}  (%{customdata})",
            "line": {"color": colour, "width": 1.8},
            "marker": {"color": colour},
            "connectgaps": False,
            "legendgroup": name,
        }
    )
    return traces


def _runs(values: Sequence[float | None]) -> list[slice]:
    runs, start = [], None
    for index, value in enumerate([*values, None]):
        if value is not None and start is None:
            start = index
        elif value is None and start is not None:
            runs.append(slice(start, index))
            start = None
    return runs


def _scaled(values: Sequence[float | None], scale: Scale) -> list[float | None]:
    return [None if value is None else round(value / scale.divisor, 4) for value in values]


def _tip(value: float | None, scale: Scale) -> str:
    return "–" if value is None else f"{value / scale.divisor:.3g}{scale.suffix}"


def _faint(colour: str) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.18)"
