"""Why an alert fired: its metric around the deciding window, which is shaded, with the bounds and the firing. Pure."""

from datetime import datetime, timedelta, tzinfo
from typing import Any

from chatops_dashboards.figures.bands import add_bands, alert_spans
from chatops_dashboards.figures.bounds import bound_lines, with_lines
from chatops_dashboards.figures.history_chart import history_figure, largest
from chatops_dashboards.moments import on_axis
from chatops_dashboards.theme import SLATE
from chatops_dashboards.units import scale_for
from chatops_protocol.alert_resources import Alert, Bound
from chatops_protocol.resources import MetricSeries

# As much before the window that decided as makes plain what was usual.
LEAD_S = 1800.0
LONGEST_S = 86_400.0


def decided_at(alert: Alert) -> datetime | None:
    return alert.started_at or alert.pending_at


def chart_range(alert: Alert, now: datetime) -> tuple[datetime, datetime]:
    """From well before the window that decided to the end of the firing and a while on, at most a day of it."""
    moment = decided_at(alert) or now
    lead = timedelta(seconds=max(LEAD_S, 2.0 * alert.window_s))
    over = (alert.resolved_at or now) + lead / 3
    return moment - lead, min(over, now, moment + timedelta(seconds=LONGEST_S))


def alert_figure(
    alert: Alert, answer: MetricSeries, bounds: dict[str, Bound | None], start: datetime, end: datetime, zone: tzinfo
) -> dict[str, Any]:
    """`bounds` are the rule's levels by name, or the one that decided when the rule has changed since."""
    figure = history_figure(answer, start, end, zone)
    with_lines(figure, bound_lines(bounds), scale_for(answer.unit, largest(answer)))
    moment = decided_at(alert)
    if moment is not None:
        figure["layout"]["shapes"].append(
            {
                "type": "rect",
                "name": "the window that decided",
                "layer": "below",
                "xref": "x",
                "yref": "paper",
                "x0": on_axis(moment - timedelta(seconds=alert.window_s), zone),
                "x1": on_axis(moment, zone),
                "y0": 0,
                "y1": 1,
                "fillcolor": SLATE,
                "opacity": 0.22,
                "line": {"width": 0},
                "label": {"text": "decided", "textposition": "top left", "font": {"size": 11, "color": SLATE}},
            }
        )
    add_bands(figure, alert_spans([alert]), start, end, zone)
    return figure
