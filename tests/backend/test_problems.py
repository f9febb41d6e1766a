"""Whatever goes wrong is a problem document that says what to do and nothing about the inside."""

import logging

import pytest
from litestar import Litestar, get, post
from litestar.params import JSONBody
from msgspec import Struct, convert

from chatops_backend.accounts.login_limits import LoginLimits
from chatops_backend.database.interface import DatabaseUnavailableError
from chatops_backend.problems import ProblemError, exception_handlers

pytestmark = pytest.mark.anyio


class Item(Struct, forbid_unknown_fields=True):
    name: str
    count: int = 0


@get("/unexpected")
async def unexpected() -> None:
    raise ValueError("the secret is 42")


@get("/inner-validation")
async def inner_validation() -> None:
    convert({"name": 1}, Item)


@get("/own")
async def own() -> None:
    raise ProblemError(409, "Taken", "Choose another.", headers={"Retry-After": "3"})


@get("/no-database")
async def no_database() -> None:
    raise DatabaseUnavailableError("at postgresql://user:secret@host")


@post("/item")
async def item(data: JSONBody[Item]) -> None:
    return None


@pytest.fixture
async def client(client_of):
    handlers = [unexpected, inner_validation, own, no_database, item]
    app = Litestar(handlers, exception_handlers=exception_handlers, openapi_config=None)
    async with client_of(app) as opened:
        opened.base_url = "http://backend"
        yield opened


async def test_an_unexpected_error_is_logged_and_not_shown(client, caplog) -> None:
    with caplog.at_level(logging.ERROR):
        answer = await client.get("/unexpected")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert set(answer.json()) == {"title", "status", "detail"}
    assert "secret" not in answer.text
    assert "the secret is 42" in caplog.text


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "says"),
    [
        ("GET", "/own", None, 409, "Choose another."),
        ("GET", "/nowhere", None, 404, "/schema"),
        ("DELETE", "/own", None, 405, "Allow"),
        ("GET", "/no-database", None, 503, "try again"),
        ("GET", "/inner-validation", None, 400, "name"),
        ("POST", "/item", b'{"name": 1}', 400, "name"),
        ("POST", "/item", b'{"name": "x", "count": "y"}', 400, "count"),
        ("POST", "/item", b"{", 400, ""),
        ("POST", "/item", b"", 400, ""),
    ],
)
async def test_every_refusal_is_a_problem_document(client, method, path, body, status, says) -> None:
    answer = await client.request(method, path, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["status"], bool(problem["title"])) == (status, True)
    assert says in problem["detail"]
    assert "secret" not in answer.text
    assert status != 503 or answer.headers["retry-after"] == "2"


async def test_a_validation_names_its_fields(client) -> None:
    answer = await client.post("/item", json={"name": 1, "count": "x"})
    assert {entry["key"] for entry in answer.json()["extra"]} & {"name", "count"}


class Unreachable:
    async def fetchrow(self, *_: object) -> None:
        raise DatabaseUnavailableError("gone")


async def test_a_request_without_a_database_is_a_503_and_no_401(
    viewer, settings, passwords, client_of, build_app
) -> None:
    app = build_app(Unreachable(), settings, limits=LoginLimits(lambda: 0.0))
    async with client_of(app, viewer.access_token) as client:
        assert (await client.get("/auth/me")).status_code == 503
        login = {"username": viewer.username, "password": viewer.password}
        assert [(await client.post("/auth/login", json=login)).status_code for _ in range(8)] == [503] * 8
