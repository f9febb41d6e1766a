"""Reads the values that rules compare: one statement per measurement, window and offset, for all servers.

The smallest roll-up that fits the window, with real-time aggregation, so that the newest readings count. A bucket
belongs to the window that ends at `at` when its start is before `at` and at most the window's length before the last
turn of a bucket; at that turn, where the backtest looks, this is the window itself.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import polars as pl
from msgspec import Struct

from chatops_backend.alerts.windows import WIDTH_S, tier_of
from chatops_backend.database.interface import Database
from chatops_protocol.alert_resources import Aggregate
from chatops_protocol.catalog import Field, Measurement, find_metric


class Question(Struct, frozen=True):
    """`offset_s`: how much earlier the window ends than the moment of evaluation."""

    metric: str
    aggregate: Aggregate
    window_s: int
    offset_s: int = 0


class UnknownMetricError(Exception):
    """The rule names a metric that the catalogue does not have (any more)."""


def measurement_and_field(metric: str) -> tuple[Measurement, Field]:
    found = find_metric(metric)
    if found is None:
        raise UnknownMetricError(f"there is no metric {metric!r}")
    return found


async def read_values(database: Database, questions: Sequence[Question], at: float) -> pl.DataFrame:
    """One row per series: ``server_id``, the measurement's labels, and ``value_0``, ``value_1``, … (null: no reading in
    the window). The questions have measurement, window and offset in common."""
    question = questions[0]
    measurement, _ = measurement_and_field(question.metric)
    end = at - question.offset_s
    # Whole buckets: else a window of one minute would be empty just after each minute's turn, before the next reading.
    width_s = WIDTH_S[tier_of(question.window_s)]
    start = end // width_s * width_s - question.window_s
    rows = await database.fetch(value_statement(measurement, questions), _moment(start), _moment(end))
    schema = _key_schema(measurement) | {f"value_{number}": pl.Float64 for number in range(len(questions))}
    return pl.DataFrame([tuple(row) for row in rows], schema=schema, orient="row")


async def read_buckets(database: Database, question: Question, at: int) -> pl.DataFrame:
    """The roll-up's rows in the window: ``server_id``, labels, ``time`` (Unix seconds), avg, min, max, samples."""
    measurement, field = measurement_and_field(question.metric)
    statement = (
        f"SELECT {_selected(measurement)}, extract(epoch FROM time)::bigint AS time, {field.name}_avg, "  # noqa: S608
        f"{field.name}_min, {field.name}_max, samples "
        f'FROM metrics."{measurement.name}_{tier_of(question.window_s)}" WHERE time >= $1 AND time < $2'
    )
    rows = await database.fetch(statement, _moment(at - question.window_s), _moment(at))
    schema: dict[str, Any] = {
        **_key_schema(measurement),
        "time": pl.Int64,
        "avg": pl.Float64,
        "min": pl.Float64,
        "max": pl.Float64,
        "samples": pl.Int64,
    }
    return pl.DataFrame([tuple(row) for row in rows], schema=schema, orient="row")


def value_statement(measurement: Measurement, questions: Sequence[Question]) -> str:
    """``$1`` and ``$2`` are the window's start and end. Every name is from the catalogue."""
    asked = ((measurement_and_field(question.metric)[1], question.aggregate) for question in questions)
    values = (f"{_aggregate(field.name, aggregate)} AS value_{n}" for n, (field, aggregate) in enumerate(asked))
    keys = ", ".join(["server_id", *(f'"{name}"' for name in measurement.label_names)])
    return (
        f"SELECT {_selected(measurement)}, {', '.join(values)} "  # noqa: S608 - catalogue names
        f'FROM metrics."{measurement.name}_{tier_of(questions[0].window_s)}" '
        f"WHERE time >= $1 AND time < $2 GROUP BY {keys}"
    )


def _aggregate(field: str, aggregate: Aggregate) -> str:
    if aggregate == "min":
        return f"min({field}_min)"
    if aggregate == "max":
        return f"max({field}_max)"
    known = f"FILTER (WHERE {field}_avg IS NOT NULL)"
    if aggregate == "last":
        return f"last({field}_avg, time) {known}"
    return f"sum({field}_avg * samples) / sum(samples) {known}"


def _selected(measurement: Measurement) -> str:
    labels = (f'"{label.name}"{"::text" if label.type == "jsonb" else ""}' for label in measurement.labels)
    return ", ".join(["server_id", *labels])


def _key_schema(measurement: Measurement) -> dict[str, Any]:
    return {"server_id": pl.Int64, **dict.fromkeys(measurement.label_names, pl.String)}


def _moment(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)
