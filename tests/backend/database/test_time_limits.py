"""A read that takes too long is cancelled on the server and said plainly; whoever else asks is answered."""

import asyncio
from typing import Any

import pytest
from litestar import get, post
from litestar.di import NamedDependency

from chatops_backend.accounts import access
from chatops_backend.accounts.access import allow
from chatops_backend.database.interface import Database
from chatops_backend.database.time_limits import StatementTooLongError, limit_statements
from tests.conftest import TEST_DATABASE_URL

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(TEST_DATABASE_URL is None, reason="the embedded database cannot be interrupted"),
]
SLOW = "SELECT pg_sleep(600)"
STILL_THERE = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query = $1 AND state = 'active'"
)
WITHIN_S = 60


@pytest.fixture(autouse=True)
def no_limit_is_left():
    yield
    limit_statements(None)


async def nothing_runs(database: Any, query: str) -> None:
    async with asyncio.timeout(WITHIN_S):
        while await database.fetchval(STILL_THERE, query):
            await asyncio.sleep(0.1)


async def test_a_statement_that_takes_longer_is_cancelled(database) -> None:
    limit_statements(0.3)
    for method in (database.fetch, database.fetchrow, database.fetchval, database.execute):
        async with asyncio.timeout(WITHIN_S):
            with pytest.raises(StatementTooLongError):
                await method(SLOW)
    async with asyncio.timeout(WITHIN_S):
        with pytest.raises(StatementTooLongError):
            async with database.transaction() as transaction:
                await transaction.fetch(SLOW)
    limit_statements(None)
    await nothing_runs(database, SLOW)
    await database.fetchval("SELECT pg_sleep(0.5)")


async def test_a_request_that_reads_is_ended_and_one_that_changes_something_is_not(
    build_app, database, settings, new_person, monkeypatch
) -> None:
    @get("/slow", opt=allow("viewer"))
    async def read(database: NamedDependency[Database]) -> dict[str, str]:
        await database.fetch(SLOW)
        return {}

    @post("/slow", opt=allow("viewer"))
    async def change(database: NamedDependency[Database]) -> dict[str, str]:
        await database.fetch("SELECT pg_sleep(1)")
        return {}

    app = build_app(database, settings, handlers=(read, change))
    viewer = await new_person("viewer", into=app)
    monkeypatch.setattr(access, "READ_WITHIN_S", 0.5)
    async with asyncio.timeout(WITHIN_S):
        answer = await viewer.api.get("/slow")
    assert (answer.status_code, answer.json()["title"]) == (504, "It takes too long")
    assert (await viewer.api.post("/slow")).status_code == 201
    limit_statements(None)
    await nothing_runs(database, SLOW)
