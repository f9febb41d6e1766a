"""Reads stored roll-ups of one server for a replay: which hours matter, and the buckets in them.

A replay of ninety days reads 130,000 minutes per series. They come as packed columns, one row per series: as rows they
take five times as long. Every name in a statement is from the catalogue.
"""

import sys
from array import array
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import polars as pl
from msgspec import Struct

from chatops_backend.database.interface import Database
from chatops_protocol.catalog import Field, Measurement
from chatops_protocol.resources import Tier

Labels = tuple[str, ...]
# PostgreSQL counts microseconds from 2000.
_POSTGRES_EPOCH_S = 946_684_800


class Source(Struct, frozen=True):
    """What a replay reads. `columns`: of ``avg``, ``min``, ``max``, ``samples``; without a field only ``seen``."""

    measurement: Measurement
    field: Field | None
    tier: Tier
    labels: dict[str, str]
    columns: tuple[str, ...]


class Quiet(Struct, frozen=True):
    """An hour whose values all lie from `lowest` to `highest` lets no rule leave ok and every rule end."""

    lowest: float
    highest: float


class SeriesHours(Struct, frozen=True):
    """One series: how many hours of the range it has, and the starts (Unix seconds) of those that are not quiet."""

    hours: int
    loud: list[int]


async def read_hours(
    database: Database, source: Source, server_id: int, start: int, end: int, quiet: Quiet | None
) -> list[SeriesHours]:
    """Every series of the server in the range. Without `quiet` all of its hours are loud."""
    statement, parameters = hours_statement(source, server_id, start, end, quiet)
    return [SeriesHours(row["hours"], row["loud"] or []) for row in await database.fetch(statement, *parameters)]


async def read_buckets(
    database: Database, source: Source, server_id: int, start: int, end: int
) -> dict[Labels, pl.DataFrame]:
    """Per series: ``time`` (Unix seconds) and the source's columns, in no order. Buckets without a reading are left
    out."""
    statement, parameters = buckets_statement(source, server_id, start, end)
    found = {}
    for row in await database.fetch(statement, *parameters):
        columns = {"time": _integers(row["time"]) // 1_000_000 + _POSTGRES_EPOCH_S}
        for name in source.columns:
            columns[name] = _integers(row[name]) if name == "samples" else _floats(row[name])
        frame = pl.DataFrame(columns)
        if source.field is None:
            frame = frame.with_columns(seen=pl.lit(value=True))
        found[tuple(row[name] for name in source.measurement.label_names)] = frame
    return found


def hours_statement(source: Source, server_id: int, start: int, end: int, quiet: Quiet | None) -> tuple[str, list[Any]]:
    conditions, parameters = _conditions(source, server_id, start, end)
    loud = "true"
    if quiet is not None and source.field is not None:
        parameters += [quiet.lowest, quiet.highest]
        name = source.field.name
        loud = f"{name}_min < ${len(parameters) - 1}::float8 OR {name}_max > ${len(parameters)}::float8"
    keys = _keys(source.measurement)
    grouped = f" GROUP BY {keys}" if keys else ""
    # S608: identifiers only, all from the catalogue.
    statement = (
        f"SELECT count(*) AS hours, array_agg(extract(epoch FROM time)::bigint) FILTER (WHERE {loud}) AS loud "  # noqa: S608
        f'FROM metrics."{source.measurement.name}_1h" WHERE {conditions}{grouped} HAVING count(*) > 0'
    )
    return statement, parameters


def buckets_statement(source: Source, server_id: int, start: int, end: int) -> tuple[str, list[Any]]:
    conditions, parameters = _conditions(source, server_id, start, end)
    packed = ["string_agg(timestamptz_send(time), ''::bytea) AS time"]
    for name in source.columns:
        column = (
            "int8send(samples)" if name == "samples" else f"float8send({source.field and source.field.name}_{name})"
        )
        packed.append(f"string_agg({column}, ''::bytea) AS {name}")
    labels = [f'"{label.name}"::text AS "{label.name}"' for label in source.measurement.labels]
    keys = _keys(source.measurement)
    grouped = f" GROUP BY {keys}" if keys else ""
    statement = (
        f"SELECT {', '.join(labels + packed)} "  # noqa: S608 - catalogue names
        f'FROM metrics."{source.measurement.name}_{source.tier}" '
        f"WHERE {conditions}{grouped} HAVING count(*) > 0"
    )
    return statement, parameters


def _conditions(source: Source, server_id: int, start: int, end: int) -> tuple[str, list[Any]]:
    parameters: list[Any] = [server_id, datetime.fromtimestamp(start, UTC), datetime.fromtimestamp(end, UTC)]
    conditions = ["server_id = $1::integer", "time >= $2::timestamptz", "time < $3::timestamptz"]
    for label in source.measurement.labels:
        if label.name in source.labels:
            parameters.append(source.labels[label.name])
            conditions.append(f'"{label.name}" = ${len(parameters)}::{label.type}')
    if source.field is not None:
        conditions.append(f"{source.field.name}_avg IS NOT NULL")
    return " AND ".join(conditions), parameters


def _keys(measurement: Measurement) -> str:
    return ", ".join(f'"{name}"' for name in measurement.label_names)


def merged(parts: Sequence[dict[Labels, pl.DataFrame]]) -> dict[Labels, pl.DataFrame]:
    """The series of several stretches of time together."""
    whole: dict[Labels, list[pl.DataFrame]] = {}
    for part in parts:
        for labels, frame in part.items():
            whole.setdefault(labels, []).append(frame)
    return {labels: pl.concat(frames) for labels, frames in whole.items()}


def _integers(packed: bytes) -> pl.Series:
    return pl.Series(_native("q", packed))


def _floats(packed: bytes) -> pl.Series:
    return pl.Series(_native("d", packed)).fill_nan(None)


def _native(code: str, packed: bytes) -> "array[Any]":
    numbers: array[Any] = array(code)
    numbers.frombytes(packed)
    if sys.byteorder == "little":
        numbers.byteswap()
    return numbers
