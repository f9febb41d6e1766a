"""Where a host runs whatever it is told, whoever has a second factor shows it again before a command."""

import time
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pyotp
import pytest

from chatops_backend.accounts.service import STATE_KEY
from chatops_backend.app import create_app
from chatops_backend.commands.policies import may_run_shells
from chatops_backend.database.open import open_database

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def settings_and_database(new_settings):
    settings = await new_settings()
    async with open_database(settings) as database:
        yield settings, database


@pytest.fixture
async def server_id(settings_and_database) -> int:
    _, database = settings_and_database
    return await database.fetchval("INSERT INTO chatops.servers (name) VALUES (gen_random_uuid()::text) RETURNING id")


async def statuses(person: Any, server_id: int) -> list[int]:
    one = await person.api.post(f"/commands/{server_id}", json={"argv": ["true"]})
    several = await person.api.post("/commands", json={"argv": ["true"], "server_ids": [server_id]})
    return [one.status_code, several.status_code]


async def test_a_code_of_the_last_five_minutes_is_needed_before_a_command(
    settings_and_database, new_person, server_id
) -> None:
    settings, database = settings_and_database
    person = await new_person("operator", into=create_app(settings, database))
    assert await statuses(person, server_id) == [202, 202]
    enrolled = await person.api.post("/auth/second-factor/enrol", json={"current_password": person.password})
    app = pyotp.TOTP(enrolled.json()["secret"])
    confirmed = await person.api.post("/auth/second-factor/confirm", json={"totp_code": app.at(int(time.time()) - 30)})
    recovery = confirmed.json()["recovery_codes"]
    assert await statuses(person, server_id) == [202, 202]
    await database.execute("UPDATE chatops.sessions SET proved_at = now() - INTERVAL '301 s'")
    stored = await database.fetchval("SELECT count(*) FROM chatops.commands")
    assert await statuses(person, server_id) == [403, 403]
    assert await database.fetchval("SELECT count(*) FROM chatops.commands") == stored
    proof = await person.api.post("/auth/second-factor/prove", json={"totp_code": recovery[0]})
    assert proof.status_code == 204
    assert await statuses(person, server_id) == [202, 202]


async def test_the_setting_demands_a_second_factor_of_everybody(settings_and_database, new_person, server_id) -> None:
    settings, database = settings_and_database
    app = create_app(replace(settings, shell_needs_second_factor=True), database)
    person = await new_person("operator", into=app)
    assert app.state[STATE_KEY].shell_needs_second_factor
    assert await statuses(person, server_id) == [403, 403]
    assert (await person.api.get("/auth/second-factor")).json()["needed_for_shell"] is True


def test_a_host_that_is_not_connected_may_run_shells() -> None:
    agents = [SimpleNamespace(server_id=1, command_policy="shell"), SimpleNamespace(server_id=2, command_policy="off")]
    agents.append(SimpleNamespace(server_id=3, command_policy="allowlist"))
    channel: Any = SimpleNamespace(everyone=lambda: agents)
    assert [may_run_shells(channel, [number]) for number in (1, 2, 3, 4)] == [True, False, False, True]
    assert may_run_shells(channel, [2, 3, 1])
    assert not may_run_shells(channel, [])
