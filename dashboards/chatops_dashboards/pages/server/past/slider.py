"""The slider over a stretch of the past, with the host's CPU above it."""

import logging
from datetime import datetime, tzinfo
from typing import Any

import dash_mantine_components as dmc
from dash import dcc, html

from chatops_client import ApiError, BackendUnreachableError
from chatops_dashboards.components.attributes import dashed
from chatops_dashboards.figures.sparkline import spark_mask
from chatops_dashboards.pages.server.past.moment import SPANS, stretch
from chatops_dashboards.session import Session

POINTS = 200
log = logging.getLogger(__name__)


def not_drawn_yet() -> list[Any]:
    """In its place until it is asked for, with its ids."""
    return [
        dmc.Slider(id="moment-at", min=0, max=1, value=1, disabled=True, **dashed(aria_label="Moment")),
        dcc.Store(id="moment-drawn"),
    ]


async def slider(
    session: Session, server_id: int, span: str, moment: datetime | None, now: datetime, zone: tzinfo
) -> list[Any]:
    """`moment-at` counts seconds from the start that `moment-drawn` holds; None: it stands at now."""
    length = SPANS[span].length
    start, end = stretch(length, moment, now)
    seconds = length.total_seconds()
    at = round(((moment or end) - start).total_seconds())
    form = "%H:%M" if seconds <= 86_400 else "%a %H:%M" if seconds <= 7 * 86_400 else "%d %b"
    drawn = {"start": start.timestamp(), "at": at, "span": span, "live": end == now}
    return [
        html.Div(await _spark(session, server_id, start, end), className="spark-box moment-spark"),
        dmc.Slider(
            id="moment-at",
            min=0,
            max=round(seconds),
            step=max(1, round(SPANS[span].step.total_seconds() / 5)),
            value=at,
            updatemode="mouseup",
            label={"function": "momentLabel", "options": {"start": start.timestamp()}},
            marks=[
                {"value": seconds * part // 4, "label": (start + length * part / 4).astimezone(zone).strftime(form)}
                for part in range(1, 4)
            ],
            color="gray",
            **dashed(aria_label="Moment"),
        ),
        dcc.Store(id="moment-drawn", data=drawn),
    ]


async def _spark(session: Session, server_id: int, start: datetime, end: datetime) -> Any:
    try:
        answer = await session.client.history_series(server_id, "host.cpu_percent", start, end, points=POINTS)
    except (ApiError, BackendUnreachableError) as error:
        log.warning("no readings to draw above the slider: %s", error)
        return html.Div("The readings of this stretch could not be loaded.", className="dim small")
    points = [
        (time.timestamp(), value)
        for series in answer.series
        for time, value in zip(series.time, series.avg, strict=True)
    ]
    mask = spark_mask(points, end.timestamp(), (end - start).total_seconds())
    if not mask:
        return html.Div("No readings in this stretch", className="dim small")
    return html.Div(style={"maskImage": mask, "WebkitMaskImage": mask}, className="spark", title="CPU of the host")
