"""Answers questions about stored metrics. Used by the routes; knows nothing of HTTP but its refusals."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import msgspec
from asyncpg import Record

from chatops_backend.database.interface import Database
from chatops_backend.database.queries import load_queries
from chatops_backend.metrics import combine
from chatops_backend.metrics.kept_tiers import KeptTiers
from chatops_backend.metrics.packed import WIDTH, unpack_times, unpack_values
from chatops_backend.metrics.planner import MAX_READINGS, NoTierError, Plan, Reading, plan
from chatops_backend.metrics.question import (
    Question,
    check_bounds,
    require_metrics,
    require_range,
    too_many_points,
    too_many_readings,
)
from chatops_backend.metrics.statements import PERCENTILES, latest_statement, needs_readings, series_statement
from chatops_backend.problems import ProblemError, not_found
from chatops_protocol.catalog import CUSTOM, MEASUREMENTS, Field, Measurement
from chatops_protocol.resources import Aggregate, MetricSeries, Series

# Of one answer, all series together: a million points are about 80 MB of JSON.
MAX_TOTAL_POINTS = 1_000_000
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
        self.kept_tiers = KeptTiers(database)

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
        (answer,) = await self.answer(
            Question(
                metrics=[metric],
                server_ids=server_ids,
                start=start,
                end=end,
                points=points,
                labels=labels,
                aggregate=aggregate,
                group_by=group_by or (),
            )
        )
        return answer

    async def answer(self, question: Question) -> list[MetricSeries]:
        """One entry for each metric, in the order asked. Raises `ProblemError` that names what is wrong."""
        metrics = require_metrics(question)
        start, end = require_range(question, datetime.fromtimestamp(self._clock(), UTC))
        check_bounds(question, MAX_TOTAL_POINTS)
        question = msgspec.structs.replace(
            question, start=start, end=end, group_by=list(dict.fromkeys(question.group_by))
        )
        interval_s = await self._require_servers(question.server_ids)
        answers = []
        left = MAX_TOTAL_POINTS
        for measurement, field in metrics:
            rhythm_s = max(interval_s, _SLOW_MEASUREMENTS.get(measurement.name, 0.0))
            read = _Read(question, measurement, field, rhythm_s, await self._plan(question, end, rhythm_s))
            answer, points = await self._series_of(read, left)
            left -= points
            answers.append(answer)
        return answers

    async def _plan(self, question: Question, end: datetime, interval_s: float) -> Plan:
        now = datetime.fromtimestamp(self._clock(), UTC)
        aggregate = question.aggregate
        reading: Reading = "raw" if aggregate in PERCENTILES else "finest" if aggregate == "last" else "fitting"
        try:
            return plan(
                question.start,
                end,
                question.points,
                now,
                interval_s,
                combined=aggregate is not None,
                against_s=question.against_s,
                reading=reading,
                servers=len(question.server_ids),
                whole_since=await self.kept_tiers.whole_since(now),
            )
        except NoTierError as error:
            raise ProblemError(400, "Not stored that finely", str(error)) from None

    async def _series_of(self, read: "_Read", most_points: int) -> tuple[MetricSeries, int]:
        """The answer for one metric, and how many points were read for it."""
        question = read.question
        rows = await self._rows(read, 0, most_points)
        points = _points(rows)
        earlier = await self._rows(read, question.against_s, most_points - points) if question.against_s else []
        # A million points take a second to put together: others are served meanwhile.
        series = await asyncio.to_thread(read.combined, rows, earlier)
        unit = "count" if question.aggregate == "count" else read.field.unit
        answer = MetricSeries(
            metric=f"{read.measurement.name}.{read.field.name}",
            unit=combine.rate_unit(unit) if question.rate else unit,
            tier=read.plan.tier,
            bucket_seconds=read.plan.bucket_seconds,
            series=series,
        )
        return answer, points + _points(earlier)

    async def _rows(self, read: "_Read", shift_s: float, most_points: int) -> list[Record]:
        question, aggregate = read.question, read.question.aggregate
        # How many series a server has is known to the database alone, which answers one point too many at most.
        statement, parameters = series_statement(
            read.measurement,
            read.field,
            read.read_plan,
            question.server_ids,
            question.labels,
            aggregate,
            question.group_by,
            most_points + 1,
            shift_s,
        )
        try:
            rows = await self._database.fetch(statement, *parameters)
        except asyncpg.NumericValueOutOfRangeError:
            name = f"{read.measurement.name}.{read.field.name}"
            raise ProblemError(
                400, "Values too large", f"{name} has values whose sum is beyond what a number holds; use min or max."
            ) from None
        if needs_readings(aggregate) and any(row["readings"] > MAX_READINGS for row in rows):
            raise too_many_readings(question, read.measurement, MAX_READINGS)
        if _points(rows) > most_points:
            raise too_many_points(question, read.measurement, MAX_TOTAL_POINTS)
        return rows

    async def _require_servers(self, server_ids: Sequence[int]) -> float:
        """Raise 404 for the first server that does not exist; return the longest collection interval, in seconds."""
        rows = [row async for row in self._queries.find_intervals(self._database, server_ids=list(server_ids))]
        known = {row["id"] for row in rows}
        for server_id in server_ids:
            if server_id not in known:
                raise not_found("server", server_id)
        return max((row["interval_s"] for row in rows), default=5.0)


class _Read(msgspec.Struct, frozen=True):
    """One metric of a question, and how it is read."""

    question: Question
    measurement: Measurement
    field: Field
    interval_s: float
    plan: Plan

    @property
    def read_plan(self) -> Plan:
        """A rate needs the point before the first."""
        if not self.question.rate:
            return self.plan
        before = timedelta(seconds=self.plan.bucket_seconds)
        return msgspec.structs.replace(self.plan, start=self.plan.start - before)

    def combined(self, rows: list[Record], earlier: list[Record]) -> list[Series]:
        question = self.question
        # Most series of an answer have the same times.
        times = {packed: unpack_times(packed) for packed in {row["bucket"] for row in (*rows, *earlier)}}
        series = [self._series(row, times[row["bucket"]]) for row in rows]
        if question.against_s:
            series = combine.subtract(series, [self._series(row, times[row["bucket"]]) for row in earlier])
        if question.rate:
            series = combine.change_per_second(series, self.plan.start)
        return combine.highest(series, question.top, question.top_by) if question.top is not None else series

    def _series(self, row: Record, times: list[datetime]) -> Series:
        question, measurement = self.question, self.measurement
        keys = question.group_by if question.aggregate is not None else ("server_id", *measurement.label_names)
        named = {key: row[key] for key in keys}
        server_id = named.pop("server_id", None)
        names = ["avg", "min", "max"] if "min" in row.keys() else ["avg"]  # noqa: SIM118 - a Record
        columns = [unpack_values(row[name]) for name in names]
        aligned = self.plan.regroup or self.plan.tier != "raw"
        times, columns = combine.mark_holes(times, columns, self.plan.bucket_seconds, self.interval_s, aligned)
        average, lowest, highest = columns if columns[1:] else columns * 3
        return Series(server_id, named | _decoded_labels(measurement, named), times, average, lowest, highest)


def _points(rows: list[Record]) -> int:
    return sum(len(row["bucket"]) // WIDTH for row in rows)


def _named_values(measurement: Measurement, row: Record) -> dict[str, Any]:
    values = {name: row[name] for name in measurement.columns}
    return values | _decoded_labels(measurement, values)


def _decoded_labels(measurement: Measurement, values: Mapping[str, Any]) -> dict[str, Any]:
    """The labels that the database holds as JSON, as objects."""
    names = [label.name for label in measurement.labels if label.type == "jsonb" and label.name in values]
    return {name: msgspec.json.decode(values[name]) for name in names}
