"""A database that cannot be used is one clear line and exit code 1, and never shows a password."""

import asyncio
import os
import sys
from urllib.parse import urlsplit, urlunsplit

import pytest

from tests.conftest import TEST_DATABASE_URL, free_port
from tests.stack import environment

pytestmark = pytest.mark.anyio

PLAIN_DATABASE_URL = os.environ.get("CHATOPS_TEST_PLAIN_DATABASE_URL") or None
PASSWORD = "open-sesame"

needs_server = pytest.mark.skipif(TEST_DATABASE_URL is None, reason="CHATOPS_TEST_DATABASE_URL names no server")


async def refusal_of(with_settings, url: str) -> str:
    """The one line that `chatops migrate` says of a database it cannot use."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "chatops_cli",
        "migrate",
        env=environment(with_settings(database_url=url)),
        stdout=-1,
        stderr=-1,
    )
    output, errors = await asyncio.wait_for(process.communicate(), 60)
    assert (process.returncode, output) == (1, b""), errors
    (line,) = errors.decode().strip().splitlines()
    assert PASSWORD not in line
    return line


@pytest.mark.parametrize("scheme", ["mysql", "http", "postgresql+asyncpg", ""])
async def test_another_scheme_is_refused(with_settings, scheme) -> None:
    line = await refusal_of(with_settings, f"{scheme}://ann:{PASSWORD}@127.0.0.1:5432/chatops")
    assert "CHATOPS_DATABASE_URL must look like postgresql://" in line


@pytest.mark.parametrize("port", ["0x10", "99999", "port"])
async def test_a_port_that_is_none_is_refused(with_settings, port) -> None:
    line = await refusal_of(with_settings, f"postgresql://ann:{PASSWORD}@127.0.0.1:{port}/chatops")
    assert "CHATOPS_DATABASE_URL has no valid port" in line


async def test_text_that_is_no_address_is_refused(with_settings) -> None:
    assert "CHATOPS_DATABASE_URL must look like postgresql://" in await refusal_of(with_settings, "my database")


async def test_where_nothing_listens_it_says_where(with_settings) -> None:
    port = free_port()
    line = await refusal_of(with_settings, f"postgresql://ann:{PASSWORD}@127.0.0.1:{port}/chatops")
    assert f"no database answers at 127.0.0.1:{port}/chatops" in line


async def test_a_host_that_does_not_exist_is_named(with_settings) -> None:
    line = await refusal_of(with_settings, f"postgresql://ann:{PASSWORD}@nowhere.invalid/chatops")
    assert "no database answers at nowhere.invalid:5432/chatops" in line


@needs_server
async def test_a_database_that_does_not_exist_is_named(with_settings) -> None:
    url = urlunsplit(urlsplit(TEST_DATABASE_URL or "")._replace(path="/no_such_database"))
    line = await refusal_of(with_settings, url)
    assert "there is no such database" in line
    assert "/no_such_database" in line


@needs_server
async def test_a_wrong_password_is_said_to_be_wrong_but_not_shown(with_settings) -> None:
    parts = urlsplit(TEST_DATABASE_URL or "")
    stranger = f"nobody_at_all:{PASSWORD}@{parts.hostname}:{parts.port or 5432}"
    line = await refusal_of(with_settings, urlunsplit(parts._replace(netloc=stranger)))
    assert "refuses the user name or password" in line


@needs_server
@pytest.mark.parametrize("error", [asyncio.CancelledError, ValueError])
async def test_what_ends_a_transaction_is_what_its_caller_sees_though_the_server_hung_up(database, error) -> None:
    async def work() -> None:
        async with database.transaction() as transaction:
            connection = await transaction.fetchval("SELECT pg_backend_pid()")
            await database.execute("SELECT pg_terminate_backend($1, 5000)", connection)
            raise error

    with pytest.raises(error):
        await work()
    assert await database.fetchval("SELECT 7") == 7


@pytest.mark.skipif(PLAIN_DATABASE_URL is None, reason="CHATOPS_TEST_PLAIN_DATABASE_URL names no plain PostgreSQL")
async def test_a_server_without_timescaledb_is_refused(with_settings) -> None:
    line = await refusal_of(with_settings, PLAIN_DATABASE_URL or "")
    assert "cannot give us TimescaleDB" in line
