"""One metric of several servers: a line with its minimum–maximum band per series, a trend that leads on, and room for
marks. The legend is the page's own (`explore_legend.py`), so that traces only say which series they are. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Any

import msgspec

from chatops_dashboards.figures.frame import layout, plain, y_axis
from chatops_dashboards.figures.history_chart import series_traces
from chatops_dashboards.figures.series_styles import Style
from chatops_dashboards.moments import on_axis
from chatops_dashboards.theme import BLUE
from chatops_dashboards.units import Scale, scale_for
from chatops_protocol.analysis_resources import SeriesForecast
from chatops_protocol.resources import MetricSeries, Series

HEIGHT = 340
# More bands than these hide each other: they are there, and show when their series is alone.
MOST_BANDS = 5
# More names than these fill the chart when the pointer is over it.
MOST_TOGETHER = 12
# How much of the range a trend leads on beyond its end.
LEADS_ON = 0.35
# And at most, to where it reaches its level: what was measured keeps half of the chart.
LEADS_ON_MOST = 1.0


@dataclass(frozen=True)
class NamedSeries:
    """A series with its key, which is the same in all charts, and its name for people."""

    key: str
    name: str
    series: Series


def series_key(server_id: int | None, labels: Mapping[str, Any]) -> str:
    return msgspec.json.encode([server_id, dict(labels)]).decode()


def series_name(server: str | None, labels: Mapping[str, Any]) -> str:
    """The server, then the labels' values; a series of everything is called so."""
    words = [] if server is None else [server]
    words += [
        value if isinstance(value, str) else msgspec.json.encode(value).decode()
        for value in labels.values()
        if value not in (None, "", {})
    ]
    return " · ".join(words) or "all together"


def mean(series: Series) -> float | None:
    known = [value for value in series.avg if value is not None]
    return sum(known) / len(known) if known else None


def highest(series: Series) -> float | None:
    return max((value for value in series.max if value is not None), default=None)


def explore_figure(
    answer: MetricSeries,
    shown: Sequence[NamedSeries],
    style_of: Mapping[str, Style],
    start: datetime,
    end: datetime,
    zone: tzinfo,
    trend: SeriesForecast | None = None,
) -> dict[str, Any]:
    """`end` is that of the range; with a `trend` the axis leads on beyond it."""
    top = max((value for one in shown if (value := highest(one.series)) is not None), default=None)
    scale = scale_for(answer.unit, top)
    traces: list[dict[str, Any]] = []
    for one in shown:
        style = style_of.get(one.key, Style(BLUE, "solid"))
        parts = series_traces(one.series, plain(one.name), style.colour, scale, zone)
        for part in parts:
            band = part is not parts[-1]
            part |= {
                "legendgroup": one.key,
                "showlegend": False,
                "meta": {"series": one.key, "band": band},
                "visible": not band or len(shown) <= MOST_BANDS,
            }
        parts[-1]["line"]["dash"] = style.dash
        traces += parts
    last = end
    if trend is not None and (lines := _trend(trend, start, ahead := _ahead(trend, start, end), scale, zone)):
        traces += lines
        last = ahead
    full = 100.0 if answer.unit == "percent" and (top or 0) <= 100 and (top or 0) > 25 else None
    frame = layout(y_axis(scale, top=full), revision=f"{start} {end}", height=HEIGHT, legend=False)
    frame["xaxis"] |= {"range": [on_axis(start, zone), on_axis(last, zone)], "fixedrange": True}
    frame |= {
        "dragmode": "select",
        "selectdirection": "h",
        "selections": [],
        "selectionrevision": f"{start} {end}",
        "hovermode": "x unified" if len(shown) <= MOST_TOGETHER else "closest",
    }
    return {"data": traces, "layout": frame}


def _ahead(trend: SeriesForecast, start: datetime, end: datetime) -> datetime:
    """Where the chart ends: at the level, where that is not too far off."""
    least, most = end + (end - start) * LEADS_ON, end + (end - start) * LEADS_ON_MOST
    return least if trend.reaches_at is None else min(max(least, trend.reaches_at), most)


def _trend(trend: SeriesForecast, start: datetime, last: datetime, scale: Scale, zone: tzinfo) -> list[dict[str, Any]]:
    """The line, and before it, where it reaches its level by `last`, the days between which it may."""
    line, line_at, slope = trend.line, trend.line_at, trend.slope_per_day
    if line is None or line_at is None or slope is None:
        return []
    first = max(start, line_at - timedelta(days=3660))

    def at(moment: datetime) -> float:
        return round((line + slope * ((moment - line_at) / timedelta(days=1))) / scale.divisor, 4)

    def drawn(name: str, moments: tuple[datetime, datetime], values: list[float], **line: Any) -> dict[str, Any]:
        return {
            "type": "scatter",
            "mode": "lines",
            "name": name,
            "meta": {"series": "", "band": False},
            "x": [on_axis(moment, zone) for moment in moments],
            "y": values,
            "line": {"color": "#748092", **line},
            "hovertemplate": "%{y}",
            "showlegend": False,
        }

    lines = [drawn("Trend", (first, last), [at(first), at(last)], width=2, dash="longdash")]
    if trend.reaches_at is not None and trend.earliest_at is not None and trend.reaches_at <= last:
        level, latest = at(trend.reaches_at), min(last, trend.latest_at or last)
        lines.insert(0, drawn("Reached between", (trend.earliest_at, latest), [level, level], width=6))
    return lines
