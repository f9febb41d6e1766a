"""One database for a file's tests of alerts, emptied before each; receivers on loopback."""

from collections.abc import AsyncIterator

import pytest

from chatops_backend.database.interface import Database
from chatops_backend.database.open import open_database
from chatops_backend.settings import Settings
from tests.backend.alerts.alerting import Alerting
from tests.backend.alerts.fleet import Fleet
from tests.backend.alerts.sinks import HttpSink, SmtpSink, running
from tests.conftest import NewSettings


@pytest.fixture(scope="module")
async def alert_settings(new_settings: NewSettings) -> Settings:
    return await new_settings()


@pytest.fixture(scope="module")
async def alert_database(alert_settings: Settings) -> AsyncIterator[Database]:
    async with open_database(alert_settings) as database:
        yield database


@pytest.fixture
async def alerting(alert_database: Database, alert_settings: Settings) -> Alerting:
    await alert_database.execute("DELETE FROM chatops.thresholds")
    await alert_database.execute("DELETE FROM chatops.channels")
    await alert_database.execute("DELETE FROM chatops.silences")
    return Alerting(alert_database, alert_settings)


@pytest.fixture
async def sink() -> AsyncIterator[HttpSink]:
    async with running(HttpSink()) as started:
        yield started


@pytest.fixture
async def mailbox() -> AsyncIterator[SmtpSink]:
    async with running(SmtpSink()) as started:
        yield started


@pytest.fixture
async def fleet(new_settings: NewSettings) -> AsyncIterator[Fleet]:
    """Servers, rules and readings in a database of their own."""
    async with open_database(await new_settings()) as database:
        yield Fleet(database)
