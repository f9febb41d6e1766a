"""The addresses that a new host fetches the agent from."""

import hashlib

from litestar import Litestar, Router
from litestar.testing import TestClient

from chatops_backend.agent_wheel.routes import route_handlers
from chatops_backend.problems import exception_handlers

APP = Litestar(
    [Router("/api/v1", route_handlers=route_handlers)], exception_handlers=exception_handlers, openapi_config=None
)


def test_the_address_given_is_that_of_the_file() -> None:
    with TestClient(APP, base_url="http://watch.example:8000") as client:
        described = client.get("/api/v1/agent/wheel").json()
        assert described["url"] == f"http://watch.example:8000/api/v1/agent/wheel/{described['filename']}"
        file = client.get(described["url"])
    assert file.status_code == 200
    assert file.headers["content-type"] == "application/octet-stream"
    assert hashlib.sha256(file.content).hexdigest() == described["sha256"]


def test_another_files_name_is_not_found() -> None:
    with TestClient(APP) as client:
        for name in ("chatops-9.9.9-py3-none-any.whl", "..%2f..%2fsettings.py", "secret_key"):
            missing = client.get(f"/api/v1/agent/wheel/{name}")
            assert missing.status_code == 404
            assert missing.headers["content-type"] == "application/problem+json"
