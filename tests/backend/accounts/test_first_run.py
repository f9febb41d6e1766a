"""The first administrator: one, ever, whoever starts and how often; and the command line's functions."""

import asyncio
from dataclasses import replace

import msgspec
import pytest

from chatops_backend.accounts import first_run
from chatops_backend.audit.actor import SYSTEM
from chatops_backend.database.open import open_database
from chatops_backend.problems import ProblemError
from chatops_backend.settings import SettingsError

pytestmark = pytest.mark.anyio


@pytest.fixture
async def fresh(new_settings):
    settings = replace(await new_settings(), admin_password=None)
    async with open_database(settings) as database:
        yield database, settings


async def stored(database) -> list[tuple[str, str]]:
    rows = await database.fetch("SELECT username, role FROM chatops.users")
    return [(row["username"], row["role"]) for row in rows]


async def test_starts_at_once_make_one_administrator_with_one_password(fresh, passwords, build_app, client_of) -> None:
    database, settings = fresh
    starts = (first_run.ensure_first_administrator(database, settings, passwords) for _ in range(8))
    shown = [password for password in await asyncio.gather(*starts) if password is not None]
    assert len(shown) == 1
    assert len(shown[0]) >= 20
    assert await stored(database) == [("admin", "admin")]
    assert await first_run.ensure_first_administrator(database, settings, passwords) is None
    async with client_of(build_app(database, settings)) as client:
        login = {"username": "admin", "password": shown[0]}
        assert (await client.post("/auth/login", json=login)).json()["user"]["role"] == "admin"
    # Nobody is made administrator because the only one was renamed or removed from the settings' name.
    renamed = replace(settings, admin_username="other", admin_password="another long password")
    assert await first_run.ensure_first_administrator(database, renamed, passwords) is None
    assert await stored(database) == [("admin", "admin")]


async def test_the_settings_name_and_password_are_used_and_not_shown(fresh, passwords) -> None:
    database, settings = fresh
    for wrong in ({"admin_password": "short"}, {"admin_username": "with space", "admin_password": None}):
        with pytest.raises(SettingsError, match="CHATOPS_ADMIN_"):
            await first_run.ensure_first_administrator(database, replace(settings, **wrong), passwords)
    assert await stored(database) == []
    good = replace(settings, admin_username="root@example", admin_password="from the settings")
    assert await first_run.ensure_first_administrator(database, good, passwords) is None
    assert await stored(database) == [("root@example", "admin")]


async def test_the_command_line_creates_lists_and_resets(database, viewer, anonymous, unique_name) -> None:
    user = await first_run.create_user(database, unique_name, "a long enough one", "operator", SYSTEM)
    assert user in await first_run.list_users(database)
    with pytest.raises(ProblemError, match="choose another name"):
        await first_run.create_user(database, unique_name, "a long enough one", "operator", SYSTEM)
    with pytest.raises(msgspec.ValidationError):
        await first_run.create_user(database, unique_name + "2", "short", "operator", SYSTEM)

    assert await first_run.set_password(database, viewer.username, "set on the command line", SYSTEM)
    assert not await first_run.set_password(database, "nobody-of-that-name", "set on the command line", SYSTEM)
    with pytest.raises(msgspec.ValidationError):
        await first_run.set_password(database, viewer.username, "short", SYSTEM)
    refused = await anonymous.post("/auth/refresh", json={"refresh_token": viewer.refresh_token})
    assert refused.status_code == 401
    login = {"username": viewer.username, "password": "set on the command line"}
    assert (await anonymous.post("/auth/login", json=login)).status_code == 200
