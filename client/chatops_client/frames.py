"""Columns of the metrics API as one polars frame. Pure."""

import io
from collections.abc import Sequence
from typing import Any

import msgspec
import polars as pl

from chatops_protocol.catalog import find_metric
from chatops_protocol.resources import MetricSeries

TIME = pl.Datetime("us", "UTC")
VALUES = ("avg", "min", "max")


def series_to_frame(answer: MetricSeries) -> pl.DataFrame:
    """One row per series and bucket: ``time`` (UTC, the bucket's start), ``server_id``, one text column per label
    (those of the catalogue when there is no series), ``avg``, ``min``, ``max`` in the metric's unit, null where there
    is no reading."""
    labels: Sequence[str] = list(dict.fromkeys(name for series in answer.series for name in series.labels))
    found = find_metric(answer.metric)
    if not answer.series and found is not None:
        labels = found[0].label_names
    schema: dict[str, Any] = {"time": TIME, "server_id": pl.Int64}
    schema |= dict.fromkeys(labels, pl.String) | dict.fromkeys(VALUES, pl.Float64)
    parts = [pl.DataFrame(schema=schema)]
    for series in answer.series:
        size = len(series.time)
        columns: dict[str, Any] = {
            # polars takes ten times as long over times as over numbers; microseconds are exact in these.
            "time": pl.Series([round(moment.timestamp() * 1e6) for moment in series.time], dtype=pl.Int64).cast(TIME),
            "server_id": pl.Series([series.server_id] * size, dtype=pl.Int64),
        }
        for name in labels:
            columns[name] = pl.Series([_text(series.labels.get(name))] * size, dtype=pl.String)
        for name in VALUES:
            columns[name] = pl.Series(getattr(series, name), dtype=pl.Float64)
        parts.append(pl.DataFrame(columns))
    return pl.concat(parts)


def stream_to_frame(stream: bytes) -> pl.DataFrame:
    """The Arrow answer of ``/metrics/query``, with `server_id` as every frame of this client has it."""
    return pl.read_ipc_stream(io.BytesIO(stream)).with_columns(pl.col("server_id").cast(pl.Int64))


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else msgspec.json.encode(value).decode()
