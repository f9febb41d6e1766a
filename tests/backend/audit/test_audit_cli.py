"""`chatops audit` on a database that no backend runs on."""

import asyncio
import dataclasses
import os
import pwd

import pytest
from click.testing import CliRunner, Result

from chatops_backend.accounts.cli import user
from chatops_backend.audit.cli import audit
from chatops_backend.database.open import open_database
from chatops_backend.settings import Settings
from tests.backend.audit.tampering import edited


@pytest.fixture
async def own_settings(anyio_backend, new_settings) -> Settings:
    return dataclasses.replace(await new_settings())


@pytest.fixture
def run(own_settings):
    environment = {"CHATOPS_DATA_DIR": str(own_settings.data_dir), "CHATOPS_DATABASE_URL": own_settings.database_url}

    def call(command, *arguments: str) -> Result:
        return CliRunner().invoke(command, arguments, env=environment)

    return call


def test_the_log_is_read_and_checked_and_an_edited_entry_found(run, own_settings) -> None:
    for name in ("ann", "bob"):
        made = run(user, "add", name, "--role", "operator")
        assert made.exit_code == 0, made.output
        password = made.output.split("password: ")[1].strip()
    assert run(user, "change", "bob", "--disable").exit_code == 0
    assert run(user, "second-factor-off", "bob").exit_code == 1

    listed = run(audit, "list")
    assert [line.split()[0] for line in listed.output.splitlines()] == ["id", "3", "2", "1"]
    assert "user.update" in listed.output
    assert pwd.getpwuid(os.getuid()).pw_name in listed.output
    assert password not in listed.output
    assert [line.split()[0] for line in run(audit, "list", "--action", "user.create").output.splitlines()][1:] == [
        "2",
        "1",
    ]

    head = run(audit, "head").output.strip()
    assert head.startswith("3:")
    checked = run(audit, "verify", "--expect", head)
    assert (checked.exit_code, "3 entries" in checked.output) == (0, True)
    assert run(audit, "verify", "--expect", "nonsense").exit_code == 2

    async def tamper() -> None:
        async with open_database(own_settings) as database:
            await edited(database, "UPDATE chatops.audit_log SET username = 'eve' WHERE id = 2")

    asyncio.run(tamper())
    broken = run(audit, "verify")
    assert broken.exit_code == 1
    assert "broken at entry 2: this entry was changed after it was written" in broken.output
