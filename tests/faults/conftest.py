"""A backend of a test's own: here it is killed, or its database is."""

import contextlib
from collections.abc import AsyncIterator

import pytest

from tests.conftest import NewSettings
from tests.stack import Backend, running_backend


@pytest.fixture
async def backend(new_settings: NewSettings) -> AsyncIterator[Backend]:
    with running_backend(await new_settings()) as running, contextlib.suppress(ProcessLookupError):
        yield running
