"""``/metrics/import``, ``/metrics/custom`` and ``/metrics/export``. Thin: what is decided is decided beside it."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Any

from litestar import Request, Router, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, QueryParameter

from chatops_backend.accounts.access import allow
from chatops_backend.accounts.visibility import Visible
from chatops_backend.audit.actor import RequestActor
from chatops_backend.problems import ProblemError, not_found
from chatops_backend.transfer.arrow_body import read_frame
from chatops_backend.transfer.custom_values import frame_of
from chatops_backend.transfer.export_routes import export_rows
from chatops_backend.transfer.importer import Importer
from chatops_backend.transfer.measurements import MeasurementName, required_measurement
from chatops_backend.transfer.rollups import RollUps
from chatops_protocol.catalog import CUSTOM
from chatops_protocol.transfer_resources import MAX_IMPORT_BYTES, CustomValue, ImportProgress, ImportResult

MOST_VALUES = 10_000
ServerId = Annotated[int, QueryParameter(ge=1, le=2**31 - 1, description="Whose values they are")]


@post("/import", opt=allow("operator"), status_code=200, request_max_body_size=MAX_IMPORT_BYTES)
async def import_rows(
    request: Request[Any, Any, Any],
    measurement: MeasurementName,
    importer: NamedDependency[Importer],
    actor: RequestActor,
    visible: Visible,
) -> ImportResult:
    """Store rows of any age. The body is an Arrow IPC stream, uncompressed, with the columns time, server_id, and the
    labels and fields of the measurement. What is stored already is left out, so a request may be repeated."""
    found = required_measurement(measurement)
    body = await request.body()
    frame = await asyncio.to_thread(read_frame, body, found)
    return await importer.store(frame, found, actor, visible, "metrics.import")


@post("/import/finish", opt=allow("operator"), status_code=202)
async def finish_import(rollups: NamedDependency[RollUps]) -> ImportProgress:
    """Bring the roll-ups up to date with what was imported, in the background: `GET /metrics/import` says how far."""
    return rollups.finish()


@get("/import", opt=allow("operator"))
async def get_import_progress(rollups: NamedDependency[RollUps]) -> ImportProgress:
    """How many days of imported rows the roll-ups do not hold yet."""
    return rollups.progress()


@post("/custom", opt=allow("operator"), status_code=200)
async def push_custom(
    data: JSONBody[list[CustomValue]],
    server_id: ServerId,
    importer: NamedDependency[Importer],
    actor: RequestActor,
    visible: Visible,
) -> ImportResult:
    """Store values of one's own for a server: a list of `{name, value, labels?, time?}`. Metric `custom.value`."""
    visible.require(server_id)
    if not 1 <= len(data) <= MOST_VALUES:
        raise ProblemError(400, "Values not usable", f"Send 1 to {MOST_VALUES} values at a time.")
    frame = await asyncio.to_thread(frame_of, server_id, data, datetime.now(UTC))
    result = await importer.store(frame, CUSTOM, actor, visible, "metrics.custom")
    if any(refused.reason == "unknown_server" for refused in result.refused):
        raise not_found("server", server_id)
    return result


route_handlers = [
    Router(
        "/metrics",
        route_handlers=[import_rows, finish_import, get_import_progress, push_custom, export_rows],
        tags=["metrics"],
    )
]
