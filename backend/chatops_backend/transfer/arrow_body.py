"""Reads the body of an import into a checked frame. Called by the routes; knows no database.

What is wrong with the columns refuses the whole; what is wrong with a row costs that row and is counted by its reason.
"""

import io
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from chatops_backend.ingest.rows import LARGEST_VALUE, MAX_LABEL_LENGTH
from chatops_backend.problems import ProblemError
from chatops_backend.transfer.ages import EARLIEST
from chatops_backend.transfer.arrow_framing import count_rows
from chatops_protocol.catalog import Measurement
from chatops_protocol.transfer_resources import ImportRefusal

if TYPE_CHECKING:
    import polars as pl

MAX_ROWS = 500_000
# Clocks differ a little.
AHEAD = timedelta(minutes=1)


def read_frame(body: bytes, measurement: Measurement) -> "pl.DataFrame":
    """The columns time, server_id, labels and fields of `body`, of the types that the database has. Labels that are
    objects are JSON text; what cannot be one is null. Raises `ProblemError` 400."""
    import polars as pl

    rows = count_rows(body)
    if rows > MAX_ROWS:
        raise ProblemError(400, "Too many rows", f"{rows} rows at once; send at most {MAX_ROWS}, several times.")
    try:
        frame = pl.read_ipc_stream(io.BytesIO(body))
    except (pl.exceptions.PolarsError, OSError, ValueError, pl.exceptions.PanicException) as error:
        raise ProblemError(400, "No Arrow stream", f"The body is not a readable Arrow stream: {error}") from None
    return in_types_of(frame, measurement)


def in_types_of(frame: "pl.DataFrame", measurement: Measurement) -> "pl.DataFrame":
    """Raises `ProblemError` 400 that names the column."""
    import polars as pl

    _check_names(frame.columns, measurement)
    columns: list[pl.Expr] = [_time(frame.schema["time"]), _server_id(frame.schema["server_id"])]
    for label in measurement.labels:
        if frame.schema[label.name] not in (pl.String, pl.Null):
            raise _wrong_type(label.name, frame.schema[label.name], "text")
        column = pl.col(label.name).cast(pl.String)
        if label.type == "jsonb":
            column = column.replace_strict(
                _objects(frame[label.name].cast(pl.String)), default=None, return_dtype=pl.String
            )
        columns.append(column)
    columns += [_value(name, frame.schema[name]) for name in measurement.field_names if name in frame.columns]
    try:
        return frame.select(columns)
    except pl.exceptions.PolarsError as error:
        raise ProblemError(400, "Columns not usable", f"A column cannot be converted: {error}") from None


def refuse_rows(
    frame: "pl.DataFrame", measurement: Measurement, known_servers: set[int], now: datetime
) -> tuple["pl.DataFrame", list[ImportRefusal]]:
    """The good rows, and how many were refused for which reason (the first that applies)."""
    import polars as pl

    fields = [name for name in measurement.field_names if name in frame.columns]
    labels = measurement.label_names
    reasons = {
        "no_time": pl.col("time").is_null(),
        "time_out_of_range": ~pl.col("time").is_between(EARLIEST, now + AHEAD),
        "unknown_server": ~pl.col("server_id").is_in(list(known_servers)).fill_null(False),
        "no_label": _any(pl.col(name).is_null() for name in labels),
        "label_too_long": _any(pl.col(name).str.len_chars() > MAX_LABEL_LENGTH for name in labels),
        # PostgreSQL's text cannot hold U+0000.
        "nul_in_label": _any(pl.col(name).str.contains("\0", literal=True) for name in labels),
        # Both infinities too.
        "value_out_of_range": _any(pl.col(name).abs() > LARGEST_VALUE for name in fields),
        "no_value": ~_any(pl.col(name).is_not_null() for name in fields),
    }
    reason = pl.coalesce([pl.when(fault).then(pl.lit(name)) for name, fault in reasons.items()])
    judged = frame.with_columns(reason.alias("\0reason"))
    counted = judged.filter(pl.col("\0reason").is_not_null()).group_by("\0reason").len().sort("\0reason")
    refused = [ImportRefusal(name, count) for name, count in counted.iter_rows()]
    return judged.filter(pl.col("\0reason").is_null()).drop("\0reason"), refused


def _check_names(names: list[str], measurement: Measurement) -> None:
    needed = ("time", "server_id", *measurement.label_names)
    missing = [name for name in needed if name not in names]
    unknown = [name for name in names if name not in (*needed, *measurement.field_names)]
    if missing or unknown:
        fault = f"is missing {', '.join(missing)}" if missing else f"has {', '.join(unknown)[:200]} besides"
        raise ProblemError(
            400,
            "Columns not usable",
            f"{measurement.name} has the columns {', '.join((*needed, *measurement.field_names))}; this {fault}.",
        )
    if not any(name in names for name in measurement.field_names):
        raise ProblemError(
            400, "Columns not usable", f"There is no value: send one of {', '.join(measurement.field_names)}."
        )


def _time(kind: Any) -> "pl.Expr":
    import polars as pl

    if not isinstance(kind, pl.Datetime):
        raise _wrong_type("time", kind, "a time stamp")
    time = pl.col("time").dt.cast_time_unit("us")
    # Without a zone it is UTC.
    return time.dt.replace_time_zone("UTC") if kind.time_zone is None else time.dt.convert_time_zone("UTC")


def _server_id(kind: Any) -> "pl.Expr":
    import polars as pl

    if not kind.is_integer():
        raise _wrong_type("server_id", kind, "an integer")
    return pl.col("server_id").cast(pl.Int32, strict=False)


def _value(name: str, kind: Any) -> "pl.Expr":
    import polars as pl

    if not (kind.is_numeric() or kind == pl.Null):
        raise _wrong_type(name, kind, "a number")
    return pl.col(name).cast(pl.Float64).fill_nan(None)  # not a number is no reading


def _objects(texts: "pl.Series") -> dict[str, str | None]:
    """Each text that is a JSON object of strings, written in one way."""
    written: dict[str, str | None] = {}
    for text in texts.unique().drop_nulls():
        try:
            decoded = msgspec.json.decode(text, type=dict[str, str])
        except (msgspec.MsgspecError, RecursionError):
            written[text] = None
        else:
            # PostgreSQL's jsonb holds no U+0000.
            hostile = any("\0" in part for pair in decoded.items() for part in pair)
            written[text] = None if hostile else msgspec.json.encode(decoded, order="sorted").decode()
    return written


def _any(conditions: Any) -> "pl.Expr":
    import polars as pl

    return pl.any_horizontal([pl.lit(value=False), *conditions])


def _wrong_type(name: str, kind: Any, wanted: str) -> ProblemError:
    return ProblemError(400, "Columns not usable", f"The column {name} has the type {kind}; send {wanted}.")
