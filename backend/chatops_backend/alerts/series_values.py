"""Reads the values that rules compare: one statement for all servers and the questions that share it.

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
    the question's window). The questions have measurement, roll-up and offset in common."""
    measurement, _ = measurement_and_field(questions[0].metric)
    end = at - questions[0].offset_s
    # Whole buckets: else a window of one minute would be empty just after each minute's turn, before the next reading.
    width_s = WIDTH_S[tier_of(questions[0].window_s)]
    starts = [_moment(end // width_s * width_s - window_s) for window_s in _windows(questions)]
    rows = await database.fetch(value_statement(measurement, questions), _moment(end), *starts)
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
    """``$1`` is the windows' end, ``$2`` the start of the longest, ``$3`` … those of the others from the longest to the
    shortest. Every name is from the catalogue."""
    starts = {window_s: f"${place}" for place, window_s in enumerate(_windows(questions), 2)}
    values = (f"{_aggregate(question, starts[question.window_s])} AS value_{n}" for n, question in enumerate(questions))
    keys = ", ".join(["server_id", *(f'"{name}"' for name in measurement.label_names)])
    return (
        f"SELECT {_selected(measurement)}, {', '.join(values)} "  # noqa: S608 - catalogue names
        f'FROM metrics."{measurement.name}_{tier_of(questions[0].window_s)}" '
        f"WHERE time >= $2 AND time < $1 GROUP BY {keys}"
    )


def _windows(questions: Sequence[Question]) -> list[int]:
    return sorted({question.window_s for question in questions}, reverse=True)


def _aggregate(question: Question, start: str) -> str:
    field = measurement_and_field(question.metric)[1].name
    known = f"FILTER (WHERE time >= {start} AND {field}_avg IS NOT NULL)"
    if question.aggregate in ("min", "max"):
        return f"{question.aggregate}({field}_{question.aggregate}) {known}"
    if question.aggregate == "last":
        return f"last({field}_avg, time) {known}"
    return f"sum({field}_avg * samples) {known} / sum(samples) {known}"


def _selected(measurement: Measurement) -> str:
    labels = (f'"{label.name}"{"::text" if label.type == "jsonb" else ""}' for label in measurement.labels)
    return ", ".join(["server_id", *labels])


def _key_schema(measurement: Measurement) -> dict[str, Any]:
    return {"server_id": pl.Int64, **dict.fromkeys(measurement.label_names, pl.String)}


def _moment(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)
