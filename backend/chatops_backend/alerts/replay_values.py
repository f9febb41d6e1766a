"""The values that a rule would have compared over a range, per series of one server. For backtest and suggestion."""

import asyncio
import math
from collections import deque
from collections.abc import AsyncGenerator

import msgspec
import polars as pl
from msgspec import Struct

from chatops_backend.alerts import windows
from chatops_backend.alerts.history import Labels, Quiet, Source, merged, read_buckets, read_hours
from chatops_backend.alerts.missing_series import PRESENT, Part, judges_presence
from chatops_backend.alerts.rule_book import bounds_for
from chatops_backend.alerts.state_machine import Bounds
from chatops_backend.alerts.stretches import HOUR_S, pieces, stretches
from chatops_backend.alerts.watched_servers import WatchedServer
from chatops_backend.database.interface import Database
from chatops_backend.database.queries import load_queries
from chatops_backend.problems import ProblemError
from chatops_protocol.alert_resources import Threshold
from chatops_protocol.catalog import HOST, find_metric

DAY_S = 86_400
# As long as each tier is kept by default.
LONGEST_S = {"1m": 90 * DAY_S, "1h": 730 * DAY_S}
# Twenty million minutes take about half a minute to read.
MOST_ROWS = 20_000_000
# What came late is in the minutes first; the hours follow within the hour.
_RECENT_S = 2 * DAY_S


class ReplayPlan(Struct, frozen=True):
    """Moments ``first, first + step_s, …, last`` and what has to be read for them. Times are Unix seconds."""

    threshold: Threshold
    bounds: Bounds
    source: Source
    width_s: int
    step_s: int
    # How far before a moment its value looks.
    reach_s: int
    first: int
    last: int
    now: int


class SeriesValues(Struct, frozen=True):
    """Values at ``first, first + step_s, …``; after the last of them there is no data. `unseen`: one truth for each
    moment up to the plan's last, where nobody would have looked at this series."""

    labels: Labels
    first: int
    values: pl.Series
    part: Part = "whole"
    unseen: pl.Series | None = None


class ServerValues(Struct, frozen=True):
    server: WatchedServer
    series: list[SeriesValues]
    # Hours with data, over all series.
    hours: int


def plan_replay(threshold: Threshold, start: float, end: float, now: float) -> ReplayPlan:
    """`threshold` is valid. Raises `ProblemError` for a range that cannot be replayed."""
    offline = threshold.kind == "offline"
    tier = "1m" if offline else windows.tier_of(threshold.window_s)
    width_s = windows.WIDTH_S[tier]
    if start >= end:
        raise ProblemError(400, "Reversed range", "`start` is not before `end`; exchange them.")
    if end - start > LONGEST_S[tier] + DAY_S:
        days, unit = LONGEST_S[tier] // DAY_S, "minutes" if tier == "1m" else "hours"
        raise ProblemError(
            400, "Range too long", f"This rule reads {unit}, which are kept for {days} days; choose a shorter range."
        )
    step_s, reach_s, columns = width_s, threshold.window_s, windows.columns_of(threshold.aggregate)
    if threshold.kind == "forecast":
        step_s, count = windows.forecast_bins(threshold.window_s)
        reach_s = step_s * count
    elif threshold.kind == "change":
        reach_s += threshold.against_s or 0
    found = None if offline else find_metric(threshold.metric or "")
    measurement, field = found if found is not None else (HOST, None)
    return ReplayPlan(
        threshold=threshold,
        bounds=bounds_for(threshold),
        source=Source(measurement, field, tier, threshold.labels, () if offline else columns),
        width_s=width_s,
        step_s=step_s,
        reach_s=reach_s,
        first=math.ceil(start / step_s) * step_s,
        last=math.floor(min(end, now) / step_s) * step_s,
        now=int(now),
    )


class _Budget:
    """How much one replay may still read."""

    def __init__(self) -> None:
        self._left = MOST_ROWS

    def spend(self, rows: int) -> None:
        self._left -= rows
        if self._left < 0:
            raise ProblemError(
                400,
                "Too much to replay",
                f"This would read over {MOST_ROWS:,} stored values; name fewer servers, a label, or a shorter range.",
            )


class _Read(Struct, frozen=True):
    found: dict[Labels, pl.DataFrame]
    hours: int
    # The end of the newest hour of readings before the range; for offline rules.
    before: float | None


async def read_values(
    database: Database, plan: ReplayPlan, servers: list[WatchedServer], *, all_values: bool = False
) -> AsyncGenerator[ServerValues, None]:
    """One server after the other, so that memory holds two: while one is worked on, the next one is read.

    Unless `all_values`, stretches in which a rule can only stay ok, or end, may have no values where there are some.
    """
    budget = _Budget()
    quiet = None if all_values else quiet_of(plan)
    ahead: deque[asyncio.Task[_Read]] = deque()
    try:
        for place, server in enumerate(servers):
            for other in servers[place + len(ahead) : place + 2]:
                ahead.append(asyncio.create_task(_read(database, plan, other.id, quiet, budget)))
            read = await ahead[0]
            ahead.popleft()
            values = await asyncio.to_thread(_values, plan, server, read.found, read.before)
            yield ServerValues(server, values, read.hours)
    finally:
        for task in ahead:
            task.cancel()
        await asyncio.gather(*ahead, return_exceptions=True)


async def _read(database: Database, plan: ReplayPlan, server_id: int, quiet: Quiet | None, budget: _Budget) -> _Read:
    start, end = plan.first - plan.reach_s, plan.last
    series = await read_hours(database, plan.source, server_id, start // HOUR_S * HOUR_S, end, quiet)
    loud = {hour for one in series for hour in one.loud}
    if quiet is not None:
        loud.update(range(max(start, plan.now - _RECENT_S) // HOUR_S * HOUR_S, end, HOUR_S))
    rows_per_hour = max(1, len(series)) * HOUR_S / plan.width_s
    covered = stretches(loud, math.ceil(plan.reach_s / HOUR_S) * HOUR_S, start, end)
    budget.spend(int(sum(last - first for first, last in covered) / HOUR_S * rows_per_hour))
    parts = [
        await read_buckets(database, plan.source, server_id, first, last)
        for first, last in pieces(covered, rows_per_hour)
    ]
    before = None
    if plan.threshold.kind == "offline":
        before = await load_queries("alerts").last_hour_before(database, server_id=server_id, before=float(start))
    return _Read(merged(parts), sum(one.hours for one in series), before)


def quiet_of(plan: ReplayPlan) -> Quiet | None:
    """The values that are good, a little narrowed against rounding; None when data that is missing matters as well, or
    when a value can lie outside of what its hour's buckets have."""
    bounds = plan.bounds
    bound = bounds.clear if bounds.clear is not None else bounds.warning
    bound = bound if bound is not None else bounds.critical
    if plan.threshold.kind != "threshold" or bounds.no_data != "ignore" or plan.source.tier != "1m" or bound is None:
        return None
    if isinstance(bound, tuple):
        return Quiet(bound[0] + _rounding(bound[0]), bound[1] - _rounding(bound[1]))
    if bounds.comparison in ("gt", "gte"):
        return Quiet(-math.inf, bound - _rounding(bound))
    return Quiet(bound + _rounding(bound), math.inf)


def _rounding(bound: float) -> float:
    return 1e-9 * max(1.0, abs(bound))


def _values(
    plan: ReplayPlan, server: WatchedServer, found: dict[Labels, pl.DataFrame], before: float | None
) -> list[SeriesValues]:
    offline = plan.threshold.kind == "offline"
    if not plan.source.measurement.labels and not found:
        if offline and before is not None:
            empty = pl.DataFrame(schema={"time": pl.Int64, "seen": pl.Boolean})
            return [_series_values(plan, server, (), empty, int(before))]
        if plan.bounds.no_data == "fire":
            return [SeriesValues((), plan.first, pl.Series([], dtype=pl.Float64))]
    series = [
        _series_values(plan, server, labels, buckets, int(before) if before is not None else None)
        for labels, buckets in found.items()
    ]
    return _with_presence(plan, series) if judges_presence(plan.bounds, plan.threshold.metric) else series


def _with_presence(plan: ReplayPlan, series: list[SeriesValues]) -> list[SeriesValues]:
    """The series, unseen while none of them has a value, and the one without labels that stands for them then."""
    count = (plan.last - plan.first) // plan.step_s + 1
    places = [(one.first - plan.first) // plan.step_s for one in series]
    absent = pl.repeat(value=True, n=count, eager=True)
    for place, one in zip(places, series, strict=True):
        rest = absent.slice(place, len(one.values)) & one.values.is_null()
        absent = pl.concat([absent.head(place), rest, absent.slice(place + len(one.values))])
    values = pl.select(pl.when(~absent).then(PRESENT)).to_series()
    return [
        SeriesValues((), plan.first, values, "presence"),
        *(
            msgspec.structs.replace(one, part="single", unseen=absent.slice(place))
            for place, one in zip(places, series, strict=True)
        ),
    ]


def _series_values(
    plan: ReplayPlan, server: WatchedServer, labels: Labels, buckets: pl.DataFrame, before: int | None
) -> SeriesValues:
    """Row n of the grid is the bucket that ends at ``begin + (n + 1) * width_s``."""
    threshold, width_s, step_s = plan.threshold, plan.width_s, plan.step_s
    whole = threshold.kind == "offline" or (plan.bounds.no_data == "fire" and not labels)
    begin = plan.first - plan.reach_s if whole else max(plan.first - plan.reach_s, _lowest(buckets))
    end = plan.last if whole else min(plan.last, _highest(buckets) + width_s + plan.reach_s)
    begin = begin // step_s * step_s
    end = max(begin + step_s, math.ceil(end / step_s) * step_s)
    grid = windows.dense(buckets, begin, (end - begin) // width_s, width_s)
    if threshold.kind == "offline":
        values = windows.silences(grid, width_s, server.interval_s, before)
    elif threshold.kind == "forecast":
        values = windows.rolling_forecasts(grid, width_s, threshold.window_s, threshold.within_s or 0)
    else:
        values = windows.rolling_values(grid, width_s, threshold.window_s, threshold.aggregate)
        if threshold.kind == "change":
            values = windows.changes(values, width_s, threshold.against_s or 0)
    first = max(plan.first, begin + step_s)
    skipped = (first - begin) // step_s - 1
    count = (plan.last - first) // step_s + 1
    return SeriesValues(labels, first, values.slice(skipped, max(0, count)))


def _lowest(buckets: pl.DataFrame) -> int:
    return int(buckets.select(pl.col("time").min()).item())


def _highest(buckets: pl.DataFrame) -> int:
    return int(buckets.select(pl.col("time").max()).item())
