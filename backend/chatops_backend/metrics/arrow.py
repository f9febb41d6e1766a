"""Metrics answers as an Arrow stream, for clients that analyse: columns as they are, without the detour over text."""

import asyncio
import io
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from litestar import Request, Response

from chatops_backend.metrics.question import Question
from chatops_protocol.resources import MetricAnswers, MetricSeries

JSON_TYPE = "application/json"
ARROW_TYPE = "application/vnd.apache.arrow.stream"


async def respond(
    request: Request[Any, Any, Any], answers: Sequence[MetricSeries], question: Question
) -> Response[Any]:
    """JSON, or an Arrow stream for who asks for it by ``Accept``. Metrics, units, tiers and buckets of a stream stand
    in headers."""
    headers = {"Vary": "Accept"}
    if request.accept.best_match([JSON_TYPE, ARROW_TYPE]) != ARROW_TYPE:
        return Response(answers[0] if len(answers) == 1 else MetricAnswers(list(answers)), headers=headers)
    headers |= {
        "ChatOps-Metric": ", ".join(answer.metric for answer in answers),
        "ChatOps-Unit": ", ".join(answer.unit for answer in answers),
        "ChatOps-Tier": ", ".join(answer.tier for answer in answers),
        "ChatOps-Bucket-Seconds": ", ".join(str(answer.bucket_seconds) for answer in answers),
    }
    stream = await asyncio.to_thread(to_stream, answers, question.label_columns)
    return Response(stream, media_type=ARROW_TYPE, headers=headers)


def to_stream(answers: Sequence[MetricSeries], labels: Sequence[str]) -> bytes:
    """One row per series and bucket: time, server_id, the labels as text, avg, min, max; of several metrics metric,
    server_id, the labels, time, avg, min, max. `labels` are columns whether or not there are series."""
    # 40 MB that a backend without such clients does without.
    import polars as pl

    values = dict.fromkeys(("avg", "min", "max"), pl.Float64)
    named = {"server_id": pl.Int32} | dict.fromkeys(labels, pl.String)
    time = {"time": pl.Datetime("us", "UTC")}
    schema: dict[str, Any] = {**time, **named, **values}
    if len(answers) > 1:
        schema = {"metric": pl.String, **named, **time, **values}
    frames = [pl.DataFrame(schema=schema)]
    moments: list[datetime] = []
    times = pl.Series("time", [], schema["time"])
    for answer in answers:
        for series in answer.series:
            # Most series of an answer have the same times; polars takes ten times as long over them as over numbers.
            if series.time != moments:
                moments = series.time
                # Exact: numbers of this size hold microseconds.
                times = pl.Series("time", [round(moment.timestamp() * 1e6) for moment in moments]).cast(schema["time"])
            constant = {"metric": answer.metric, "server_id": series.server_id}
            constant |= {name: _text(series.labels.get(name)) for name in labels}
            frame = pl.DataFrame([times, *(pl.Series(name, getattr(series, name), pl.Float64) for name in values)])
            literals = (pl.lit(value, schema[name]).alias(name) for name, value in constant.items() if name in schema)
            frames.append(frame.with_columns(*literals).select(*schema))
    stream = io.BytesIO()
    # The oldest layout: readers other than polars do not all know string views.
    pl.concat(frames).write_ipc_stream(stream, compat_level=pl.CompatLevel.oldest())
    return stream.getvalue()


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else msgspec.json.encode(value).decode()
