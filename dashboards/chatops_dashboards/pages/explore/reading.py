"""What the Explore page asks the backend for, and what of the answers is shown. A metric that fails takes no other
along."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from chatops_client import ApiError, BackendUnreachableError
from chatops_client.queries import QueryOptions
from chatops_dashboards.figures.explore_chart import NamedSeries, highest, mean, series_key, series_name
from chatops_dashboards.figures.heat_map import COLUMNS, MOST_ROWS
from chatops_dashboards.pages.explore.query import ExploreQuery
from chatops_dashboards.session import Session
from chatops_protocol.catalog import find_metric
from chatops_protocol.resources import Aggregate, MetricSeries, Series, Server

POINTS = 400
# Of all series together, so that a fleet of hundreds is drawn as fast as a few.
ALL_POINTS = 100_000
SERVERS_KNOWN_S = 5.0
Rank = Callable[[Series], float | None]


@dataclass(frozen=True)
class Answered:
    """One metric: all series there are, named, the highest first; or why there are none."""

    metric: str
    answer: MetricSeries | None
    series: Sequence[NamedSeries]
    error: Exception | None = None

    def shown(self, top: int) -> Sequence[NamedSeries]:
        return self.series[:top]


@dataclass(frozen=True)
class Reading:
    """`servers` are those asked about; `missing` of the chosen ones are not there for whoever looks."""

    start: datetime
    end: datetime
    servers: Mapping[int, Server]
    missing: int
    answers: Sequence[Answered]


async def all_servers(session: Session) -> list[Server]:
    """Those that whoever looks may see. Asked anew after some seconds."""
    now = session.clock()
    known: tuple[float, list[Server]] | None = session.shared.get("explore-servers")
    if known is None or now - known[0] > SERVERS_KNOWN_S:
        known = session.shared["explore-servers"] = (now, await session.client.servers())
    return known[1]


def chosen_servers(asked: ExploreQuery, servers: Sequence[Server]) -> tuple[dict[int, Server], int]:
    """The servers asked about, and how many of the chosen ones are not there."""
    if not asked.servers and not asked.tag:
        return {server.id: server for server in servers}, 0
    wanted = set(asked.servers)
    found = {server.id: server for server in servers if server.id in wanted or (asked.tag and asked.tag in server.tags)}
    return found, len(wanted - found.keys())


def points_for(asked: ExploreQuery, servers: int) -> int:
    most = COLUMNS if asked.view == "heat" else POINTS
    return most if asked.aggregate and asked.view != "heat" else max(40, min(most, ALL_POINTS // max(1, servers)))


async def read(session: Session, asked: ExploreQuery, now: datetime) -> Reading:
    """Raises `ApiError` or `BackendUnreachableError` when not even the servers are known."""
    start, end = asked.range(now)
    servers, missing = chosen_servers(asked, await all_servers(session))
    if not servers:
        return Reading(start, end, {}, missing, [])
    return Reading(start, end, servers, missing, await _answers(session, asked, servers, start, end))


async def _answers(
    session: Session, asked: ExploreQuery, servers: Mapping[int, Server], start: datetime, end: datetime
) -> list[Answered]:
    """All metrics in one question; where that is refused, each by itself."""
    metrics = asked.metrics[:1] if asked.view == "heat" else asked.metrics
    options = query_options(asked, list(servers))

    async def ask(some: Sequence[str]) -> list[Answered]:
        try:
            answers = await session.client.query_answers(some, start, end, **options)
        except (ApiError, BackendUnreachableError) as error:
            # What may be seen can have changed since the servers were listed.
            session.shared.pop("explore-servers", None)
            return [Answered(metric, None, [], error) for metric in some]
        return [Answered(one.metric, one, named(one, servers, _rank(asked))) for one in answers]

    together = await ask(metrics)
    if len(metrics) == 1 or not all(isinstance(one.error, ApiError) for one in together):
        return together
    return [one for alone in await asyncio.gather(*(ask([metric]) for metric in metrics)) for one in alone]


def query_options(asked: ExploreQuery, server_ids: Sequence[int]) -> QueryOptions:
    """What the client is asked beside metrics and time. One series more than is shown tells that there are more."""
    options: QueryOptions = {"server_ids": server_ids, "points": points_for(asked, len(server_ids))}
    if asked.view == "heat":
        aggregate = asked.aggregate or _heat_aggregate(asked.metrics[0])
        return options | {"aggregate": aggregate, "group_by": ["server_id"], "top": MOST_ROWS}
    if asked.aggregate:
        options |= {"aggregate": asked.aggregate, "group_by": list(asked.group_by)}
    if asked.top_by != "avg":
        options |= {"top_by": asked.top_by}
    return options | {"top": asked.top + 1}


def named(answer: MetricSeries, servers: Mapping[int, Server], rank: Rank) -> list[NamedSeries]:
    """Those with readings, the highest by `rank` first, with names for people."""
    found = []
    for series in answer.series:
        server = None if series.server_id is None else servers.get(series.server_id)
        name = server.name if server else None if series.server_id is None else f"server {series.server_id}"
        if highest(series) is not None:
            key = series_key(series.server_id, series.labels)
            found.append(NamedSeries(key, series_name(name, series.labels), series))
    return sorted(found, key=lambda one: (-(rank(one.series) or 0.0), one.name))


def _rank(asked: ExploreQuery) -> Rank:
    """As the backend has chosen them. Of a heat map the mean."""
    return highest if asked.top_by == "max" and asked.view != "heat" else mean


def shown_top(asked: ExploreQuery) -> int:
    return MOST_ROWS if asked.view == "heat" else asked.top


def _heat_aggregate(metric: str) -> Aggregate:
    """Of a server with several series its worst."""
    found = find_metric(metric)
    return "max" if found is not None and found[0].label_names else "avg"
