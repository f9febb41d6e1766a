"""A metrics answer as an Arrow stream, for clients that analyse: columns as they are, without the detour over text."""

import asyncio
import io
from typing import Any

import msgspec
from litestar import Request, Response

from chatops_protocol.resources import MetricSeries

JSON_TYPE = "application/json"
ARROW_TYPE = "application/vnd.apache.arrow.stream"


async def respond(request: Request[Any, Any, Any], answer: MetricSeries) -> Response[Any]:
    """JSON, or an Arrow stream for who asks for it by ``Accept``. Metric, unit, tier and bucket of a stream stand in
    headers."""
    headers = {"Vary": "Accept"}
    if request.accept.best_match([JSON_TYPE, ARROW_TYPE]) != ARROW_TYPE:
        return Response(answer, headers=headers)
    headers |= {
        "ChatOps-Metric": answer.metric,
        "ChatOps-Unit": answer.unit,
        "ChatOps-Tier": answer.tier,
        "ChatOps-Bucket-Seconds": str(answer.bucket_seconds),
    }
    return Response(await asyncio.to_thread(to_stream, answer), media_type=ARROW_TYPE, headers=headers)


def to_stream(answer: MetricSeries) -> bytes:
    """One row per series and bucket: time, server_id, the labels as text, avg, min, max."""
    # 40 MB that a backend without such clients does without.
    import polars as pl

    labels = list(dict.fromkeys(name for series in answer.series for name in series.labels))
    schema: dict[str, Any] = {"time": pl.Datetime("us", "UTC"), "server_id": pl.Int32}
    schema |= dict.fromkeys(labels, pl.String) | dict.fromkeys(("avg", "min", "max"), pl.Float64)
    frames = [pl.DataFrame(schema=schema)]
    for series in answer.series:
        rows = len(series.time)
        columns: dict[str, Any] = {"time": series.time, "server_id": [series.server_id] * rows}
        columns |= {name: [_text(series.labels.get(name))] * rows for name in labels}
        frames.append(pl.DataFrame(columns | {"avg": series.avg, "min": series.min, "max": series.max}, schema=schema))
    stream = io.BytesIO()
    # The oldest layout: readers other than polars do not all know string views.
    pl.concat(frames).write_ipc_stream(stream, compat_level=pl.CompatLevel.oldest())
    return stream.getvalue()


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else msgspec.json.encode(value).decode()
