"""``/metrics/import``, ``/metrics/custom`` and ``/metrics/export``. Thin: what is decided is decided beside it."""

import asyncio
from typing import Annotated, Any

from litestar import Request, Router, get, post
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from chatops_backend.accounts.access import allow
from chatops_backend.accounts.visibility import Visible
from chatops_backend.audit.actor import RequestActor
from chatops_backend.problems import ProblemError
from chatops_backend.transfer.arrow_body import read_frame
from chatops_backend.transfer.importer import Importer
from chatops_backend.transfer.rollups import RollUps
from chatops_protocol.catalog import BY_NAME
from chatops_protocol.transfer_resources import MAX_IMPORT_BYTES, ImportProgress, ImportResult

MeasurementName = Annotated[str, QueryParameter(description="A measurement of the catalogue, for example `host`")]


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
    found = BY_NAME.get(measurement)
    if found is None:
        raise ProblemError(
            404,
            "Unknown measurement",
            f"There is no measurement {measurement[:100]!r}; there are: {', '.join(BY_NAME)}.",
        )
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


route_handlers = [
    Router("/metrics", route_handlers=[import_rows, finish_import, get_import_progress], tags=["metrics"])
]
