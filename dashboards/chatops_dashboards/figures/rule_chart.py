"""The chart of the rule editor: the metric of one server, the levels as lines to drag, what would have fired. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta, tzinfo
from typing import Any

from chatops_dashboards.figures.bands import Span, add_bands
from chatops_dashboards.figures.bounds import with_lines
from chatops_dashboards.figures.frame import GRAPH_CONFIG, layout
from chatops_dashboards.figures.history_chart import history_figure, largest
from chatops_dashboards.moments import on_axis
from chatops_dashboards.theme import PURPLE
from chatops_dashboards.units import Scale, scale_for
from chatops_protocol.alert_resources import Firing
from chatops_protocol.resources import MetricSeries, Series

HEIGHT = 380
# Shapes are moved by hand, so that only the lines may be shapes here.
CONFIG: Any = GRAPH_CONFIG | {"edits": {"shapePosition": True}}


def no_figure() -> dict[str, Any]:
    """Before the first answer: the ground of the theme, no axes."""
    frame = layout({"visible": False, "fixedrange": True}, revision="none", height=HEIGHT, legend=False)
    frame["xaxis"] = {"visible": False, "fixedrange": True}
    return {"data": [], "layout": frame}


def rule_scale(answer: MetricSeries, lines: dict[str, float]) -> Scale:
    return scale_for(answer.unit, max([largest(answer) or 0.0, *lines.values()]))


def firing_spans(firings: Sequence[Firing], server_id: int) -> list[Span]:
    return [
        Span(firing.started_at, firing.resolved_at, firing.level, f"would have fired ({firing.level})")
        for firing in firings
        if firing.server_id == server_id
    ]


def rule_figure(
    answer: MetricSeries,
    lines: dict[str, float],
    spans: Sequence[Span],
    incidents: Sequence[tuple[datetime, datetime]],
    start: datetime,
    end: datetime,
    zone: tzinfo,
    *,
    marking: bool,
    revision: str,
) -> dict[str, Any]:
    """`marking`: a drag marks an incident instead of zooming. `revision` differs whenever a line may have moved, so
    that a line that was dragged aslant is drawn level again."""
    figure = history_figure(answer, start, end, zone)
    scale = rule_scale(answer, lines)
    if scale != scale_for(answer.unit, largest(answer)):
        figure = _rescaled(figure, scale_for(answer.unit, largest(answer)), scale)
    with_lines(figure, lines, scale)
    add_bands(figure, spans, start, end, zone)
    figure["data"] += [_incident(first, last, zone) for first, last in incidents]
    figure["layout"] |= {
        "height": HEIGHT,
        "editrevision": revision,
        "selectionrevision": revision,
        "selections": [],
        "dragmode": "select" if marking else "zoom",
        "selectdirection": "h",
    }
    return figure


def difference(now: MetricSeries, earlier: MetricSeries, against_s: int) -> MetricSeries:
    """What a change rule compares: each bucket minus the one `against_s` before, None where either is missing."""
    past = {
        tuple(sorted(series.labels.items())): dict(zip(series.time, series.avg, strict=True))
        for series in earlier.series
    }
    shift, near = timedelta(seconds=against_s), timedelta(seconds=now.bucket_seconds)
    found = []
    for series in now.series:
        before = past.get(tuple(sorted(series.labels.items())), {})
        values: list[float | None] = []
        for moment, value in zip(series.time, series.avg, strict=True):
            # Two ranges may be cut into buckets that are one apart.
            same = (moment - shift, moment - shift - near, moment - shift + near)
            then = next((before[m] for m in same if m in before), None)
            values.append(None if value is None or then is None else value - then)
        found.append(Series(series.server_id, series.labels, series.time, values, values, values))
    return MetricSeries(now.metric, now.unit, now.tier, now.bucket_seconds, found)


def _incident(first: datetime, last: datetime, zone: tzinfo) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "marked incident",
        "meta": "incident",
        "x": [on_axis(moment, zone) for moment in (first, first, last, last, first)],
        "y": [0.0, 1.0, 1.0, 0.0, 0.0],
        "yaxis": "y2",
        "line": {"color": PURPLE, "width": 1.5, "dash": "dot"},
        "fill": "toself",
        "fillcolor": "rgba(142,99,206,0.10)",
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _rescaled(figure: dict[str, Any], old: Scale, new: Scale) -> dict[str, Any]:
    """The same figure counted in another unit, when a line is far above the data."""
    factor = old.divisor / new.divisor
    for trace in figure["data"]:
        trace["y"] = [None if value is None else value * factor for value in trace["y"]]
    figure["layout"]["yaxis"]["ticksuffix"] = new.suffix
    return figure
