"""Brings rows as a file has them into the columns of a measurement, and says which of them are none. Pure."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import msgspec
import polars as pl

from chatops_protocol.catalog import CUSTOM, Measurement
from chatops_protocol.cell_guard import unguarded

# As the backend's (`ingest/rows.py`).
LARGEST_VALUE = 1e100
MOST_LINES_NAMED = 10
LINE = "\0line"
_WRITTEN = ("%+", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%.f")


class Faults:
    """How many lines were not usable for which reason, and where the first of them are."""

    def __init__(self) -> None:
        self.lines: dict[str, list[int]] = defaultdict(list)
        self.counts: dict[str, int] = defaultdict(int)

    def add(self, reason: str, lines: Sequence[int]) -> None:
        self.counts[reason] += len(lines)
        self.lines[reason] += lines[: MOST_LINES_NAMED - len(self.lines[reason])]

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    def words(self, unit: str = "line") -> list[str]:
        said = []
        for reason, count in sorted(self.counts.items()):
            named = ", ".join(map(str, self.lines[reason]))
            more = ", …" if count > len(self.lines[reason]) else ""
            said.append(f"{count} {unit}{'s' if count > 1 else ''}: {reason} ({named}{more})")
        return said


def readings(frame: pl.DataFrame, measurement: Measurement, servers: Mapping[str, int], faults: Faults) -> pl.DataFrame:
    """`frame` has `LINE` and columns of the measurement, as text or as what they are; `server` is a server's name or
    id, `server_id` its id. Rows that are none are left out and noted."""
    columns: list[pl.Expr] = [
        pl.col(LINE),
        _time(frame.schema["time"]).alias("time"),
        _server(frame, servers).alias("server_id"),
    ]
    reasons = {
        "no time, or not one that can be read": pl.col("time").is_null(),
        "a server that is not known": pl.col("server_id").is_null(),
    }
    for label in measurement.labels:
        text = pl.col(label.name).cast(pl.String) if label.name in frame.columns else pl.lit("")
        text = text.fill_null("")
        if label.type == "jsonb":
            texts = frame[label.name].cast(pl.String).fill_null("").unique() if label.name in frame.columns else [""]
            text = text.replace_strict({one: _object(one) for one in texts}, return_dtype=pl.String, default="{}")
            reasons[f"{label.name} is no JSON object of strings"] = pl.col(label.name).is_null()
        columns.append(text.alias(label.name))
    fields = [name for name in measurement.field_names if name in frame.columns]
    for name in fields:
        columns.append(_number(name, frame.schema[name]))
        reasons[f"{name} is not a number"] = pl.col(f"\0bad {name}")
        columns.append(_not_a_number(name, frame.schema[name]).alias(f"\0bad {name}"))
        reasons[f"{name} is out of range"] = pl.col(name).abs() > LARGEST_VALUE
    reasons["no value"] = pl.all_horizontal([pl.col(name).is_null() for name in fields])
    typed = frame.select(columns)
    reason = pl.coalesce([pl.when(fault).then(pl.lit(name)) for name, fault in reasons.items()])
    judged = typed.with_columns(reason.alias("\0reason"))
    bad = judged.filter(pl.col("\0reason").is_not_null())
    for (name,), rows in bad.group_by("\0reason", maintain_order=True):
        faults.add(str(name), rows[LINE].to_list())
    wanted = ["time", "server_id", *measurement.label_names, *fields]
    return judged.filter(pl.col("\0reason").is_null()).select(wanted)


def guards_taken_off(frame: pl.DataFrame, measurement: Measurement) -> pl.DataFrame:
    """Of a CSV file, whose text an export may have guarded."""
    texts = [name for name in (*measurement.label_names, "server") if name in frame.columns]
    if not any(frame[name].str.starts_with("'").any() for name in texts):
        return frame
    return frame.with_columns(pl.col(name).map_elements(unguarded, pl.String) for name in texts)


def as_custom(frame: pl.DataFrame) -> pl.DataFrame:
    """Columns that `custom` does not have become values of their name. A file that has name and value stays."""
    if "name" in frame.columns and "value" in frame.columns:
        return frame
    kept = [name for name in (LINE, "time", "server", "server_id", "labels") if name in frame.columns]
    values = [name for name in frame.columns if name not in kept]
    long = frame.unpivot(values, index=kept, variable_name="name", value_name="value")
    return long.filter(pl.col("value").is_not_null() & (pl.col("value").cast(pl.String).str.strip_chars() != ""))


def known_columns(measurement: Measurement) -> tuple[str, ...]:
    return ("time", "server", "server_id", *measurement.columns)


def unusable(names: Sequence[str], measurement: Measurement) -> list[str]:
    """Columns that a file has and the measurement does not."""
    return [] if measurement is CUSTOM else [name for name in names if name not in known_columns(measurement)]


def _time(kind: pl.DataType) -> pl.Expr:
    column = pl.col("time")
    if isinstance(kind, pl.Datetime):
        column = column.dt.cast_time_unit("us")
        return column.dt.replace_time_zone("UTC") if kind.time_zone is None else column.dt.convert_time_zone("UTC")
    text = column.cast(pl.String).str.strip_chars()
    written = [
        (text.str.to_datetime(form, time_unit="us", time_zone="UTC", strict=False))
        if "z" in form or form == "%+"
        else text.str.to_datetime(form, time_unit="us", strict=False).dt.replace_time_zone("UTC")
        for form in _WRITTEN
    ]
    day = text.str.to_date("%Y-%m-%d", strict=False).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    return pl.coalesce([*written, day, _epoch(text)])


def _epoch(text: pl.Expr) -> pl.Expr:
    """Unix time in seconds, milli-, micro- or nanoseconds, told apart by its size."""
    whole = text.cast(pl.Int64, strict=False)
    size = whole.abs().cast(pl.Float64)
    exact = pl.coalesce(
        pl.when(size < 1e11).then(whole * 1_000_000),
        pl.when(size < 1e14).then(whole * 1_000),
        pl.when(size < 1e17).then(whole),
        whole // 1_000,
    )
    fraction = (text.cast(pl.Float64, strict=False) * 1e6).round()
    seconds = pl.when(fraction.abs() < 1e17).then(fraction).cast(pl.Int64, strict=False)
    return pl.coalesce(exact, seconds).cast(pl.Datetime("us", "UTC"))


def _server(frame: pl.DataFrame, servers: Mapping[str, int]) -> pl.Expr:
    """By id where there is one, otherwise by name; both only of servers that are there."""
    ids = {str(number): number for number in servers.values()}
    found = []
    for column, known in (("server_id", ids), ("server", ids | dict(servers))):
        if column in frame.columns:
            text = pl.col(column).cast(pl.String).str.strip_chars()
            found.append(text.replace_strict(known, default=None, return_dtype=pl.Int32))
    return pl.coalesce(found)


def _number(name: str, kind: pl.DataType) -> pl.Expr:
    if kind.is_numeric() or kind == pl.Boolean:
        return pl.col(name).cast(pl.Float64).fill_nan(None)
    return pl.col(name).cast(pl.String).str.strip_chars().cast(pl.Float64, strict=False).fill_nan(None)


def _not_a_number(name: str, kind: pl.DataType) -> pl.Expr:
    if kind.is_numeric() or kind == pl.Boolean:
        return pl.lit(value=False)
    text = pl.col(name).cast(pl.String).str.strip_chars()
    return text.is_not_null() & (text != "") & text.cast(pl.Float64, strict=False).is_null()


def _object(text: str) -> str | None:
    try:
        decoded = msgspec.json.decode(text or "{}", type=dict[str, str])
    except (msgspec.MsgspecError, RecursionError):
        return None
    return msgspec.json.encode(decoded, order="sorted").decode()
