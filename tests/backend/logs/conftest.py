"""One running backend for a file of tests, and servers of a test's own in it."""

import secrets
from collections.abc import AsyncIterator, Callable

import pytest

from tests.conftest import NewSettings
from tests.stack import Backend, running_backend


@pytest.fixture(scope="module")
async def backend(new_settings: NewSettings) -> AsyncIterator[Backend]:
    with running_backend(await new_settings()) as running:
        yield running


@pytest.fixture
def new_server(backend: Backend) -> Callable[[], tuple[int, str]]:
    """A function that returns the id of a new server and the key of its agent."""
    return lambda: backend.add_server(f"server-{secrets.token_hex(4)}")
