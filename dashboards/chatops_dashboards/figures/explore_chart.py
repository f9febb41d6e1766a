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
    if trend is not None and (line := _trend(trend, start, end, scale, zone)) is not None:
        traces.append(line)
        last = end + (end - start) * LEADS_ON
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


def _trend(trend: SeriesForecast, start: datetime, end: datetime, scale: Scale, zone: tzinfo) -> dict[str, Any] | None:
    if trend.line is None or trend.line_at is None or trend.slope_per_day is None:
        return None
    first, last = max(start, trend.line_at - timedelta(days=3660)), end + (end - start) * LEADS_ON

    def at(moment: datetime) -> float:
        days = (moment - trend.line_at).total_seconds() / 86_400  # type: ignore[operator]  # known from above
        return round((trend.line + trend.slope_per_day * days) / scale.divisor, 4)  # type: ignore[operator]

    return {
        "type": "scatter",
        "mode": "lines",
        "name": "Trend",
        "meta": {"series": "", "band": False},
        "x": [on_axis(first, zone), on_axis(last, zone)],
        "y": [at(first), at(last)],
        "line": {"color": "#748092", "width": 2, "dash": "longdash"},
        "hovertemplate": "%{y}",
        "showlegend": False,
    }
