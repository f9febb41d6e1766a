"""What the Explore page shows, as one polars frame and as files. Pure."""

import io
from collections.abc import Sequence
from datetime import UTC
from typing import Any, Literal

import msgspec
import polars as pl

from chatops_dashboards.pages.explore.reading import Answered

Format = Literal["csv", "parquet", "arrow"]
MEDIA_TYPES: dict[Format, str] = {
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
    "arrow": "application/vnd.apache.arrow.stream",
}
VALUES = ("avg", "min", "max")
# A spreadsheet would take a cell that begins so for a formula.
_FORMULA = r"^([=+\-@\t\r])"


def shown_frame(answers: Sequence[Answered], top: int) -> pl.DataFrame:
    """One row per metric, series and bucket: metric, unit, series (its name), server_id, labels (JSON), time (UTC),
    avg, min, max. What could not be read is not in it."""
    parts = [
        pl.DataFrame(
            {
                "metric": pl.Series([one.metric] * len(named.series.time), dtype=pl.String),
                "unit": pl.Series([one.answer.unit] * len(named.series.time), dtype=pl.String),
                "series": pl.Series([named.name] * len(named.series.time), dtype=pl.String),
                "server_id": pl.Series([named.series.server_id] * len(named.series.time), dtype=pl.Int64),
                "labels": pl.Series(
                    [msgspec.json.encode(named.series.labels).decode()] * len(named.series.time), dtype=pl.String
                ),
                "time": pl.Series([m.astimezone(UTC) for m in named.series.time], dtype=pl.Datetime("us", "UTC")),
                **{name: pl.Series(getattr(named.series, name), dtype=pl.Float64) for name in VALUES},
            }
        )
        for one in answers
        if one.answer is not None
        for named in one.shown(top)
    ]
    return pl.concat(parts) if parts else _empty()


def table_rows(frame: pl.DataFrame, most: int) -> list[dict[str, Any]]:
    """The newest first; buckets without a reading left out."""
    known = frame.filter(pl.col("avg").is_not_null()).sort(
        ["time", "metric", "series"], descending=[True, False, False]
    )
    return known.head(most).to_dicts()


def written(frame: pl.DataFrame, form: Format) -> bytes:
    """The frame as a file's content; a CSV's texts are made safe for spreadsheets."""
    buffer = io.BytesIO()
    if form == "parquet":
        frame.write_parquet(buffer)
    elif form == "arrow":
        frame.write_ipc_stream(buffer)
    else:
        frame.with_columns(pl.col(pl.String).str.replace(_FORMULA, "'${1}")).write_csv(buffer)
    return buffer.getvalue()


def _empty() -> pl.DataFrame:
    texts = dict.fromkeys(("metric", "unit", "series"), pl.String)
    schema: dict[str, Any] = {
        **texts,
        "server_id": pl.Int64,
        "labels": pl.String,
        "time": pl.Datetime("us", "UTC"),
        **dict.fromkeys(VALUES, pl.Float64),
    }
    return pl.DataFrame(schema=schema)
