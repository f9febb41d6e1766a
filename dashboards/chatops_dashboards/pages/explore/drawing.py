"""Draws what the controls of the Explore page ask for. One query in, everything below the controls out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Any
from urllib.parse import urlencode

from dash import html

from chatops_client import ApiError, BackendUnreachableError
from chatops_dashboards.components.states import failure, notice
from chatops_dashboards.components.status import moment_text
from chatops_dashboards.moments import from_axis, zone_label
from chatops_dashboards.pages.explore.absent import no_metric
from chatops_dashboards.pages.explore.controls import range_words
from chatops_dashboards.pages.explore.download import PATH as DOWNLOAD
from chatops_dashboards.pages.explore.forecasts import forecast_all, told, undrawn
from chatops_dashboards.pages.explore.frame import MEDIA_TYPES
from chatops_dashboards.pages.explore.marks import Happened, what_happened
from chatops_dashboards.pages.explore.panels import panels
from chatops_dashboards.pages.explore.python_text import python_text
from chatops_dashboards.pages.explore.query import (
    DEFAULT_TOP,
    MOST_METRICS,
    MOST_SERVERS,
    PLACE,
    TOPS,
    VIEWS,
    ExploreQuery,
    SeriesChoice,
    groups,
    read_aggregate,
    read_tag,
    read_top_by,
)
from chatops_dashboards.pages.explore.reading import Reading, points_for, query_options, read, shown_top
from chatops_dashboards.pages.server.history_query import PRESETS
from chatops_dashboards.session import Session
from chatops_protocol.catalog import find_metric


@dataclass(frozen=True)
class Drawn:
    """`charts` None: what is shown stays, and `note` says since when it is old."""

    charts: Any
    note: Any = None
    range: Any = ""
    series: list[dict[str, str]] = field(default_factory=list)
    target: str | None = None
    forecast: Any = None
    forecasts: Any = None
    python: str = ""
    read_at: datetime | None = None


def query_of(values: Mapping[str, Any], zone: tzinfo) -> ExploreQuery:
    """What the controls are set to; what they cannot be is left out."""
    metrics = tuple(name for name in values.get("metrics") or () if find_metric(name))[:MOST_METRICS]
    aggregate = read_aggregate(values.get("aggregate"))
    start = end = None
    preset = str(values.get("preset") or "")
    if preset == "custom":
        try:
            start, end = (from_axis(str(values.get(name) or ""), zone) for name in ("start", "end"))
        except ValueError:
            start = end = None
    top = str(values.get("top") or "")
    return ExploreQuery(
        metrics=metrics,
        servers=tuple(int(one) for one in values.get("servers") or () if str(one).isdecimal())[:MOST_SERVERS],
        tag=read_tag(values.get("tag")),
        preset=preset if preset in PRESETS else "6h",
        start=start,
        end=end,
        aggregate=aggregate,
        group_by=groups(values.get("group"), metrics) if aggregate else (),
        top=int(top) if top in map(str, TOPS) else DEFAULT_TOP,
        top_by=read_top_by(values.get("by")),
        view=str(values.get("view")) if values.get("view") in VIEWS else "chart",
        events=bool(values.get("events")),
        series=SeriesChoice.read(values.get("series")),
        forecast=bool(values.get("forecast")),
    )


async def drawn(
    session: Session, asked: ExploreQuery, zone: tzinfo, now: datetime, api_url: str, shown_at: datetime | None = None
) -> Drawn:
    """`shown_at`: when what is on the page was read, if something is."""
    if not asked.metrics:
        return Drawn(no_metric())
    if asked.start is not None and asked.end is not None and asked.start >= asked.end:
        words = "The range ends before it starts. Choose an earlier beginning or a later end."
        return Drawn(html.Div(words, className="state-line", role="alert"))
    try:
        reading = await read(session, asked, now)
    except (ApiError, BackendUnreachableError) as error:
        return _not_read(error, shown_at, now, zone)
    down = [one.error for one in reading.answers if isinstance(one.error, BackendUnreachableError)]
    if down and len(down) == len(reading.answers):
        return _not_read(down[0], shown_at, now, zone)
    found = await forecast_all(session, asked, reading.servers)
    choices = series_choices(reading, asked)
    if asked.series is not None and asked.series.text() not in choices:
        choices |= undrawn(found, asked.series, reading.servers)
    target = asked.series if asked.series is not None and asked.series.text() in choices else None
    target = target or SeriesChoice.read(next(iter(choices), None))
    happened = await _happened(session, asked, reading)
    ahead = await told(session, asked, found, target, reading.servers, zone)
    return Drawn(
        charts=panels(asked, reading, happened, ahead.trends, zone),
        note=_partial(reading),
        range=[
            range_words(reading.start, reading.end, zone),
            f" · times in {zone_label(zone, reading.end)} · read ",
            moment_text(now, now, zone),
        ],
        series=[{"value": value, "label": label} for value, label in choices.items()],
        target=target.text() if target else None,
        forecast=ahead.words,
        forecasts=ahead.table,
        python=python_text(
            asked,
            list(reading.servers),
            reading.start,
            reading.end,
            query_options(asked, ()) | {"points": points_for(asked, len(reading.servers)), "top": shown_top(asked)},
            api_url,
            session.user.username,
        ),
        read_at=now,
    )


def series_choices(reading: Reading, asked: ExploreQuery) -> dict[str, str]:
    """The series that are shown, by what tells them apart, with their names."""
    several = len(reading.answers) > 1
    return {
        SeriesChoice.of(answered.metric, one.series).text(): f"{answered.metric} · {one.name}" if several else one.name
        for answered in reading.answers
        for one in answered.shown(asked.top)
    }


def share_address(asked: ExploreQuery) -> str:
    query = urlencode(asked.to_query())
    return f"{PLACE}?{query}" if query else PLACE


def download_links(asked: ExploreQuery) -> list[Any]:
    words = {"csv": "CSV", "parquet": "Parquet", "arrow": "Arrow"}
    return [
        html.A(
            words[form],
            href=f"{DOWNLOAD}?{urlencode(asked.to_query() | {'format': form})}",
            className="plain-button small",
            id=f"explore-download-{form}",
            download="",
        )
        for form in MEDIA_TYPES
    ]


def _not_read(error: Exception, shown_at: datetime | None, now: datetime, zone: tzinfo) -> Drawn:
    if shown_at is None or isinstance(error, ApiError):
        return Drawn(failure(error, "The readings"))
    old = ["The backend does not answer. What is shown was read ", moment_text(shown_at, now, zone), ". "]
    return Drawn(None, note=notice([*old, "Refresh to try again."], "warning"), read_at=shown_at)


async def _happened(session: Session, asked: ExploreQuery, reading: Reading) -> Happened:
    if not asked.events or asked.view != "chart" or not reading.servers:
        return Happened()
    shown = {one.series.server_id for answered in reading.answers for one in answered.shown(asked.top)}
    servers = {key: server for key, server in reading.servers.items() if key in shown or None in shown}
    return await what_happened(session, servers, reading.start, reading.end) if servers else Happened()


def _partial(reading: Reading) -> Any:
    if not reading.missing or not reading.servers:
        return None
    some = "1 of the chosen servers is" if reading.missing == 1 else f"{reading.missing} of the chosen servers are"
    return notice(f"{some} not there: deleted, or not for you to see. The others are shown.", "warning")
