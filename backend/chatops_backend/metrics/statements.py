"""Builds the one statement that reads a metric. Every name in it is from the catalogue; every value is a parameter.

Its rows are series, with their points in packed columns: a row for each point made a large answer twice as slow.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from chatops_backend.metrics.packed import packed_times, packed_values
from chatops_backend.metrics.planner import MAX_READINGS, Plan
from chatops_protocol.catalog import CUSTOM, Field, Label, Measurement
from chatops_protocol.resources import Aggregate

TAG = "tag"
PERCENTILES: dict[str, float] = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
# A server is in each of its tags.
_TAGS = (
    "JOIN (SELECT DISTINCT id AS server_id, unnest(tags) AS tag FROM chatops.servers WHERE id = ANY($1::integer[])) "
    "AS tagged USING (server_id)"
)


class _Text:
    """The parts of one statement, with the parameters they add."""

    def __init__(self, measurement: Measurement, plan: Plan, server_ids: Sequence[int], shift_s: float) -> None:
        self.measurement = measurement
        shift = timedelta(seconds=shift_s)
        self.parameters: list[Any] = [list(server_ids), plan.start - shift, plan.end - shift]
        self.source = (
            f"metrics.{_quoted(measurement.name if plan.tier == 'raw' else f'{measurement.name}_{plan.tier}')}"
        )
        time = f"time + make_interval(secs => {self.add(shift_s, 'float8')})" if shift_s else "time"
        self.bucket = time
        if plan.regroup:
            self.bucket = f"time_bucket(make_interval(secs => {self.add(plan.bucket_seconds, 'float8')}), {time})"
        self.keys = ["server_id", *(_quoted(label.name) for label in measurement.labels)]

    def add(self, value: Any, kind: str) -> str:
        self.parameters.append(value)
        return f"${len(self.parameters)}::{kind}"

    def where(self, labels: Mapping[str, str]) -> str:
        conditions = ["server_id = ANY($1::integer[])", "time >= $2::timestamptz", "time < $3::timestamptz"]
        conditions += [
            f"{_quoted(label.name)} = {self.add(labels[label.name], label.type)}"
            for label in self.measurement.labels
            if label.name in labels
        ]
        return " AND ".join(conditions)


def series_statement(
    measurement: Measurement,
    field: Field,
    plan: Plan,
    server_ids: Sequence[int],
    labels: Mapping[str, str],
    aggregate: Aggregate | None,
    group_by: Sequence[str],
    most_points: int,
    shift_s: float = 0,
) -> tuple[str, list[Any]]:
    """Return the statement and its parameters. Its rows are (keys…, bucket, avg, min, max), ordered by the keys, the
    last four packed, with no more than `most_points` points together; min and max are left out where they are as avg.
    Statements that have to look at single readings say in `readings` how many that were, `MAX_READINGS` + 1 at most.

    The keys are ``server_id`` and all labels; with `aggregate` they are `group_by`, and each bucket's series of one
    group become one value by that function. `shift_s` reads the range that much earlier, with its times moved here.
    """
    text = _Text(measurement, plan, server_ids, shift_s)
    keys = text.keys if aggregate is None else [_quoted(key) for key in group_by]
    by = ", ".join(keys)
    columns = ["avg", "min", "max"]
    if aggregate is None:
        points = _each_series(text, field, plan, labels, aggregate)
    elif needs_readings(aggregate):
        points = _from_readings(text, field, plan, labels, aggregate, keys)
    else:
        points = _grouped(text, field, plan, labels, aggregate, keys)
    if aggregate == "count" or needs_readings(aggregate) or (plan.tier == "raw" and not plan.regroup):
        columns = ["avg"]
    packed = [f"{packed_times('bucket')} AS bucket", *(f"{packed_values(name)} AS {name}" for name in columns)]
    if needs_readings(aggregate):
        packed.append("max(readings)::bigint AS readings")
    # Without keys there is one group, which would be there even when empty.
    grouping = f"GROUP BY {by} ORDER BY {by}" if by else "HAVING count(*) > 0"
    limit = text.add(most_points, "bigint")
    # S608, here and below: identifiers only, all from the catalogue.
    statement = (
        f"SELECT {', '.join([*keys, *packed])} "  # noqa: S608
        f"FROM ({points} ORDER BY {', '.join([*keys, 'bucket'])} LIMIT {limit}) AS points {grouping}"
    )
    return statement, text.parameters


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


def needs_readings(aggregate: Aggregate | None) -> bool:
    """Whether no roll-up has what it is computed from."""
    return aggregate == "last" or aggregate in PERCENTILES


def _each_series(text: _Text, field: Field, plan: Plan, labels: Mapping[str, str], aggregate: Aggregate | None) -> str:
    """The points of every series by itself."""
    average, lowest, highest = _values(field, plan)
    if aggregate == "count":
        average = _count(field, plan)
    keys = ", ".join(text.keys)
    grouped = f" GROUP BY {keys}, {text.bucket}" if plan.regroup else ""
    return (
        f"SELECT {keys}, {text.bucket} AS bucket, {average} AS avg, {lowest} AS min, {highest} AS max "  # noqa: S608
        f"FROM {text.source} WHERE {text.where(labels)}{grouped}"
    )


def _grouped(
    text: _Text, field: Field, plan: Plan, labels: Mapping[str, str], aggregate: Aggregate, keys: Sequence[str]
) -> str:
    """Each bucket's series of a group as one value."""
    how = "sum" if aggregate == "count" else aggregate
    lower, upper = ("min", "max") if how == "avg" else (how, how)
    by = ", ".join([*keys, "bucket"])
    tags = f" {_TAGS}" if _quoted(TAG) in keys else ""
    return (
        f"SELECT {by}, {how}(avg) AS avg, {lower}(min) AS min, {upper}(max) AS max "  # noqa: S608
        f"FROM ({_each_series(text, field, plan, labels, aggregate)}) AS series{tags} GROUP BY {by}"
    )


def _from_readings(
    text: _Text, field: Field, plan: Plan, labels: Mapping[str, str], aggregate: Aggregate, keys: Sequence[str]
) -> str:
    """Each bucket's readings of a group as one value; `readings` counts them all. Where the range is too long for raw
    rows, a roll-up's average stands for the readings of its row."""
    column = field.name if plan.tier == "raw" else f"{field.name}_avg"
    # Of readings at one moment the highest, so that the answer does not depend on the order of rows.
    value = "(array_agg(reading ORDER BY time DESC, reading DESC) FILTER (WHERE reading IS NOT NULL))[1]"
    if aggregate in PERCENTILES:
        value = f"percentile_cont({text.add(PERCENTILES[aggregate], 'float8')}) WITHIN GROUP (ORDER BY reading)"
    by = ", ".join([*keys, "bucket"])
    tags = f" {_TAGS}" if _quoted(TAG) in keys else ""
    where = text.where(labels)
    return (
        f"SELECT {by}, {value} AS avg, sum(count(*)) OVER () AS readings "  # noqa: S608
        f"FROM (SELECT {', '.join([*keys, 'time'])}, {text.bucket} AS bucket, {column} AS reading "
        f"FROM {text.source}{tags} WHERE {where} LIMIT {text.add(MAX_READINGS + 1, 'bigint')}) AS rows GROUP BY {by}"
    )


def _values(field: Field, plan: Plan) -> tuple[str, str, str]:
    name = field.name
    if plan.tier == "raw":
        return (f"avg({name})", f"min({name})", f"max({name})") if plan.regroup else (name, name, name)
    average, lowest, highest = f"{name}_avg", f"{name}_min", f"{name}_max"
    if not plan.regroup:
        return average, lowest, highest
    weighted = f"sum({average} * samples) / sum(samples) FILTER (WHERE {average} IS NOT NULL)"
    return weighted, f"min({lowest})", f"max({highest})"


def _count(field: Field, plan: Plan) -> str:
    """Roll-ups count rows, `samples`, whichever fields those have: of a row of theirs in which this field was read at
    all, all readings count."""
    if plan.tier == "raw":
        # A bucket without any is a gap, as everywhere; single raw rows are never counted.
        return f"nullif(count({field.name}), 0)::float8"
    read = f"{field.name}_avg IS NOT NULL"
    return (
        f"(sum(samples) FILTER (WHERE {read}))::float8"
        if plan.regroup
        else f"CASE WHEN {read} THEN samples END::float8"
    )


def _quoted(name: str) -> str:
    return f'"{name}"'
