"""The real database for every test: embedded, or on the server that CHATOPS_TEST_DATABASE_URL names.

`database` is migrated and shared by the session: a test makes its own servers and users in it. `new_settings` gives a
migrated database of its own to what has to start from nothing, kills processes or changes the schema.
"""

import contextlib
import itertools
import os
import secrets
import shutil
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from chatops_backend.database.interface import Database
from chatops_backend.database.migrations import migrate
from chatops_backend.database.open import open_database
from chatops_backend.settings import Settings
from tests.engine import TestEngine, reason_to_skip, running_engine

TEST_DATABASE_URL = os.environ.get("CHATOPS_TEST_DATABASE_URL") or None
SECRET_KEY = "a secret key for tests, long enough to sign"
ADMIN_PASSWORD = "correct horse battery staple"
DASHBOARD_SECRET = "a secret that backend and dashboard share"


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


# Below the ports that the kernel gives to outgoing connections, in a block of this process: two workers never meet.
_ports = itertools.cycle(range(10_000 + os.getpid() % 200 * 100, 10_100 + os.getpid() % 200 * 100))


def free_port() -> int:
    """A port on which nothing listens, for a program that is started next."""
    for port in itertools.islice(_ports, 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free in this process's block")


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not _has_ipv6(), reason="this machine has no IPv6 address")


def settings_for(data_dir: Path, database_url: str | None) -> Settings:
    return Settings(
        data_dir=data_dir,
        database_url=database_url,
        port=free_port(),
        dashboard_port=free_port(),
        secret_key=SECRET_KEY,
        admin_password=ADMIN_PASSWORD,
        dashboard_secret=DASHBOARD_SECRET,
    )


NewSettings = Callable[..., Awaitable[Settings]]


@pytest.fixture(scope="session")
async def new_settings(anyio_backend: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[NewSettings]:
    """A function that returns settings with a database of their own; ``migrated=False`` leaves it empty."""
    template = tmp_path_factory.mktemp("template")
    created: list[str] = []
    if TEST_DATABASE_URL is None:
        async with open_database(settings_for(template, None)) as database:
            await migrate(database)

    async def make(*, migrated: bool = True) -> Settings:
        data_dir = tmp_path_factory.mktemp("data")
        if TEST_DATABASE_URL is None:
            if migrated:
                shutil.copytree(template / "database", data_dir / "database", ignore=shutil.ignore_patterns(".s.*"))
            return settings_for(data_dir, None)
        name = f"chatops_test_{secrets.token_hex(6)}"
        await _on_server(f'CREATE DATABASE "{name}"')
        created.append(name)
        settings = settings_for(data_dir, urlunsplit(urlsplit(TEST_DATABASE_URL)._replace(path=f"/{name}")))
        if migrated:
            async with open_database(settings) as database:
                await migrate(database)
        return settings

    yield make
    for name in created:
        await _on_server(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


async def _on_server(statement: str) -> None:
    connection = await asyncpg.connect(TEST_DATABASE_URL)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture(scope="session")
async def settings(new_settings: NewSettings) -> Settings:
    return await new_settings()


@pytest.fixture(scope="session")
async def database(settings: Settings) -> AsyncIterator[Database]:
    async with open_database(settings) as opened:
        yield opened


@pytest.fixture
def with_settings(settings: Settings) -> Callable[..., Settings]:
    """The session's settings with some values changed."""
    return lambda **changes: replace(settings, **changes)


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestEngine]:
    """A real Docker Engine, shared by the session: a test makes containers of its own names in it."""
    reason = reason_to_skip()
    if reason is not None:
        pytest.skip(reason)
    with running_engine(tmp_path_factory.mktemp("engine")) as running:
        yield running
