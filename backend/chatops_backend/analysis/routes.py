"""``/analysis``: forecast, anomalies, correlate, compare, blame. Thin: each question decides in its own module."""

import math
import time
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from litestar import Request, Router, get
from litestar.di import NamedDependency
from litestar.params import FromQuery, QueryParameter

from chatops_backend.accounts.access import allow
from chatops_backend.accounts.visibility import Visible
from chatops_backend.analysis.choice import (
    chosen_servers,
    read_choice,
    read_range,
    required_interval,
)
from chatops_backend.analysis.forecast import default_direction, default_level
from chatops_backend.analysis.questions import anomalies, blame, compare, correlate, forecast
from chatops_backend.analysis.questions.blame_reading import BlameQuestion
from chatops_backend.analysis.turns import Turns
from chatops_backend.database.interface import Database
from chatops_backend.metrics.question import FIRST_YEAR
from chatops_backend.metrics.reader import MetricReader
from chatops_backend.problems import ProblemError
from chatops_protocol.analysis_resources import Anomalies, Blame, Comparison, Correlations, Direction, Forecast
from chatops_protocol.resources import TAG_PATTERN

DAY_S = 86_400
MOST_HORIZON_S = 10 * 366 * DAY_S
USUAL_S = 30 * DAY_S
USUAL_WINDOWS = {"day": 7, "week": 4}

Metric = Annotated[str, QueryParameter(description="`measurement.field`, for example `host.cpu_percent`")]
Labels = Annotated[str, QueryParameter(description='Label filter, a JSON object: `{"mountpoint": "/"}`')]
ServerId = Annotated[int, QueryParameter(name="server_id", ge=1, le=2**31 - 1)]
ServerIds = Annotated[list[int] | None, QueryParameter(name="server_id", description="May be given several times")]
Tag = Annotated[
    str | None, QueryParameter(min_length=1, max_length=64, pattern=TAG_PATTERN, description="All with this tag")
]
End = FromQuery[datetime | None]


@get("/forecast", opt=allow("viewer"))
async def get_forecast(
    request: Request[Any, Any, Any],
    metric: Metric,
    database: NamedDependency[Database],
    turns: NamedDependency[Turns],
    visible: Visible,
    server_ids: ServerIds = None,
    tag: Tag = None,
    labels: Labels = "{}",
    level: Annotated[float | None, QueryParameter(description="100 for percentages, 0 for what is free")] = None,
    direction: FromQuery[Direction | None] = None,
    horizon_s: Annotated[float, QueryParameter(gt=0, le=MOST_HORIZON_S)] = USUAL_S,
    history_s: Annotated[float, QueryParameter(ge=DAY_S, le=forecast.LONGEST_HISTORY_S)] = USUAL_S,
    end: End = None,
) -> Forecast:
    """When each series reaches a level, by a robust line through its past."""
    if level is not None and not math.isfinite(level):
        raise ProblemError(400, "Level not usable", "`level` must be a number.")
    if end is not None and end.year < FIRST_YEAR:
        raise ProblemError(400, "Range out of bounds", f"`end` must not be before {FIRST_YEAR}.")
    choice = await read_choice(database, visible, metric, server_ids, tag, labels)
    now = _now()
    whole = read_range((end or now) - timedelta(seconds=history_s), end, now, forecast.LONGEST_HISTORY_S)
    way = direction or default_direction(choice.field)
    goal = level if level is not None else default_level(choice.field, way)
    return await turns.run(
        request, forecast.ask(database, turns, forecast.ForecastQuestion(choice, whole, goal, way, horizon_s))
    )


@get("/anomalies", opt=allow("viewer"))
async def get_anomalies(
    request: Request[Any, Any, Any],
    metric: Metric,
    start: FromQuery[datetime],
    database: NamedDependency[Database],
    turns: NamedDependency[Turns],
    metric_reader: NamedDependency[MetricReader],
    visible: Visible,
    server_ids: ServerIds = None,
    tag: Tag = None,
    labels: Labels = "{}",
    end: End = None,
    weeks: Annotated[int, QueryParameter(ge=1, le=12, description="How many before `start` say what is usual")] = 4,
    threshold: Annotated[float, QueryParameter(ge=1, le=100, description="Robust standard deviations")] = 3.5,
) -> Anomalies:
    """What is unusual in the range for the hour of the week."""
    choice = await read_choice(database, visible, metric, server_ids, tag, labels)
    now = _now()
    window = read_range(start, end, now, anomalies.LONGEST_S)
    question = anomalies.AnomalyQuestion(choice, window, weeks, threshold)
    return await turns.run(
        request, anomalies.ask(database, turns, question, await metric_reader.kept_tiers.whole_since(now))
    )


@get("/correlate", opt=allow("viewer"))
async def get_correlations(
    request: Request[Any, Any, Any],
    server_id: ServerId,
    metric: Metric,
    start: FromQuery[datetime],
    database: NamedDependency[Database],
    turns: NamedDependency[Turns],
    metric_reader: NamedDependency[MetricReader],
    visible: Visible,
    labels: Labels = "{}",
    end: End = None,
    other_server_ids: Annotated[
        list[int] | None, QueryParameter(name="other_server_id", description="Compare with series of these too")
    ] = None,
    other_tag: Tag = None,
    max_lag_s: Annotated[float | None, QueryParameter(ge=0, le=7 * DAY_S)] = None,
    method: FromQuery[Literal["pearson", "spearman"]] = "pearson",
    limit: Annotated[int, QueryParameter(ge=1, le=500)] = 20,
) -> Correlations:
    """The other series of a server, ranked by how they moved with one of them, and with which delay."""
    choice = await read_choice(database, visible, metric, [server_id], None, labels)
    others = await chosen_servers(database, visible, other_server_ids, other_tag)
    if others:
        await required_interval(database, others)
    now = _now()
    window = read_range(start, end, now, correlate.LONGEST_S)
    question = correlate.CorrelateQuestion(choice, others, window, max_lag_s, method, limit)
    return await turns.run(
        request, correlate.ask(database, turns, question, await metric_reader.kept_tiers.whole_since(now))
    )


@get("/compare", opt=allow("viewer"))
async def get_comparison(
    request: Request[Any, Any, Any],
    metric: Metric,
    start: FromQuery[datetime],
    database: NamedDependency[Database],
    turns: NamedDependency[Turns],
    metric_reader: NamedDependency[MetricReader],
    visible: Visible,
    server_ids: ServerIds = None,
    tag: Tag = None,
    labels: Labels = "{}",
    end: End = None,
    against: FromQuery[Literal["day", "week"]] = "day",
    windows: Annotated[int | None, QueryParameter(ge=1, le=12, description="7 days or 4 weeks")] = None,
) -> Comparison:
    """The range against the same one of earlier days or weeks: medians, shift and effect size."""
    choice = await read_choice(database, visible, metric, server_ids, tag, labels)
    now = _now()
    period_s = DAY_S if against == "day" else 7 * DAY_S
    window = read_range(start, end, now, 7 * DAY_S)
    question = compare.CompareQuestion(choice, window, period_s, windows or USUAL_WINDOWS[against])
    return await turns.run(
        request, compare.ask(database, turns, question, await metric_reader.kept_tiers.whole_since(now))
    )


@get("/blame", opt=allow("viewer"))
async def get_blame(
    request: Request[Any, Any, Any],
    server_id: ServerId,
    start: FromQuery[datetime],
    database: NamedDependency[Database],
    turns: NamedDependency[Turns],
    metric_reader: NamedDependency[MetricReader],
    visible: Visible,
    metric: Metric = "host.cpu_percent",
    labels: Labels = "{}",
    end: End = None,
    baseline_start: FromQuery[datetime | None] = None,
    baseline_end: FromQuery[datetime | None] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=200)] = 10,
) -> Blame:
    """Which processes and containers account for a rise of the host's processor, memory or writes to disks; and which
    containers fill a file system."""
    choice = await read_choice(database, visible, metric, [server_id], labels=labels)
    if choice.metric not in blame.METRICS:
        raise ProblemError(
            400, "Nothing to blame", f"Nobody can be named for {metric}; ask about one of {', '.join(blame.METRICS)}."
        )
    now = _now()
    window = read_range(start, end, now, blame.LONGEST_S)
    if baseline_start is None and baseline_end is None:
        baseline = window.earlier(window.length_s)
    elif baseline_start is None:
        raise ProblemError(400, "Baseline not usable", "Give `baseline_start` with `baseline_end`.")
    else:
        baseline = read_range(baseline_start, baseline_end or window.start, now, blame.LONGEST_S)
    if baseline.end > window.start and baseline.start < window.end:
        raise ProblemError(400, "Baseline not usable", "Window and baseline overlap; a rise is between two times.")
    question = BlameQuestion(choice, window, baseline, limit)
    return await turns.run(
        request, blame.ask(database, turns, question, await metric_reader.kept_tiers.whole_since(now))
    )


def _now() -> datetime:
    return datetime.fromtimestamp(time.time(), UTC)


route_handlers = [
    Router("/analysis", route_handlers=[get_forecast, get_anomalies, get_correlations, get_comparison, get_blame])
]
