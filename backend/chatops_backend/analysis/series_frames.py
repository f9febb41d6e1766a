"""Reads many fields of many series at once, as one polars frame per series. Used by all analyses, decides nothing.

One row per series with packed columns, as rows they take five times as long. Every name in a statement is from the
catalogue, every value a parameter.
"""

import asyncio
import sys
from array import array
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
import polars as pl
from msgspec import Struct

from chatops_backend.database.interface import Database
from chatops_backend.problems import ProblemError
from chatops_protocol.catalog import Field, Measurement
from chatops_protocol.resources import Tier

# Of one answer, all series and fields together: 24 MB, and a second or two of either database.
MOST_VALUES = 3_000_000
# PostgreSQL counts microseconds from 2000.
_POSTGRES_EPOCH_S = 946_684_800
WIDTHS: dict[Tier, float] = {"1m": 60.0, "1h": 3_600.0, "1d": 86_400.0}


class Reading(Struct, frozen=True):
    """Fields of one measurement in buckets of `bucket_s`, a multiple of the tier's width (with ``raw``: of anything).

    `samples`: also how many rows went into each bucket, as the column of that name.
    """

    measurement: Measurement
    fields: tuple[Field, ...]
    tier: Tier
    bucket_s: float
    start: datetime
    end: datetime
    labels: Mapping[str, str] = msgspec.field(default_factory=dict)
    samples: bool = False


class SeriesFrame(Struct, frozen=True):
    """`frame` has ``time`` (the bucket's start, Unix seconds), ascending, and one column per field, null where there is
    no reading. Buckets without any row are not there."""

    server_id: int
    labels: dict[str, Any]
    frame: pl.DataFrame


async def read_series(
    database: Database, reading: Reading, server_ids: Sequence[int], most_values: int = MOST_VALUES
) -> list[SeriesFrame]:
    """Ordered by server and labels. Raises `ProblemError` 400 when there are more than `most_values` values."""
    most_rows = most_values // (len(reading.fields) + 1)
    statement, parameters = packed_statement(reading, server_ids, most_rows + 1)
    rows = await database.fetch(statement, *parameters)
    if sum(row["rows"] for row in rows) > most_rows:
        raise too_much(reading.measurement)
    found = await asyncio.to_thread(lambda: [_unpacked(reading, row) for row in rows])
    return sorted(found, key=lambda one: (one.server_id, [str(text) for text in one.labels.values()]))


def too_much(measurement: Measurement) -> ProblemError:
    narrower = f", or one value of a label ({', '.join(measurement.label_names)})" if measurement.labels else ""
    return ProblemError(
        400,
        "Too much to analyse",
        f"There are too many readings of {measurement.name}; ask for fewer servers, a shorter range{narrower}.",
    )


def packed_statement(reading: Reading, server_ids: Sequence[int], most_rows: int) -> tuple[str, list[Any]]:
    """The statement and its parameters. It looks at the first `most_rows` buckets it comes to and no more."""
    raw = reading.tier == "raw"
    parameters: list[Any] = [list(server_ids), reading.start, reading.end, most_rows]
    conditions = ["server_id = ANY($1::integer[])", "time >= $2::timestamptz", "time < $3::timestamptz"]
    for label in reading.measurement.labels:
        if label.name in reading.labels:
            parameters.append(reading.labels[label.name])
            conditions.append(f'"{label.name}" = ${len(parameters)}::{label.type}')
    keys = ["server_id", *(f'"{name}"' for name in reading.measurement.label_names)]
    columns, bucket, grouped = [], "time", ""
    if raw or reading.bucket_s != WIDTHS[reading.tier]:
        parameters.append(timedelta(seconds=reading.bucket_s))
        bucket = f"time_bucket(${len(parameters)}::interval, time)"
        grouped = f" GROUP BY {', '.join(keys)}, {bucket}"
    for field in reading.fields:
        average = f"{field.name}_avg"
        if raw:
            value = f"avg({field.name})"
        elif grouped:
            value = f"sum({average} * samples) / sum(samples) FILTER (WHERE {average} IS NOT NULL)"
        else:
            value = average
        columns.append(f"{value} AS {field.name}")
    if reading.samples:
        columns.append(f"{'count(*)' if raw else 'sum(samples)' if grouped else 'samples'}::bigint AS samples")
    table = reading.measurement.name if raw else f"{reading.measurement.name}_{reading.tier}"
    # S608: identifiers only, all from the catalogue.
    inner = (
        f"SELECT {', '.join(keys)}, {bucket} AS at, {', '.join(columns)} "  # noqa: S608
        f'FROM metrics."{table}" WHERE {" AND ".join(conditions)}{grouped} LIMIT $4::bigint'
    )
    packed = ["count(*) AS rows", "string_agg(timestamptz_send(at), ''::bytea) AS at"]
    # A NULL would be left out and shift the rest: it goes as NaN.
    packed += [
        f"string_agg(float8send(coalesce({name}, 'NaN')), ''::bytea) AS {name}"
        for name in (field.name for field in reading.fields)
    ]
    if reading.samples:
        packed.append("string_agg(int8send(samples), ''::bytea) AS samples")
    statement = f"SELECT {', '.join(keys + packed)} FROM ({inner}) AS buckets GROUP BY {', '.join(keys)}"  # noqa: S608
    return statement, parameters


def _unpacked(reading: Reading, row: Any) -> SeriesFrame:
    columns = {"time": _integers(row["at"]) // 1_000_000 + _POSTGRES_EPOCH_S}
    columns |= {field.name: _floats(row[field.name]) for field in reading.fields}
    if reading.samples:
        columns["samples"] = _integers(row["samples"])
    labels: dict[str, Any] = {
        label.name: msgspec.json.decode(row[label.name]) if label.type == "jsonb" else row[label.name]
        for label in reading.measurement.labels
    }
    return SeriesFrame(row["server_id"], labels, pl.DataFrame(columns).sort("time"))


def _integers(packed: bytes) -> pl.Series:
    return pl.Series(_native("q", packed), dtype=pl.Int64)


def _floats(packed: bytes) -> pl.Series:
    return pl.Series(_native("d", packed), dtype=pl.Float64).fill_nan(None)


def _native(code: str, packed: bytes) -> "array[Any]":
    numbers: array[Any] = array(code)
    numbers.frombytes(packed)
    if sys.byteorder == "little":
        numbers.byteswap()
    return numbers
