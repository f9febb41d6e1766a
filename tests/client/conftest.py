"""A real backend with one server that has reported a minute of readings."""

import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest

from chatops_client import Client
from tests.conftest import ADMIN_PASSWORD, NewSettings
from tests.reporting import Reporter, readings
from tests.stack import Backend, running_backend


@dataclass(frozen=True)
class Reported:
    """A server, its agent's key, and the time of its newest reading."""

    server_id: int
    api_key: str
    newest_at: float


@pytest.fixture(scope="session")
async def backend(new_settings: NewSettings) -> AsyncIterator[Backend]:
    settings = await new_settings()
    with running_backend(settings) as running:
        yield running


@pytest.fixture(scope="session")
def reported(backend: Backend) -> Reported:
    server_id, key = backend.add_server("reporting")
    now = time.time()
    reporter = Reporter(backend.agents_url, key)
    reporter.report([(now - 60 + 5 * n, readings(10.0 + n)) for n in range(13)])
    reporter.close()
    return Reported(server_id, key, now)


@pytest.fixture
def client(backend: Backend) -> Iterator[Client]:
    with Client(backend.url, username="admin", password=ADMIN_PASSWORD) as opened:
        yield opened
