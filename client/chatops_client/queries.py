"""Queries over the metrics of several servers, for both clients: as polars frames, or as the lists of the REST API."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypedDict, TypeVar, Unpack

import polars as pl

from chatops_client.frames import stream_to_frame
from chatops_client.wire import ARROW, Call, query_params
from chatops_protocol.resources import Aggregate, MetricAnswers, MetricSeries, TopBy

T = TypeVar("T")
Metrics = str | Sequence[str]


class QueryOptions(TypedDict, total=False):
    """What a query may say beside metric and time; see `docs/api.md`. None and empty are the same as left out.

    server_ids, tag: which servers; none named is no rows
    points: about how many per series, 500 when left out
    labels: only series with these, ``{"mountpoint": "/"}``
    aggregate: one value per group and bucket: avg, min, max, sum, count, last, p50, p90, p95, p99
    group_by: what makes a group: ``server_id``, ``tag`` and names of labels
    rate: change per second instead of values
    against_s: the difference to the value that many seconds earlier
    top, top_by: only so many series, those with the highest mean (``max``: the highest point)
    """

    server_ids: Sequence[int]
    tag: str | None
    points: int
    labels: dict[str, str] | None
    aggregate: Aggregate | None
    group_by: Sequence[str]
    rate: bool
    against_s: int | None
    top: int | None
    top_by: TopBy


def _params(
    metrics: Metrics, start: datetime, end: datetime | None, options: QueryOptions
) -> tuple[tuple[str, str], ...]:
    asked: dict[str, Any] = {"metric": [metrics] if isinstance(metrics, str) else list(metrics)}
    asked |= {"start": start, "end": end}
    for name, value in options.items():
        if isinstance(value, Sequence) and not isinstance(value, str):
            value = list(value)
        if value is not None and value is not False and value not in ([], {}):
            asked["server_id" if name == "server_ids" else name] = "true" if value is True else value
    return query_params(asked)


def _series(metric: str, start: datetime, end: datetime | None, options: QueryOptions) -> Call[MetricSeries]:
    return Call("GET", "/metrics/query", MetricSeries, _params(metric, start, end, options))


def _answers(
    metrics: Sequence[str], start: datetime, end: datetime | None, options: QueryOptions
) -> Call[MetricAnswers | MetricSeries]:
    answer: Any = MetricAnswers if len(metrics) > 1 else MetricSeries
    return Call("GET", "/metrics/query", answer, _params(metrics, start, end, options))


def _stream(metrics: Metrics, start: datetime, end: datetime | None, options: QueryOptions) -> Call[bytes]:
    return Call("GET", "/metrics/query", bytes, _params(metrics, start, end, options), accept=ARROW)


def _named(metrics: Metrics, frame: pl.DataFrame) -> pl.DataFrame:
    """Of a list of one metric the frame of a list, as of every other."""
    if isinstance(metrics, str) or "metric" in frame.columns:
        return frame
    labels = [name for name in frame.columns if name not in ("time", "server_id", "avg", "min", "max")]
    return frame.with_columns(metric=pl.lit(metrics[0])).select(
        "metric", "server_id", *labels, "time", "avg", "min", "max"
    )


class Queries(ABC):
    """What a synchronous client can ask; `request` is its session's."""

    @abstractmethod
    def request(self, call: Call[T]) -> T: ...

    def query(
        self, metric: Metrics, start: datetime, end: datetime | None = None, **options: Unpack[QueryOptions]
    ) -> pl.DataFrame:
        """Metrics of several servers, for example
        ``query("host.cpu_percent", start, tag="web", aggregate="p95", group_by=["server_id"])``. `end` is now when
        left out; the options are those of `QueryOptions`: server_ids, tag, points, labels, aggregate, group_by, rate,
        against_s, top, top_by.

        One row per series and bucket: ``time`` (UTC, the bucket's start), ``server_id`` (null where a group has none),
        one text column per label or per name in `group_by`, ``avg``, ``min``, ``max`` in the metric's unit of the
        catalogue (readings for count, per second with `rate`). A list of metrics gives one frame with ``metric``,
        ``server_id``, the labels of all of them, ``time``, ``avg``, ``min``, ``max``. Null is a gap. Columns and types
        are the same when there are no rows."""
        return _named(metric, stream_to_frame(self.request(_stream(metric, start, end, options))))

    def query_series(
        self, metric: str, start: datetime, end: datetime | None = None, **options: Unpack[QueryOptions]
    ) -> MetricSeries:
        """As `query`, as parallel lists per series, with the tier and the bucket width that were used."""
        return self.request(_series(metric, start, end, options))

    def query_answers(
        self, metrics: Sequence[str], start: datetime, end: datetime | None = None, **options: Unpack[QueryOptions]
    ) -> list[MetricSeries]:
        """As `query_series` for several metrics, in their order."""
        return _listed(self.request(_answers(metrics, start, end, options)))


class AsyncQueries(ABC):
    """What an asynchronous client can ask; `request` is its session's."""

    @abstractmethod
    async def request(self, call: Call[T]) -> T: ...

    async def query(
        self, metric: Metrics, start: datetime, end: datetime | None = None, **options: Unpack[QueryOptions]
    ) -> pl.DataFrame:
        """As `Queries.query`."""
        return _named(metric, stream_to_frame(await self.request(_stream(metric, start, end, options))))

    async def query_series(
        self, metric: str, start: datetime, end: datetime | None = None, **options: Unpack[QueryOptions]
    ) -> MetricSeries:
        """As `query`, as parallel lists per series, with the tier and the bucket width that were used."""
        return await self.request(_series(metric, start, end, options))

    async def query_answers(
        self, metrics: Sequence[str], start: datetime, end: datetime | None = None, **options: Unpack[QueryOptions]
    ) -> list[MetricSeries]:
        """As `query_series` for several metrics, in their order."""
        return _listed(await self.request(_answers(metrics, start, end, options)))


def _listed(answer: MetricAnswers | MetricSeries) -> list[MetricSeries]:
    return answer.metrics if isinstance(answer, MetricAnswers) else [answer]
