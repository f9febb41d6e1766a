"""The statements of an import. Every name in them is the catalogue's or TimescaleDB's; every value is a parameter.

Each leaves out what is there already: a raw row of the same time, server and labels, or a roll-up row of the same
bucket, server and labels.
"""

from collections.abc import Sequence

from chatops_protocol.catalog import Measurement

_KEY = ("time", "server_id")


def insert_raw(measurement: Measurement, columns: Sequence[str]) -> str:
    """Parameters: one array per column, then the oldest and newest time among them and the servers."""
    return _insert(f'metrics."{measurement.name}"', measurement, columns, columns, columns)


def insert_rollup(table: str, measurement: Measurement, fields: Sequence[str], *, single: bool) -> str:
    """Into a roll-up's own `table`, one row per bucket. With `single` each bucket holds one reading, given once per
    field; otherwise avg, min and max of each are given. The count of readings is the last array. Answers how many
    readings were not there."""
    columns = [*_KEY, *measurement.label_names]
    given = [*columns, *(fields if single else rolled(fields)), "samples"]
    read = [*columns, *(name for name in fields for _ in range(3)), "samples"] if single else given
    insert = _insert(table, measurement, [*columns, *rolled(fields), "samples"], given, read)
    return f"WITH put AS ({insert} RETURNING samples) SELECT coalesce(sum(samples), 0)::bigint FROM put"  # noqa: S608


def rolled(fields: Sequence[str]) -> list[str]:
    return [f"{name}_{part}" for name in fields for part in ("avg", "min", "max")]


def _insert(
    table: str, measurement: Measurement, into: Sequence[str], given: Sequence[str], read: Sequence[str]
) -> str:
    arrays = ", ".join(f"${n}::{_array_type(measurement, column)}" for n, column in enumerate(given, 1))
    values = ", ".join(f'new."{column}"' for column in read)
    same = " AND ".join(f'old."{column}" = new."{column}"' for column in (*_KEY, *measurement.label_names))
    oldest, newest, servers = (f"${len(given) + n}" for n in (1, 2, 3))
    # S608: identifiers only.
    return (
        f"INSERT INTO {table} ({_quoted(into)}) SELECT {values} FROM unnest({arrays}) AS new ({_quoted(given)}) "  # noqa: S608
        f"WHERE NOT EXISTS (SELECT 1 FROM {table} AS old WHERE old.time >= {oldest}::timestamptz "
        f"AND old.time <= {newest}::timestamptz AND old.server_id = ANY({servers}::integer[]) AND {same})"
    )


def any_stored(table: str) -> str:
    """Whether servers ``$3`` have a row from ``$1`` to ``$2``: parameters oldest, newest, servers."""
    return (
        f"SELECT EXISTS (SELECT 1 FROM {table} WHERE time >= $1::timestamptz AND time <= $2::timestamptz "  # noqa: S608
        "AND server_id = ANY($3::integer[]))"
    )


def _array_type(measurement: Measurement, column: str) -> str:
    if column == "time":
        return "timestamptz[]"
    if column == "server_id":
        return "integer[]"
    if column == "samples":
        return "bigint[]"
    label = next((label for label in measurement.labels if label.name == column), None)
    return f"{label.type}[]" if label else "float8[]"


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)
