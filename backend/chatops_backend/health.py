"""``/health`` (the process runs), ``/ready`` (it can serve), ``/metrics`` (Prometheus text). Public, at the root."""

import asyncio
from typing import Any

from litestar import Response, get
from litestar.di import NamedDependency
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest

from chatops_backend.accounts.access import allow_anyone
from chatops_backend.database.interface import Database, DatabaseUnavailableError
from chatops_backend.problems import ProblemError

READY_WITHIN_S = 5.0


@get("/health", opt=allow_anyone())
async def health() -> dict[str, str]:
    return {"status": "ok"}


@get("/ready", opt=allow_anyone())
async def ready(database: NamedDependency[Database]) -> dict[str, str]:
    """503 while the database does not answer."""
    # Not `wait_for`: it would wait for the cancelled query, which a database that hangs does not end.
    asked = asyncio.ensure_future(database.fetchval("SELECT 1"))
    await asyncio.wait([asked], timeout=READY_WITHIN_S)
    asked.cancel()
    if not asked.done() or isinstance(asked.exception(), DatabaseUnavailableError):
        raise ProblemError(503, "Not ready", "The database does not answer; this heals when it does.")
    asked.result()
    return {"status": "ready"}


@get("/metrics", opt=allow_anyone())
async def metrics() -> Response[Any]:
    """What this process counts: ingest, refusals, policies, requests. No reading of any server is in it."""
    return Response(generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)


route_handlers = [health, ready, metrics]
