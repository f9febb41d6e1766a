"""When agents connected and went, along the top of charts below the commands: a restart shows as the two side by side.
On the axis of `bands.py`. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any

from chatops_dashboards.figures.bands import OVERLAY
from chatops_dashboards.figures.frame import plain
from chatops_dashboards.moments import on_axis
from chatops_dashboards.theme import SLATE
from chatops_protocol.resources import ConnectionEvent

HEIGHT = 0.9
MOST_MARKS = 200
_SYMBOLS = {"connected": "triangle-up-open", "disconnected": "triangle-down-open", "replaced": "diamond-open"}
_WORDS = {
    "connected": "agent connected",
    "disconnected": "agent went",
    "replaced": "agent connected anew",
    "refused": "agent refused",
}


def add_connections(
    figure: dict[str, Any],
    events: Sequence[ConnectionEvent],
    names: Mapping[int, str],
    start: datetime,
    end: datetime,
    zone: tzinfo,
) -> None:
    """Mark the newest, appended after all other traces so that their numbers stay."""
    within = sorted((one for one in events if start <= one.time < end), key=lambda one: one.time)[-MOST_MARKS:]
    if not within:
        return
    figure["layout"]["yaxis2"] = dict(OVERLAY)
    figure["data"].append(
        {
            "type": "scatter",
            "mode": "markers",
            "name": "Agent",
            "meta": "connections",
            "x": [on_axis(one.time, zone) for one in within],
            "y": [HEIGHT] * len(within),
            "yaxis": "y2",
            "customdata": [_words(one, names, zone) for one in within],
            "hovertemplate": "%{customdata}",
            "marker": {
                "symbol": [_SYMBOLS.get(one.event, "x-open") for one in within],
                "size": 9,
                "color": SLATE,
                "opacity": 1,
            },
            "showlegend": False,
        }
    )


def _words(event: ConnectionEvent, names: Mapping[int, str], zone: tzinfo) -> str:
    name = names.get(event.server_id, f"server {event.server_id}")
    detail = f": {plain(event.detail, 60)}" if event.detail else ""
    return f"{plain(name)}, {_WORDS[event.event]} {event.time.astimezone(zone):%H:%M:%S}{detail}"
