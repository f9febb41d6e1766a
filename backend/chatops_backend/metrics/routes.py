"""``/metrics``: catalogue, latest, history, query. Thin: what is decided is decided in `reader` and `planner`."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, Router, get
from litestar.di import NamedDependency
from litestar.params import FromQuery, PathParameter, QueryParameter

from chatops_backend.accounts.access import allow
from chatops_backend.accounts.visibility import Visible
from chatops_backend.database.interface import Database
from chatops_backend.database.queries import load_queries
from chatops_backend.metrics import arrow, policies, storage
from chatops_backend.metrics.question import MAX_TOP, Question
from chatops_backend.metrics.reader import MetricReader
from chatops_backend.problems import ProblemError
from chatops_protocol.catalog import MEASUREMENTS
from chatops_protocol.resources import (
    TAG_PATTERN,
    Aggregate,
    Catalog,
    CatalogMetric,
    MetricAnswers,
    MetricSeries,
    TopBy,
)

DEFAULT_POINTS = 500
MAX_SERVERS = 2_000
MAX_AGAINST_S = 100 * 366 * 86_400

Metric = Annotated[str, QueryParameter(description="`measurement.field`, for example `host.cpu_percent`")]
Labels = Annotated[str, QueryParameter(description='Label filter, a JSON object: `{"mountpoint": "/"}`')]
Points = Annotated[int, QueryParameter(description="About how many points; the answer has up to twice as many")]
ServerId = Annotated[int, PathParameter(ge=1, le=2**31 - 1)]


@get("/catalog", opt=allow("viewer"))
async def get_catalog() -> Catalog:
    """Every metric there is, with unit, meaning and labels."""
    return Catalog(
        [
            CatalogMetric(f"{m.name}.{f.name}", m.name, f.name, f.unit, f.description, list(m.label_names))
            for m in MEASUREMENTS
            for f in m.fields
        ]
    )


@get("/{server_id:int}/latest", opt=allow("viewer"))
async def get_latest(server_id: ServerId, metric_reader: NamedDependency[MetricReader]) -> dict[str, Any]:
    """The newest reading of every measurement of one server."""
    return await metric_reader.latest(server_id)


@get("/{server_id:int}/history", opt=allow("viewer"))
async def get_history(
    request: Request[Any, Any, Any],
    server_id: ServerId,
    metric: Metric,
    start: FromQuery[datetime],
    metric_reader: NamedDependency[MetricReader],
    end: FromQuery[datetime | None] = None,
    points: Points = DEFAULT_POINTS,
    labels: Labels = "{}",
) -> Response[MetricSeries]:
    """One metric of one server over a range, from the tier that fits the number of points."""
    question = Question(
        metrics=[metric], server_ids=[server_id], start=start, end=end, points=points, labels=_labels(labels)
    )
    return await arrow.respond(request, await metric_reader.answer(question), question)


@get("/query", opt=allow("viewer"))
async def query(
    request: Request[Any, Any, Any],
    metric: Annotated[list[str], QueryParameter(description="`measurement.field`; may be given several times")],
    start: FromQuery[datetime],
    metric_reader: NamedDependency[MetricReader],
    database: NamedDependency[Database],
    visible: Visible,
    server_ids: Annotated[
        list[int] | None, QueryParameter(name="server_id", description="May be given several times")
    ] = None,
    tag: Annotated[
        str | None, QueryParameter(min_length=1, max_length=64, pattern=TAG_PATTERN, description="All with this tag")
    ] = None,
    end: FromQuery[datetime | None] = None,
    points: Points = DEFAULT_POINTS,
    labels: Labels = "{}",
    aggregate: Annotated[Aggregate | None, QueryParameter(description="Make one series of each group")] = None,
    group_by: Annotated[
        list[str] | None, QueryParameter(description="`server_id`, `tag` and label names; needs `aggregate`")
    ] = None,
    rate: Annotated[bool, QueryParameter(description="Change per second instead of values")] = False,
    against_s: Annotated[
        int, QueryParameter(ge=0, le=MAX_AGAINST_S, description="Difference to the values that many seconds earlier")
    ] = 0,
    top: Annotated[
        int | None, QueryParameter(ge=1, le=MAX_TOP, description="Only so many series, the highest first")
    ] = None,
    top_by: Annotated[TopBy, QueryParameter(description="Highest by the mean or by the highest of its points")] = "avg",
) -> Response[MetricSeries | MetricAnswers]:
    """Metrics of several servers, named by id or tag. No server named is no series: an empty choice is not all."""
    chosen = dict.fromkeys(server_ids or [])
    for server_id in chosen:
        visible.require(server_id)
    if tag is not None:
        chosen |= dict.fromkeys(filter(visible.sees, await load_queries("metrics").find_tagged(database, tag=tag)))
    if len(chosen) > MAX_SERVERS or any(not 1 <= server_id < 2**31 for server_id in chosen):
        raise ProblemError(400, "Servers not usable", f"Name up to {MAX_SERVERS} servers by their ids.")
    question = Question(
        metrics=metric,
        server_ids=list(chosen),
        start=start,
        end=end,
        points=points,
        labels=_labels(labels),
        aggregate=aggregate,
        group_by=group_by or (),
        rate=rate,
        against_s=against_s,
        top=top,
        top_by=top_by,
    )
    return await arrow.respond(request, await metric_reader.answer(question), question)


def _labels(text: str) -> dict[str, str]:
    try:
        return msgspec.json.decode(text, type=dict[str, str])
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ProblemError(
            400, "Labels not readable", f'`labels` must be a JSON object of strings, as {{"mountpoint": "/"}}: {error}'
        ) from None


route_handlers = [
    Router(
        "/metrics",
        route_handlers=[get_catalog, get_latest, get_history, query, *policies.route_handlers, *storage.route_handlers],
    )
]
