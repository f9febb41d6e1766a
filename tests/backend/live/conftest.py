"""One running backend for a file of tests."""

from collections.abc import AsyncIterator

import pytest

from tests.conftest import NewSettings
from tests.stack import Backend, running_backend


@pytest.fixture(scope="module")
async def backend(new_settings: NewSettings) -> AsyncIterator[Backend]:
    with running_backend(await new_settings()) as running:
        yield running
