"""The moment somebody looks at as a line through a chart over time. Pure."""

from datetime import datetime, tzinfo
from typing import Any

from chatops_dashboards.moments import on_axis
from chatops_dashboards.theme import SLATE


def add_cursor(figure: dict[str, Any], moment: datetime, zone: tzinfo) -> None:
    """A shape, so that it is no series of the legend and the pointer passes it."""
    at = on_axis(moment, zone)
    line: dict[str, Any] = {"type": "line", "name": "moment", "layer": "above"}
    line |= {"xref": "x", "x0": at, "x1": at, "yref": "paper", "y0": 0, "y1": 1}
    line["line"] = {"color": SLATE, "width": 2, "dash": "dot"}
    figure["layout"]["shapes"] = [*figure["layout"].get("shapes", ()), line]
