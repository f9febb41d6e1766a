"""What operators look at: health, readiness, counters, and the description of the API."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from litestar import Litestar
from litestar.routes import HTTPRoute

from chatops_backend.accounts import service
from chatops_backend.app import create_app
from chatops_backend.database.embedded_connection import EmbeddedDatabase
from chatops_backend.settings import Settings
from tests.backend.conftest import open_client

pytestmark = pytest.mark.anyio


@pytest.fixture
async def root(app: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://backend") as client:
        yield client


@pytest.fixture
async def without_database(settings: Settings, tmp_path: Path) -> AsyncIterator[Litestar]:
    """The application whose database is nowhere."""
    app = create_app(settings, EmbeddedDatabase(tmp_path / ".s.PGSQL.5432", patience_s=0.05))
    yield app
    app.state[service.STATE_KEY].close()


async def test_a_running_backend_is_healthy_and_ready(root: httpx.AsyncClient) -> None:
    assert (await root.get("/health")).json() == {"status": "ok"}
    assert (await root.get("/ready")).json() == {"status": "ready"}


async def test_without_its_database_the_backend_is_alive_and_not_ready(without_database: Litestar) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(without_database), base_url="http://backend") as client:
        assert (await client.get("/health")).status_code == 200
        answer = await client.get("/ready")
        assert (answer.status_code, answer.json()["title"]) == (503, "Not ready")
        assert (await client.get("/metrics")).status_code == 200


async def test_without_its_database_requests_are_told_to_try_again(
    without_database: Litestar, api: httpx.AsyncClient
) -> None:
    token = api.headers["Authorization"].removeprefix("Bearer ")
    async with open_client(without_database, token) as client:
        answer = await client.get("/metrics/catalog")
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert int(answer.headers["retry-after"]) > 0


async def test_the_counters_are_prometheus_text_without_any_reading(
    root: httpx.AsyncClient, api: httpx.AsyncClient
) -> None:
    await api.get("/metrics/catalog")
    answer = await root.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    for name in ("chatops_ingest_", "chatops_database_job_failures_total", "chatops_requests_total"):
        assert name in answer.text, name
    # Paths are grouped by their template: one label value each, whatever people ask for.
    await api.get("/metrics/123456/latest")
    text = (await root.get("/metrics")).text
    assert "123456" not in text
    assert "server_id" in text


async def test_paths_that_do_not_exist_make_no_new_counters(root: httpx.AsyncClient) -> None:
    before = len((await root.get("/metrics")).text.splitlines())
    for n in range(30):
        assert (await root.get(f"/no-such-path-{n}")).status_code == 404
    assert len((await root.get("/metrics")).text.splitlines()) < before + 20


async def test_the_description_lists_every_path(root: httpx.AsyncClient, app: Litestar) -> None:
    described = (await root.get("/schema/openapi.json")).raise_for_status().json()
    served = {
        route.path_format: {method.lower() for method in route.methods} - {"options", "head"}
        for route in app.routes
        if isinstance(route, HTTPRoute) and not route.path.startswith("/schema")
    }
    assert {"/api/v1/metrics/query", "/api/v1/metrics/{server_id}/history"} <= served.keys()
    paths = {path: set(methods) for path, methods in described["paths"].items() if not path.startswith("/schema")}
    assert paths == served
    assert (await root.get("/schema")).status_code == 200


async def test_the_description_says_what_a_metric_answer_looks_like(root: httpx.AsyncClient) -> None:
    described = (await root.get("/schema/openapi.json")).json()
    answer = described["paths"]["/api/v1/metrics/query"]["get"]["responses"]["200"]
    assert "MetricSeries" in str(answer["content"]["application/json"])
    assert "MetricSeries" in str(described["components"]["schemas"].keys())
