"""“Explain this”: what is unusual in a stretch of a series, what moved with it, and who caused it. Each of the three is
asked by itself, so that one that fails takes no other along."""

import asyncio
from collections.abc import Awaitable, Mapping
from datetime import datetime, tzinfo
from typing import Any

from dash import html

from chatops_client import ApiError, BackendUnreachableError
from chatops_dashboards.components.explore_answers import anomalies_box, blame_box, correlations_box, forecast_line
from chatops_dashboards.components.states import explain as as_notice
from chatops_dashboards.components.states import notice
from chatops_dashboards.figures.explore_chart import series_name
from chatops_dashboards.moments import absolute, from_axis
from chatops_dashboards.pages.explore.query import SeriesChoice
from chatops_dashboards.session import Session, SessionEndedError
from chatops_dashboards.units import format_duration
from chatops_protocol.analysis_resources import Forecast

# What `GET /analysis/blame` takes.
BLAMED = (
    "host.cpu_percent",
    "host.memory_used_bytes",
    "host.memory_used_percent",
    "host.disk_write_bytes_per_second",
    "filesystem.used_percent",
    "filesystem.used_bytes",
)
SHORTEST_S = 60.0


def selected_stretch(selected: Mapping[str, Any] | None, zone: tzinfo) -> tuple[datetime, datetime] | None:
    """The stretch of time that a person dragged over on a chart."""
    ends = ((selected or {}).get("range") or {}).get("x")
    if not isinstance(ends, list) or len(ends) != 2:
        return None
    try:
        first, last = sorted(from_axis(str(end), zone) for end in ends)
    except ValueError:
        return None
    return (first, last) if (last - first).total_seconds() >= SHORTEST_S else None


def stretch_words(start: datetime, end: datetime, zone: tzinfo) -> str:
    return f"{absolute(start, zone)} to {absolute(end, zone)} ({format_duration((end - start).total_seconds())})"


async def explanation(
    session: Session,
    target: SeriesChoice,
    start: datetime,
    end: datetime,
    servers: Mapping[int, str],
    zone: tzinfo,
) -> Any:
    """Sections side by side."""
    if target.server_id is None:
        return notice("This series joins several servers. Take the aggregate away to explain one server's.", "warning")
    analysis, server_id, labels = session.client.analysis, target.server_id, dict(target.labels) or None
    asked: list[Awaitable[Any]] = [
        _anomalies(session, target, start, end, zone),
        _part(
            "What moved with it?",
            analysis.correlate(server_id, target.metric, start, end, labels=labels),
            lambda found: correlations_box(found, servers, _add_button),
        ),
    ]
    if target.metric in BLAMED:
        asked.append(
            _part("Who caused it?", analysis.blame(server_id, target.metric, start, end, labels=labels), blame_box)
        )
    parts = await asyncio.gather(*asked)
    name = series_name(servers.get(server_id, f"server {server_id}"), dict(target.labels))
    head = html.P(f"{target.metric} of {name}, {stretch_words(start, end, zone)}", className="dim small tight")
    return [head, html.Div(parts, className="explore-answers")]


async def forecast_of(session: Session, target: SeriesChoice) -> Forecast | Exception:
    """Of one server's series; the failure itself when there is none."""
    if target.server_id is None:
        return ValueError("a series of several servers")
    try:
        return await session.client.analysis.forecast(
            target.metric, server_ids=[target.server_id], labels=dict(target.labels) or None
        )
    except ApiError as error:
        if error.status == 401:
            raise SessionEndedError from error
        return error
    except BackendUnreachableError as error:
        return error


def forecast_words(found: Forecast | Exception, name: str, zone: tzinfo) -> Any:
    if isinstance(found, Forecast):
        return forecast_line(found, name, zone)
    if isinstance(found, ApiError):
        return notice(found.detail, "warning")
    if isinstance(found, BackendUnreachableError):
        return notice("The backend does not answer; there is no forecast.", "warning")
    return notice("A forecast is of one server's series. Take the aggregate away, or group by server_id.", "warning")


async def _anomalies(session: Session, target: SeriesChoice, start: datetime, end: datetime, zone: tzinfo) -> Any:
    ids = [target.server_id] if target.server_id is not None else []
    asked = session.client.analysis.anomalies(
        target.metric, start, end, server_ids=ids, labels=dict(target.labels) or None
    )
    return await _part("Is it unusual?", asked, lambda found: anomalies_box(found, zone))


async def _part(title: str, asked: Awaitable[Any], draw: Any) -> Any:
    try:
        return draw(await asked)
    except ApiError as error:
        if error.status == 401:
            raise SessionEndedError from error
        return html.Section([html.H3(title), as_notice(error)], className="panel explore-answer")
    except BackendUnreachableError:
        words = notice("The backend does not answer. Try again in a moment.", "critical")
        return html.Section([html.H3(title), words], className="panel explore-answer")


def _add_button(metric: str, row: int) -> html.Button:
    return html.Button(
        metric,
        id={"type": "explore-add", "metric": metric, "row": row},
        className="explore-add",
        type="button",
        title=f"Show {metric} too",
    )
