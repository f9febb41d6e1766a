"""Reads CSV, Parquet, Arrow and InfluxDB line protocol files in pieces: frames with `LINE` and the columns of the file,
together with how much of the file is read. Lines that cannot be read are noted and skipped."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec
import polars as pl
from line_protocol_parser import LineFormatError, parse_line

from chatops_cli.transfer.readings import LINE, Faults
from chatops_protocol.catalog import CUSTOM, Measurement

Format = Literal["csv", "parquet", "arrow", "line"]
# A frame, and the bytes (CSV, line protocol) or rows that are behind it.
Piece = tuple[pl.DataFrame, int]

SUFFIXES: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".ipc": "arrow",
    ".line": "line",
    ".lp": "line",
    ".influx": "line",
}
PIECE_ROWS = 20_000
DELIMITERS = (",", ";", "\t", "|")


class UnusableFileError(Exception):
    """The file as a whole cannot be imported; the message says why."""


def size_of(path: Path, form: Format) -> int:
    """What the second part of the last piece is."""
    return path.stat().st_size if form in ("csv", "line") else _scan(path, form).select(pl.len()).collect().item()


def csv_header(path: Path) -> tuple[list[str], str]:
    """The names of the columns, and what is between them. Raises `UnusableFileError`."""
    with _open_text(path) as file:
        first = file.readline()
    delimiter = max(DELIMITERS, key=first.count)
    names = next(csv.reader([first], delimiter=delimiter), [])
    if "\0" in first or len(names) < 2 or len(set(names)) != len(names):
        raise UnusableFileError("its first line does not name the columns, each once, with commas between them")
    return [name.strip() for name in names], delimiter


def read_csv(path: Path, faults: Faults) -> Iterator[Piece]:
    names, delimiter = csv_header(path)
    rows: list[list[str]] = []
    lines: list[int] = []
    with _open_text(path) as file:
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        next(reader)
        while True:
            line = reader.line_num + 1
            try:
                row = next(reader)
            except StopIteration:
                break
            except csv.Error as error:
                faults.add(f"not CSV: {error}", [line])
                continue
            if len(row) != len(names):
                if row:
                    faults.add(f"not {len(names)} columns", [line])
                continue
            rows.append(row)
            lines.append(line)
            if len(rows) == PIECE_ROWS:
                yield _text_frame(names, rows, lines), file.buffer.tell()
                rows, lines = [], []
        yield _text_frame(names, rows, lines), path.stat().st_size


def read_table(path: Path, form: Format) -> Iterator[Piece]:
    """Parquet by row groups; of an Arrow stream the whole."""
    rows, total = _scan(path, form), size_of(path, form)
    for start in range(0, total, PIECE_ROWS):
        piece = rows.slice(start, PIECE_ROWS).collect().with_row_index(LINE, start + 1)
        yield piece, start + piece.height


def read_lines(path: Path, measurement: Measurement, server_tag: str, faults: Faults) -> Iterator[Piece]:
    """For `custom` each number becomes a value named ``measurement.field`` with the line's tags as labels."""
    entries: list[dict[str, Any]] = []
    with _open_text(path) as file:
        for number, line in enumerate(iter(file.readline, ""), 1):
            if not line.strip():
                continue
            try:
                point = parse_line(line.rstrip("\r\n"))
            except LineFormatError as error:
                faults.add(f"not line protocol: {error}", [number])
                continue
            if point is not None:
                entries += _entries(point, number, measurement, server_tag, faults)
            if len(entries) >= PIECE_ROWS:
                yield _entries_frame(entries, measurement), file.buffer.tell()
                entries = []
    yield _entries_frame(entries, measurement), path.stat().st_size


def _entries(
    point: dict[str, Any], line: int, measurement: Measurement, server_tag: str, faults: Faults
) -> list[dict[str, Any]]:
    tags = dict(point["tags"])
    entry: dict[str, Any] = {LINE: line, "time": point["time"], "server": tags.pop(server_tag, None)}
    numbers = {name: float(value) for name, value in point["fields"].items() if not isinstance(value, str)}
    if measurement is CUSTOM:
        if not numbers:
            faults.add("no number among its fields", [line])
        labels = msgspec.json.encode(tags, order="sorted").decode()
        return [
            entry | {"name": f"{point['measurement']}.{name}", "labels": labels, "value": value}
            for name, value in numbers.items()
        ]
    fields = {name: value for name, value in numbers.items() if name in measurement.field_names}
    if not fields:
        faults.add(f"none of its fields is one of {measurement.name}", [line])
        return []
    return [entry | {label: tags.get(label) for label in measurement.label_names} | fields]


def _entries_frame(entries: Sequence[dict[str, Any]], measurement: Measurement) -> pl.DataFrame:
    texts = ("server", *measurement.label_names)
    schema: dict[str, Any] = {LINE: pl.Int64, "time": pl.Int64} | dict.fromkeys(texts, pl.String)
    schema |= dict.fromkeys(measurement.field_names, pl.Float64)
    return pl.DataFrame(list(entries), schema=schema)


def _text_frame(names: Sequence[str], rows: list[list[str]], lines: list[int]) -> pl.DataFrame:
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(names)
    texts = {name: pl.Series(column, dtype=pl.String) for name, column in zip(names, columns, strict=True)}
    return pl.DataFrame({LINE: pl.Series(lines, dtype=pl.Int64)} | texts)


def _scan(path: Path, form: Format) -> pl.LazyFrame:
    try:
        rows = pl.scan_parquet(path) if form == "parquet" else pl.read_ipc_stream(path).lazy()
        rows.collect_schema()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise UnusableFileError(f"it is no {form} file: {error}") from None
    return rows


def _open_text(path: Path) -> Any:
    # A line that is not UTF-8 is still a line.
    return path.open(encoding="utf-8-sig", errors="replace", newline="")
