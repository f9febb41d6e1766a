"""The forecast of the Explore page: all series of the servers that are asked about in one question, and of the chosen
one its sentence and its line."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any

import msgspec
from dash import html

from chatops_client import ApiError, BackendUnreachableError
from chatops_dashboards.components.attributes import dashed
from chatops_dashboards.components.explore_forecasts import forecast_table
from chatops_dashboards.figures.explore_chart import series_name
from chatops_dashboards.pages.explore.explain import forecast_of, forecast_words
from chatops_dashboards.pages.explore.query import ExploreQuery, SeriesChoice
from chatops_dashboards.session import Session, SessionEndedError
from chatops_protocol.analysis_resources import Forecast, SeriesForecast
from chatops_protocol.resources import Server

# While somebody looks at one row after the other.
KNOWN_S = 60.0


@dataclass(frozen=True)
class Told:
    """`trends` are by metric; `words` are of the chosen series, `table` of all."""

    trends: Mapping[str, SeriesForecast]
    words: Any = None
    table: Any = None


async def forecast_all(session: Session, asked: ExploreQuery, servers: Mapping[int, Server]) -> Forecast | None:
    """Of the chosen series' metric. None when it is not asked for, and where the backend refuses: the chosen series is
    then asked for by itself, and says why that is refused too."""
    if not asked.forecast or asked.view != "chart" or not servers:
        return None
    chosen = asked.series.metric if asked.series is not None else None
    metric = chosen if chosen in asked.metrics else asked.metrics[0]
    now, place = session.clock(), (metric, *sorted(servers))
    known = session.shared.get("explore-forecast")
    if known is not None and known[0] == place and now - known[1] <= KNOWN_S:
        kept: Forecast = known[2]
        return kept
    try:
        found = await session.client.analysis.forecast(metric, server_ids=list(servers))
    except ApiError as error:
        if error.status == 401:
            raise SessionEndedError from error
        return None
    except BackendUnreachableError:
        return None
    session.shared["explore-forecast"] = (place, now, found)
    return found


def is_of(one: SeriesForecast, target: SeriesChoice, metric: str) -> bool:
    """Whether it is the chosen series, or one of those that were joined to it."""
    own = dict(SeriesChoice.of(metric, one).labels)
    return (
        metric == target.metric
        and one.server_id == target.server_id
        and all(own.get(name) == value for name, value in target.labels)
    )


def undrawn(found: Forecast | None, target: SeriesChoice | None, servers: Mapping[int, Server]) -> dict[str, str]:
    """The chosen series as a choice of its own, where it is none of those that the chart shows."""
    if found is None or target is None or not any(is_of(one, target, found.metric) for one in found.series):
        return {}
    return {target.text(): f"{_name(target, servers)} (trend only)"}


async def told(
    session: Session,
    asked: ExploreQuery,
    found: Forecast | None,
    target: SeriesChoice | None,
    servers: Mapping[int, Server],
    zone: tzinfo,
) -> Told:
    if not asked.forecast or asked.view != "chart" or target is None:
        return Told({})
    answer: Forecast | Exception
    if found is not None and target.server_id is not None and found.metric == target.metric:
        own = [one for one in found.series if is_of(one, target, found.metric)]
        answer = msgspec.structs.replace(found, series=own[:1])
    else:
        answer = await forecast_of(session, target)
    trends = {target.metric: answer.series[0]} if isinstance(answer, Forecast) and answer.series else {}
    table = _table(found, target, servers, zone) if found is not None and found.series else None
    return Told(trends, forecast_words(answer, _name(target, servers), zone), table)


def _table(found: Forecast, target: SeriesChoice, servers: Mapping[int, Server], zone: tzinfo) -> html.Div:
    chosen = next((one for one in found.series if is_of(one, target, found.metric)), None)

    def choose(one: SeriesForecast, words: str) -> html.Button:
        return html.Button(
            words,
            id={"type": "explore-forecast-row", "series": SeriesChoice.of(found.metric, one).text()},
            className="explore-add explore-row",
            type="button",
            title="Show its line",
            **dashed(aria_pressed=str(one is chosen).lower()),
        )

    return forecast_table(found, {key: server.name for key, server in servers.items()}, choose, zone)


def _name(target: SeriesChoice, servers: Mapping[int, Server]) -> str:
    server = servers.get(target.server_id or 0)
    return series_name(server.name if server else None, dict(target.labels))
