"""Builds the one statement that reads a metric. Every name in it is from the catalogue; every value is a parameter."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from chatops_backend.metrics.planner import Plan
from chatops_protocol.catalog import CUSTOM, Field, Label, Measurement

Aggregate = Literal["avg", "min", "max", "sum"]


def series_statement(
    measurement: Measurement,
    field: Field,
    plan: Plan,
    server_ids: Sequence[int],
    labels: Mapping[str, str],
    aggregate: Aggregate | None,
    group_by: Sequence[str] | None,
    most_rows: int,
) -> tuple[str, list[Any]]:
    """Return the statement and its parameters. Its rows are (keys…, time, avg, min, max), ordered by keys and time,
    and no more than `most_rows`.

    The keys are ``server_id`` and all labels; with `aggregate` they are `group_by`, and each bucket's series of one
    group become one value by that function.
    """
    parameters: list[Any] = [list(server_ids), plan.start, plan.end]
    conditions = ["server_id = ANY($1::integer[])", "time >= $2::timestamptz", "time < $3::timestamptz"]
    for label in measurement.labels:
        if label.name in labels:
            parameters.append(labels[label.name])
            conditions.append(f"{_quoted(label.name)} = ${len(parameters)}::{label.type}")
    keys = ["server_id", *(_quoted(label.name) for label in measurement.labels)]
    average, lowest, highest = _values(field, plan)
    bucket = "time"
    if plan.regroup:
        parameters.append(plan.bucket_seconds)
        bucket = f"time_bucket(make_interval(secs => ${len(parameters)}::float8), time)"
    grouped = f" GROUP BY {', '.join(keys)}, {bucket}" if plan.regroup else ""
    table = measurement.name if plan.tier == "raw" else f"{measurement.name}_{plan.tier}"
    # S608: identifiers only, all from the catalogue.
    statement = (
        f"SELECT {', '.join(keys)}, {bucket} AS bucket, {average} AS avg, {lowest} AS min, {highest} AS max "  # noqa: S608
        f"FROM metrics.{_quoted(table)} WHERE {' AND '.join(conditions)}{grouped}"
    )
    parameters.append(most_rows)
    limit = f"LIMIT ${len(parameters)}::bigint"
    if aggregate is None:
        return f"{statement} ORDER BY {', '.join(keys)}, bucket {limit}", parameters
    chosen = [_quoted(key) for key in group_by or ()]
    by = ", ".join([*chosen, "bucket"])
    lower, upper = ("sum", "sum") if aggregate == "sum" else ("min", "max") if aggregate == "avg" else (aggregate,) * 2
    combined = (
        f"SELECT {by}, {aggregate}(avg) AS avg, {lower}(min) AS min, {upper}(max) AS max "  # noqa: S608
        f"FROM ({statement}) AS series GROUP BY {by} ORDER BY {by} {limit}"
    )
    return combined, parameters


def latest_statement(measurement: Measurement) -> str:
    """The newest rows of one measurement and server (``$1``): those of its newest time, since one collection brings
    all of them. Values that users push come one by one, so of them the newest of each series within its last day."""
    columns = ", ".join(["time", *map(_quoted, measurement.columns)])
    table = f"metrics.{_quoted(measurement.name)}"
    newest = f"(SELECT time FROM {table} WHERE server_id = $1 ORDER BY time DESC LIMIT 1)"  # noqa: S608 - catalogue
    if measurement is not CUSTOM:
        return f"SELECT {columns} FROM {table} WHERE server_id = $1 AND time = {newest}"  # noqa: S608 - catalogue
    labels = ", ".join(map(_quoted, measurement.label_names))
    return (
        f"SELECT DISTINCT ON ({labels}) {columns} FROM {table} "  # noqa: S608 - catalogue
        f"WHERE server_id = $1 AND time > {newest} - INTERVAL '1 day' ORDER BY {labels}, time DESC"
    )


def label_named(measurement: Measurement, name: str) -> Label | None:
    return next((label for label in measurement.labels if label.name == name), None)


def _values(field: Field, plan: Plan) -> tuple[str, str, str]:
    name = field.name
    if plan.tier == "raw":
        return (f"avg({name})", f"min({name})", f"max({name})") if plan.regroup else (name, name, name)
    average, lowest, highest = f"{name}_avg", f"{name}_min", f"{name}_max"
    if not plan.regroup:
        return average, lowest, highest
    weighted = f"sum({average} * samples) / sum(samples) FILTER (WHERE {average} IS NOT NULL)"
    return weighted, f"min({lowest})", f"max({highest})"


def _quoted(name: str) -> str:
    return f'"{name}"'
