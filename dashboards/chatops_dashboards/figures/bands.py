"""Stretches of time in which something fired: bands behind a chart, or a thin strip along its foot. Pure.

They are traces on an axis of their own (0 to 1), not shapes: nobody can drag them, and they answer to the pointer.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Any

from chatops_dashboards.figures.frame import plain
from chatops_dashboards.moments import on_axis, since_text
from chatops_dashboards.theme import LEVEL_COLOURS
from chatops_dashboards.units import format_duration
from chatops_protocol.alert_resources import Alert, Level

OVERLAY = {"overlaying": "y", "side": "right", "range": [0, 1], "fixedrange": True, "visible": False}
STRIP_HEIGHT = 0.035
# Points along a strip, so that the pointer finds it wherever it is.
_STEPS = 40


@dataclass(frozen=True)
class Span:
    """`end` None: still so at the end of the range."""

    start: datetime
    end: datetime | None
    level: Level
    words: str


def alert_spans(alerts: Iterable[Alert]) -> list[Span]:
    """When each fired. One that never got beyond pending is left out."""
    return [
        Span(alert.started_at, alert.resolved_at, alert.level, f"{alert.threshold_name} ({alert.level})")
        for alert in alerts
        if alert.started_at is not None and alert.state != "pending"
    ]


def spans_of_metrics(alerts: Iterable[Alert], metrics: Collection[str]) -> list[Span]:
    """Of the alerts on one of these metrics, and of those on the host's silence, which concern every chart."""
    return alert_spans(alert for alert in alerts if alert.metric is None or alert.metric in metrics)


def add_bands(figure: dict[str, Any], spans: Sequence[Span], start: datetime, end: datetime, zone: tzinfo) -> None:
    """Shade the whole height while something fired."""
    figure["layout"]["yaxis2"] = dict(OVERLAY)
    figure["data"][:0] = [_area(span, start, end, zone, 1.0, 0.22) for span in spans if _within(span, start, end)]


def add_strip(figure: dict[str, Any], spans: Sequence[Span], start: datetime, end: datetime, zone: tzinfo) -> list[int]:
    """A thin band along the foot, appended after all other traces so that their numbers stay. The numbers of those
    that still fire, which grow with the chart."""
    shown = [span for span in spans if _within(span, start, end)]
    if not shown:
        return []
    figure["layout"]["yaxis2"] = dict(OVERLAY)
    first = len(figure["data"])
    figure["data"] += [_area(span, start, end, zone, STRIP_HEIGHT, 0.9) for span in shown]
    return [first + index for index, span in enumerate(shown) if span.end is None]


def grow_strip(added: list[Any], growing: Sequence[int]) -> None:
    """Let the strips of what still fires reach the point that `added` (an `extendData` of the chart) brings."""
    data, numbers, _keep = added
    newest = data["x"][0][-1]
    data["x"] = [*data["x"], *([newest] for _ in growing)]
    data["y"] = [*data["y"], *([STRIP_HEIGHT] for _ in growing)]
    numbers.extend(growing)


def _within(span: Span, start: datetime, end: datetime) -> bool:
    return span.start < end and (span.end is None or span.end > start)


def _area(span: Span, start: datetime, end: datetime, zone: tzinfo, height: float, opacity: float) -> dict[str, Any]:
    first, last = max(span.start, start), min(span.end or end, end)
    step = (last - first) / _STEPS
    moments = [first + step * index for index in range(_STEPS)] + [max(last, first + timedelta(milliseconds=1))]
    if span.end is not None:
        words = format_duration((span.end - span.start).total_seconds())
    else:
        words = f"since {since_text(span.start, end, zone)}"
    red, green, blue = (int(LEVEL_COLOURS[span.level][i : i + 2], 16) for i in (1, 3, 5))
    colour = f"rgba({red},{green},{blue},{opacity})"
    return {
        "type": "scatter",
        "mode": "lines",
        "name": plain(span.words),
        "meta": "firing",
        "x": [on_axis(moment, zone) for moment in moments],
        "y": [height] * len(moments),
        "yaxis": "y2",
        "fill": "tozeroy",
        "fillcolor": colour,
        # A hairline keeps a firing of a minute visible in a chart of a month.
        "line": {"width": 1.5, "color": colour, "shape": "linear"},
        "hovertemplate": words,
        "showlegend": False,
    }
