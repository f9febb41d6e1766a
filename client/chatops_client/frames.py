"""Columns of the metrics API as one polars frame. Pure."""

from datetime import UTC
from typing import Any

import polars as pl

from chatops_protocol.resources import MetricSeries

TIME = pl.Datetime("us", "UTC")


def series_to_frame(answer: MetricSeries) -> pl.DataFrame:
    """One row per series and bucket: ``time`` (UTC, the bucket's start), ``server_id``, one text column per label,
    ``avg``, ``min``, ``max`` in the metric's unit, null where there is no reading."""
    labels = list(dict.fromkeys(name for series in answer.series for name in series.labels))
    parts = []
    for series in answer.series:
        size = len(series.time)
        columns: dict[str, Any] = {
            "time": pl.Series([moment.astimezone(UTC) for moment in series.time], dtype=TIME),
            "server_id": pl.Series([series.server_id] * size, dtype=pl.Int64),
        }
        for name in labels:
            columns[name] = pl.Series([_text(series.labels.get(name))] * size, dtype=pl.String)
        for name in ("avg", "min", "max"):
            columns[name] = pl.Series(getattr(series, name), dtype=pl.Float64)
        parts.append(pl.DataFrame(columns))
    return pl.concat(parts) if parts else _empty()


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else str(value)


def _empty() -> pl.DataFrame:
    return pl.DataFrame(
        schema={"time": TIME, "server_id": pl.Int64, "avg": pl.Float64, "min": pl.Float64, "max": pl.Float64}
    )
