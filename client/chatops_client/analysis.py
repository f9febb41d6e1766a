"""``/analysis`` of the clients: `client.analysis` (`Analysis`) and `async_client.analysis` (`AsyncAnalysis`).

The answers are structs; `analysis_to_frame` makes one polars frame of any of them.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, TypedDict, TypeVar, Unpack

from chatops_client.alerts import AsyncSender, Sender
from chatops_client.wire import Call, query_params
from chatops_protocol.analysis_resources import Anomalies, Blame, Comparison, Correlations, Direction, Forecast

T = TypeVar("T")

# Others' analyses may have to end first.
WITHIN_S = 120.0


class Selection(TypedDict, total=False):
    """Servers by id or by tag, none is refused; `labels` narrows to series with these values."""

    server_ids: Sequence[int]
    tag: str | None
    labels: Mapping[str, str] | None


class ForecastOptions(Selection, total=False):
    """`level`: 100 for percentages, 0 for what is free, unless given. `history_s` before `end` (now) is looked at."""

    level: float | None
    direction: Direction | None
    horizon_s: float | None
    history_s: float | None
    end: datetime | None


class AnomalyOptions(Selection, total=False):
    """The profile is made of `weeks` before `start`; `threshold` is in robust standard deviations."""

    weeks: int | None
    threshold: float | None


class CorrelateOptions(TypedDict, total=False):
    """`labels` say which series of the metric. Compared with all series of its server, and of those named here."""

    labels: Mapping[str, str] | None
    other_server_ids: Sequence[int]
    other_tag: str | None
    max_lag_s: float | None
    method: Literal["pearson", "spearman"] | None
    limit: int | None


class CompareOptions(Selection, total=False):
    """With how many `windows` of earlier days or weeks."""

    against: Literal["day", "week"] | None
    windows: int | None


class BlameOptions(TypedDict, total=False):
    """The baseline is as long as the window, and just before it, unless given. `labels` say which file system."""

    labels: Mapping[str, str] | None
    baseline_start: datetime | None
    baseline_end: datetime | None
    limit: int | None


def forecast(metric: str, **options: Unpack[ForecastOptions]) -> Call[Forecast]:
    return _call("forecast", Forecast, {"metric": metric, **options})


def anomalies(metric: str, start: datetime, end: datetime | None, **options: Unpack[AnomalyOptions]) -> Call[Anomalies]:
    return _call("anomalies", Anomalies, {"metric": metric, "start": start, "end": end, **options})


def correlate(
    server_id: int, metric: str, start: datetime, end: datetime | None, **options: Unpack[CorrelateOptions]
) -> Call[Correlations]:
    parameters = {"server_id": server_id, "metric": metric, "start": start, "end": end, **options}
    return _call("correlate", Correlations, parameters)


def compare(metric: str, start: datetime, end: datetime | None, **options: Unpack[CompareOptions]) -> Call[Comparison]:
    return _call("compare", Comparison, {"metric": metric, "start": start, "end": end, **options})


def blame(
    server_id: int, metric: str, start: datetime, end: datetime | None, **options: Unpack[BlameOptions]
) -> Call[Blame]:
    return _call("blame", Blame, {"server_id": server_id, "metric": metric, "start": start, "end": end, **options})


def _call(name: str, answer: type[T], parameters: dict[str, Any]) -> Call[T]:
    several = {"server_ids": "server_id", "other_server_ids": "other_server_id"}
    named = {several.get(key, key): list(value) if key in several else value for key, value in parameters.items()}
    return Call("GET", f"/analysis/{name}", answer, query_params(named), timeout_s=WITHIN_S)


class Analysis:
    """Questions of the history. See `docs/analysis.md` for what each answers, and how."""

    def __init__(self, client: Sender) -> None:
        self._client = client

    def forecast(self, metric: str, **options: Unpack[ForecastOptions]) -> Forecast:
        """When each series reaches a level, the soonest first."""
        return self._client.request(forecast(metric, **options))

    def anomalies(
        self, metric: str, start: datetime, end: datetime | None = None, **options: Unpack[AnomalyOptions]
    ) -> Anomalies:
        """What is unusual from `start` to `end` for the hour of the week."""
        return self._client.request(anomalies(metric, start, end, **options))

    def correlate(
        self,
        server_id: int,
        metric: str,
        start: datetime,
        end: datetime | None = None,
        **options: Unpack[CorrelateOptions],
    ) -> Correlations:
        """The other series, ranked by how they moved with this one."""
        return self._client.request(correlate(server_id, metric, start, end, **options))

    def compare(
        self, metric: str, start: datetime, end: datetime | None = None, **options: Unpack[CompareOptions]
    ) -> Comparison:
        """This window against the same one of earlier days or weeks."""
        return self._client.request(compare(metric, start, end, **options))

    def blame(
        self,
        server_id: int,
        metric: str,
        start: datetime,
        end: datetime | None = None,
        **options: Unpack[BlameOptions],
    ) -> Blame:
        """Which processes and containers account for a rise of the host's processor, memory or writes to disks; of a
        file system, which containers fill it."""
        return self._client.request(blame(server_id, metric, start, end, **options))


class AsyncAnalysis:
    """As `Analysis`."""

    def __init__(self, client: AsyncSender) -> None:
        self._client = client

    async def forecast(self, metric: str, **options: Unpack[ForecastOptions]) -> Forecast:
        """When each series reaches a level, the soonest first."""
        return await self._client.request(forecast(metric, **options))

    async def anomalies(
        self, metric: str, start: datetime, end: datetime | None = None, **options: Unpack[AnomalyOptions]
    ) -> Anomalies:
        """What is unusual from `start` to `end` for the hour of the week."""
        return await self._client.request(anomalies(metric, start, end, **options))

    async def correlate(
        self,
        server_id: int,
        metric: str,
        start: datetime,
        end: datetime | None = None,
        **options: Unpack[CorrelateOptions],
    ) -> Correlations:
        """The other series, ranked by how they moved with this one."""
        return await self._client.request(correlate(server_id, metric, start, end, **options))

    async def compare(
        self, metric: str, start: datetime, end: datetime | None = None, **options: Unpack[CompareOptions]
    ) -> Comparison:
        """This window against the same one of earlier days or weeks."""
        return await self._client.request(compare(metric, start, end, **options))

    async def blame(
        self,
        server_id: int,
        metric: str,
        start: datetime,
        end: datetime | None = None,
        **options: Unpack[BlameOptions],
    ) -> Blame:
        """Which processes and containers account for a rise of the host's processor, memory or writes to disks; of a
        file system, which containers fill it."""
        return await self._client.request(blame(server_id, metric, start, end, **options))
