"""The values a group of rules compares, by kind, as (``server_id``, ``labels`` in JSON, ``value``)."""

from collections.abc import Sequence

import msgspec
import polars as pl

from chatops_backend.alerts.answers import Answers
from chatops_backend.alerts.rule_book import Group, Watched
from chatops_backend.alerts.series_labels import named_labels
from chatops_backend.alerts.series_values import Question, measurement_and_field, read_buckets
from chatops_backend.alerts.store import labels_key
from chatops_backend.alerts.windows import counted_silence, forecasts_at
from chatops_backend.database.interface import Database

_SCHEMA = {"server_id": pl.Int64, "labels": pl.String, "value": pl.Float64}


def questions_of(group: Group) -> list[Question]:
    """What `read_group` asks for it."""
    if group.kind == "threshold":
        return [group.question]
    return [group.question, _earlier(group)] if group.kind == "change" else []


async def read_group(
    database: Database, answers: Answers, group: Group, servers: Sequence[Watched], at: float
) -> pl.DataFrame:
    """Raise `UnknownMetricError` when the catalogue does not have the metric."""
    if group.kind == "offline":
        heard = [
            (server.id, "{}", server.silent_s, server.interval_s) for server in servers if server.silent_s is not None
        ]
        silent = pl.DataFrame(heard, schema={**_SCHEMA, "interval_s": pl.Float64}, orient="row")
        return silent.select("server_id", "labels", value=counted_silence(pl.col("value"), pl.col("interval_s")))
    if group.kind == "forecast":
        return await _forecasts(database, group, at)
    values = _wanted(await answers.of(group.question), group)
    if group.kind == "change":
        earlier = _wanted(await answers.of(_earlier(group)), group)
        joined = values.join(earlier, on=["server_id", "labels"], how="inner", suffix="_earlier")
        return joined.with_columns(value=pl.col("value") - pl.col("value_earlier")).drop("value_earlier")
    return values


async def _forecasts(database: Database, group: Group, at: float) -> pl.DataFrame:
    measurement, _ = measurement_and_field(group.question.metric)
    # The newest bucket is not whole yet: the line ends with the last minute that is.
    end = int(at) // 60 * 60
    buckets = await read_buckets(database, group.question, end)
    names = measurement.label_names
    fitted = forecasts_at(buckets, ["server_id", *names], end, group.question.window_s, group.within_s)
    keys = [labels_key(named_labels(measurement, row)) for row in fitted.select(names).iter_rows()] if names else "{}"
    series = pl.lit(keys) if isinstance(keys, str) else pl.Series(keys, dtype=pl.String)
    return _wanted(fitted.with_columns(series=series), group)


def _earlier(group: Group) -> Question:
    return msgspec.structs.replace(group.question, offset_s=group.against_s)


def _wanted(values: pl.DataFrame, group: Group) -> pl.DataFrame:
    """The series with the labels that the rules name."""
    for name, text in group.labels:
        values = values.filter(pl.col(name) == text)
    return values.select("server_id", labels=pl.col("series"), value=pl.col("value"))
