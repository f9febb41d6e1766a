"""Answers questions about stored metrics. Used by the routes; knows nothing of HTTP but its refusals."""

import difflib
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby, pairwise
from statistics import median_high
from typing import Any

import msgspec
from asyncpg import Record

from chatops_backend.database.interface import Database
from chatops_backend.database.queries import load_queries
from chatops_backend.metrics.planner import MAX_POINTS, Plan, plan
from chatops_backend.metrics.statements import Aggregate, label_named, latest_statement, series_statement
from chatops_backend.problems import ProblemError, not_found
from chatops_protocol.catalog import CUSTOM, MEASUREMENTS, Field, Measurement, find_metric, metric_names
from chatops_protocol.resources import MetricSeries, Series

# Of one answer, all series together: a million points are about 80 MB of JSON.
MAX_TOTAL_POINTS = 1_000_000
# Readings come a little late or early; a hole is more than two and a half of the usual distance.
GAP_FACTOR = 2.5
# What agents collect less often than all else, by their default, in seconds.
_SLOW_MEASUREMENTS = {"process": 30.0}
# A measurement this far behind the newest one is no longer collected: containers of an engine that was stopped.
STALE_S = 120.0
STALE_INTERVALS = 4


class MetricReader:
    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock
        self._queries = load_queries("metrics")

    async def latest(self, server_id: int) -> dict[str, Any]:
        """The newest collection: ``{time, host: {…} | None, cpu: [{core, …}], …}``. Raises `ProblemError` 404."""
        interval_s = await self._require_servers([server_id])
        rows = {m: await self._database.fetch(latest_statement(m), server_id) for m in MEASUREMENTS}
        times = {m: max(row["time"] for row in found) for m, found in rows.items() if found}
        # What users push has a rhythm of its own, and says nothing of the agent's.
        newest: Any = max((time for m, time in times.items() if m is not CUSTOM), default=times.get(CUSTOM))
        behind = timedelta(seconds=max(STALE_S, STALE_INTERVALS * interval_s))
        answer: dict[str, Any] = {"time": newest}
        for measurement, found in rows.items():
            stale = measurement is not CUSTOM and found and times[measurement] < newest - behind
            objects = [] if stale else [_named_values(measurement, row) for row in found]
            answer[measurement.name] = objects if measurement.labels else (objects[0] if objects else None)
        return answer

    async def read(
        self,
        metric: str,
        server_ids: Sequence[int],
        start: datetime,
        end: datetime | None,
        points: int,
        labels: Mapping[str, str],
        aggregate: Aggregate | None = None,
        group_by: Sequence[str] | None = None,
    ) -> MetricSeries:
        """Read series of one metric. Raises `ProblemError` that names what is wrong: metric, label, range, points."""
        measurement, field = _metric(metric)
        _check_labels(measurement, labels, group_by)
        now = datetime.fromtimestamp(self._clock(), UTC)
        start, end = _range(start, end, now)
        _check_points(points, len(server_ids))
        interval_s = max(await self._require_servers(server_ids), _SLOW_MEASUREMENTS.get(measurement.name, 0.0))
        chosen = plan(start, end, points, now, interval_s, combined=aggregate is not None)
        # How many series a server has is known to the database alone, which answers one row too many at most.
        statement, parameters = series_statement(
            measurement, field, chosen, server_ids, labels, aggregate, group_by, MAX_TOTAL_POINTS + 1
        )
        rows = await self._database.fetch(statement, *parameters)
        if len(rows) > MAX_TOTAL_POINTS:
            raise _too_much(measurement, labels, aggregate)
        keys = ["server_id", *measurement.label_names] if aggregate is None else list(group_by or ())
        return MetricSeries(
            metric=metric,
            unit=field.unit,
            tier=chosen.tier,
            bucket_seconds=chosen.bucket_seconds,
            series=[
                _series(measurement, dict(zip(keys, values, strict=True)), list(same), chosen, interval_s)
                for values, same in _by_key(rows, keys)
            ],
        )

    async def _require_servers(self, server_ids: Sequence[int]) -> float:
        """Raise 404 for the first server that does not exist; return the longest collection interval, in seconds."""
        rows = [row async for row in self._queries.find_intervals(self._database, server_ids=list(server_ids))]
        known = {row["id"] for row in rows}
        for server_id in server_ids:
            if server_id not in known:
                raise not_found("server", server_id)
        return max((row["interval_s"] for row in rows), default=5.0)


def _metric(metric: str) -> tuple[Measurement, Field]:
    found = find_metric(metric)
    if found is None:
        names = metric_names()
        near = difflib.get_close_matches(metric[:100], names, n=5, cutoff=0.4)
        near = near or [name for name in names if metric and name.startswith(metric)][:5]
        advice = f"Near it are: {', '.join(near)}." if near else "`GET /api/v1/metrics/catalog` lists all."
        raise ProblemError(404, "Unknown metric", f"There is no metric {metric[:100]!r}. {advice}")
    return found


def _check_labels(measurement: Measurement, labels: Mapping[str, str], group_by: Sequence[str] | None) -> None:
    known = ", ".join(measurement.label_names) or "none"
    for name, value in labels.items():
        label = label_named(measurement, name)
        if label is None:
            raise ProblemError(
                400, "Unknown label", f"{measurement.name} has no label {name[:100]!r}; its labels are: {known}."
            )
        if label.type == "jsonb":
            _check_object(name, value)
    for name in group_by or ():
        if name != "server_id" and label_named(measurement, name) is None:
            raise ProblemError(
                400,
                "Unknown label",
                f"`group_by` names {name[:100]!r}; {measurement.name} can be grouped by server_id and: {known}.",
            )


def _check_object(name: str, value: str) -> None:
    try:
        decoded = msgspec.json.decode(value, type=dict[str, str])
    except msgspec.MsgspecError as error:
        raise ProblemError(
            400, "Labels not readable", f"The label {name!r} takes the text of a JSON object of strings: {error}"
        ) from None
    # PostgreSQL's jsonb holds no U+0000.
    if any("\0" in text for pair in decoded.items() for text in pair):
        raise ProblemError(400, "Labels not readable", f"The label {name!r} has a NUL character; remove it.")


def _check_points(points: int, servers: int) -> None:
    if not 1 <= points <= MAX_POINTS:
        title = "Too many points" if points > 1 else "Too few points"
        raise ProblemError(400, title, f"`points` is {points}; ask for 1 to {MAX_POINTS}, or for a shorter range.")
    if points * servers > MAX_TOTAL_POINTS:
        raise ProblemError(
            400,
            "Too many points",
            f"{points} points of {servers} servers are more than {MAX_TOTAL_POINTS} together; ask for fewer.",
        )


def _too_much(measurement: Measurement, labels: Mapping[str, str], aggregate: Aggregate | None) -> ProblemError:
    advice = ["fewer `points`", "a shorter range", "fewer servers"]
    if open_labels := [name for name in measurement.label_names if name not in labels]:
        advice.append(f"one value of a label ({', '.join(open_labels)})")
    advice.append("`aggregate`" if aggregate is None else "fewer names in `group_by`")
    return ProblemError(
        400,
        "Too many points",
        f"The answer has more than {MAX_TOTAL_POINTS} points, all series together; ask for {', '.join(advice[:-1])} "
        f"or {advice[-1]}.",
    )


def _range(start: datetime, end: datetime | None, now: datetime) -> tuple[datetime, datetime]:
    start = start if start.tzinfo else start.replace(tzinfo=UTC)
    end = now if end is None else end if end.tzinfo else end.replace(tzinfo=UTC)
    if start >= end:
        raise ProblemError(
            400,
            "Reversed range",
            f"`start` ({start.isoformat()}) is not before `end` ({end.isoformat()}); exchange them.",
        )
    if start.year < 2000 or end > now + timedelta(days=366):
        raise ProblemError(400, "Range out of bounds", "`start` must not be before 2000, `end` not over a year ahead.")
    return start, end


def _by_key(rows: list[Record], keys: list[str]) -> Any:
    return groupby(rows, key=lambda row: tuple(row[key] for key in keys))


def _named_values(measurement: Measurement, row: Record) -> dict[str, Any]:
    values = {name: row[name] for name in measurement.columns}
    return values | _decoded_labels(measurement, values)


def _decoded_labels(measurement: Measurement, values: Mapping[str, Any]) -> dict[str, Any]:
    """The labels that the database holds as JSON, as objects."""
    names = [label.name for label in measurement.labels if label.type == "jsonb" and label.name in values]
    return {name: msgspec.json.decode(values[name]) for name in names}


def _series(
    measurement: Measurement, named: dict[str, Any], rows: list[Record], chosen: Plan, interval_s: float
) -> Series:
    server_id = named.pop("server_id", None)
    times = [row["bucket"] for row in rows]
    columns: list[list[float | None]] = [[row[name] for row in rows] for name in ("avg", "min", "max")]
    for place in reversed(_holes(times, chosen.bucket_seconds, interval_s)):
        times.insert(place, times[place - 1] + timedelta(seconds=chosen.bucket_seconds))
        for column in columns:
            column.insert(place, None)
    return Series(server_id, named | _decoded_labels(measurement, named), times, *columns)


def _holes(times: list[datetime], bucket_s: float, interval_s: float) -> list[int]:
    """Places before which readings are missing. A hole is marked by one empty point, enough to break a line."""
    steps = [(later - earlier).total_seconds() for earlier, later in pairwise(times)]
    usual = max(bucket_s * 1.5, interval_s * GAP_FACTOR)
    # What comes more seldom than its server's interval says is sparse, not full of holes.
    if len(steps) > 2 and median_high(steps) > usual:
        usual = median_high(steps) * GAP_FACTOR
    return [place for place, step in enumerate(steps, 1) if step > usual]
