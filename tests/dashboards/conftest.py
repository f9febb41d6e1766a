"""The dashboard's application over the real backend, in this process, and a session in it."""

from collections.abc import AsyncIterator

import pytest
from quart import Quart
from quart.typing import TestClientProtocol as Browser

from chatops_client import AsyncClient
from chatops_dashboards.app import create_app
from chatops_dashboards.session import Session
from chatops_dashboards.settings import DashboardSettings
from tests.client.conftest import Reported, backend, reported  # noqa: F401 - fixtures of the same backend
from tests.conftest import ADMIN_PASSWORD, DASHBOARD_SECRET, free_port
from tests.stack import Backend

ORIGIN = {"Origin": "http://localhost", "Host": "localhost"}


@pytest.fixture(scope="session")
def dashboard_settings(backend: Backend) -> DashboardSettings:  # noqa: F811
    return DashboardSettings(port=free_port(), api_url=backend.url, secret=DASHBOARD_SECRET)


@pytest.fixture
async def app(dashboard_settings: DashboardSettings) -> AsyncIterator[Quart]:
    application = create_app(dashboard_settings)
    async with application.test_app():
        yield application


@pytest.fixture
def browser(app: Quart) -> Browser:
    return app.test_client()


@pytest.fixture
async def session(backend: Backend) -> AsyncIterator[Session]:  # noqa: F811
    async with AsyncClient(backend.url) as client:
        user = await client.login("admin", ADMIN_PASSWORD)
        yield Session(user, client, 0.0, 0.0)


class Recorder:
    """Takes what a stream pushes."""

    def __init__(self) -> None:
        self.pushed: list[tuple[object, str, object]] = []

    def __call__(self, component_id: str | dict[str, object], **props: object) -> None:
        self.pushed += [(component_id, name, value) for name, value in props.items()]

    async def settle(self) -> None:
        return

    async def read(self, component_id: str, prop: str) -> object:
        return None

    def values(self, component_id: object, prop: str) -> list[object]:
        return [value for known, name, value in self.pushed if known == component_id and name == prop]


@pytest.fixture
def push() -> Recorder:
    return Recorder()
