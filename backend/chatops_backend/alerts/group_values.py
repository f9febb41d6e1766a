"""The values a group of rules compares, by kind, as (``server_id``, ``labels`` in JSON, ``value``)."""

from collections.abc import Sequence

import msgspec
import polars as pl

from chatops_backend.alerts.rule_book import Group, Watched
from chatops_backend.alerts.series_values import measurement_and_field, read_buckets, read_values
from chatops_backend.alerts.store import labels_key
from chatops_backend.alerts.windows import counted_silence, forecasts_at
from chatops_backend.database.interface import Database
from chatops_protocol.catalog import Measurement

_SCHEMA = {"server_id": pl.Int64, "labels": pl.String, "value": pl.Float64}


async def read_group(database: Database, group: Group, servers: Sequence[Watched], at: float) -> pl.DataFrame:
    """Raise `UnknownMetricError` when the catalogue does not have the metric."""
    if group.kind == "offline":
        heard = [
            (server.id, "{}", server.silent_s, server.interval_s) for server in servers if server.silent_s is not None
        ]
        silent = pl.DataFrame(heard, schema={**_SCHEMA, "interval_s": pl.Float64}, orient="row")
        return silent.select("server_id", "labels", value=counted_silence(pl.col("value"), pl.col("interval_s")))
    measurement, _ = measurement_and_field(group.question.metric)
    if group.kind == "forecast":
        # The newest bucket is not whole yet: the line ends with the last minute that is.
        end = int(at) // 60 * 60
        buckets = await read_buckets(database, group.question, end)
        keys = ["server_id", *measurement.label_names]
        fitted = forecasts_at(buckets, keys, end, group.question.window_s, group.within_s)
        return _labelled(fitted, measurement, group.labels)
    values = _labelled(await read_values(database, group.question, at), measurement, group.labels)
    if group.kind == "change":
        earlier_question = msgspec.structs.replace(group.question, offset_s=group.against_s)
        earlier = _labelled(await read_values(database, earlier_question, at), measurement, group.labels)
        joined = values.join(earlier, on=["server_id", "labels"], how="inner", suffix="_earlier")
        return joined.with_columns(value=pl.col("value") - pl.col("value_earlier")).drop("value_earlier")
    return values


def _labelled(values: pl.DataFrame, measurement: Measurement, wanted: tuple[tuple[str, str], ...]) -> pl.DataFrame:
    """Keep the series with the wanted labels, and put all labels into one JSON column."""
    for name, text in wanted:
        values = values.filter(pl.col(name) == text)
    names = measurement.label_names
    if not names:
        return values.with_columns(labels=pl.lit("{}")).select(*_SCHEMA)
    encoded = [labels_key(dict(zip(names, row, strict=True))) for row in values.select(names).iter_rows()]
    return values.with_columns(labels=pl.Series(encoded, dtype=pl.String)).select(*_SCHEMA)
