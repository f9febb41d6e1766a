"""The ways between the pages about alerts, and the count of what fires in the header."""

from datetime import tzinfo
from typing import Any

from dash import dcc, html

from chatops_dashboards.alert_hub import AlertHub, alert_hub
from chatops_dashboards.components.attributes import dashed
from chatops_dashboards.live import Push, View
from chatops_dashboards.session import Session

PLACES = {
    "/alerts": "Alerts",
    "/alerts/history": "History",
    "/alerts/rules": "Rules",
    "/alerts/silences": "Silences",
    "/alerts/channels": "Channels",
}
COUNT_ID = "nav-alerts-count"


def places(current: str, *, below: bool = False) -> html.Nav:
    """`below`: on a page below `current`, which then is a way back."""
    return html.Nav(
        [
            html.Span(word, className="place place-current", **dashed(aria_current="page"))
            if path == current and not below
            else dcc.Link(word, href=path, className="place place-current" if path == current else "place")
            for path, word in PLACES.items()
        ],
        className="places",
        **dashed(aria_label="Pages about alerts"),
    )


def count_badge(hub: AlertHub) -> Any:
    """How many fire unacknowledged, in the colour of the worst; nothing when none does."""
    count, critical = hub.firing(), hub.firing("critical")
    if not count:
        return None
    level = "critical" if critical else "warning"
    words = f"{count} firing, {critical} of them critical" if critical else f"{count} firing"
    stale = "" if hub.current else " nav-count-stale"
    words += " when the backend was last heard" if stale else ""
    return html.Span(
        [html.Span(count, **dashed(aria_hidden="true")), html.Span(words, className="visually-hidden")],
        className=f"nav-count nav-count-{level}{stale}",
        title=words,
    )


async def stream_count(session: Session, view: View, zone: tzinfo, push: Push) -> None:
    """Keeps the header's count; runs beside the stream of every page."""
    async with alert_hub(session).subscribed() as hub:
        version, shown = 0, (-1, -1, True)
        while hub.refusal is None:
            state = (hub.firing(), hub.firing("critical"), hub.current)
            if hub.heard and state != shown:
                push(COUNT_ID, children=count_badge(hub))
                shown = state
            await hub.news(version, timeout=30.0)
            version = hub.version
