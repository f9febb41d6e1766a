"""`chatops user`, `key` and `server-add`, run as a person runs them, on a database of their own."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from click.testing import CliRunner, Result

from chatops_backend.accounts.passwords import Passwords
from chatops_backend.database.open import open_database
from chatops_backend.database.queries import load_queries
from chatops_backend.servers.agent_keys import identify_agent
from chatops_backend.settings import Settings
from chatops_cli import main

pytestmark = pytest.mark.anyio

Chatops = Callable[..., Awaitable[Result]]


@pytest.fixture(scope="module")
async def own(new_settings) -> Settings:
    return await new_settings()


@pytest.fixture
def chatops(own: Settings) -> Chatops:
    environment = {"CHATOPS_DATA_DIR": str(own.data_dir), "CHATOPS_DATABASE_URL": own.database_url}

    async def run(*arguments: str, stdin: str | None = None) -> Result:
        # In a thread: the command runs an event loop of its own.
        return await asyncio.to_thread(CliRunner().invoke, main, arguments, input=stdin, env=environment)

    return run


async def test_an_added_user_can_log_in_with_the_password_that_was_printed(own: Settings, chatops: Chatops) -> None:
    added = await chatops("user", "add", "ann", "--role", "operator")
    assert added.exit_code == 0, added.output
    password = added.output.partition("password: ")[2].strip()
    assert await accepts(own, "ann", password)
    assert "operator" in (await chatops("user", "list")).output
    again = await chatops("user", "add", "ann")
    assert again.exit_code == 1
    assert again.stderr.count("\n") == 1


async def test_a_password_comes_from_a_file_or_standard_input(own: Settings, chatops: Chatops) -> None:
    await chatops("user", "add", "bob")
    done = await chatops("user", "set-password", "bob", "--password-file", "-", stdin="a long enough password\n")
    assert done.exit_code == 0, done.output
    assert "password: " not in done.output
    assert await accepts(own, "bob", "a long enough password")
    short = await chatops("user", "set-password", "bob", "--password-file", "-", stdin="short\n")
    assert short.exit_code == 2
    assert (await chatops("user", "set-password", "nobody")).exit_code == 1


async def test_a_disabled_user_is_listed_as_such_and_the_last_administrator_stays(chatops: Chatops) -> None:
    await chatops("user", "add", "root", "--role", "admin")
    await chatops("user", "add", "cyd")
    changed = await chatops("user", "change", "cyd", "--role", "operator", "--disable")
    assert changed.output == "cyd: role operator, disabled\n"
    refused = await chatops("user", "change", "root", "--disable")
    assert refused.exit_code == 1
    assert "only active administrator" in refused.stderr
    assert (await chatops("user", "change", "cyd")).exit_code == 2


async def test_the_key_of_an_added_server_is_good_until_it_is_revoked(own: Settings, chatops: Chatops) -> None:
    added = await chatops("server-add", "web 1", "--tag", "web", "--key-only")
    assert added.exit_code == 0, added.output
    key = added.output.strip()
    second = (await chatops("key", "add", "web 1", "--days", "3", "--key-only")).output.strip()
    assert await server_of(own, key) == await server_of(own, second) == "web 1"
    listed = (await chatops("key", "list", "web 1")).output
    assert key not in listed
    assert key[:18] in listed
    revoked = await chatops("key", "revoke", "1")
    assert revoked.exit_code == 0, revoked.output
    assert await server_of(own, key) is None
    assert await server_of(own, second) == "web 1"


async def test_wrong_names_are_refused_in_one_line(chatops: Chatops) -> None:
    await chatops("server-add", "twice")
    for arguments in (
        ("server-add", "twice"),
        ("key", "add", "absent"),
        ("key", "list", "absent"),
        ("key", "revoke", "999"),
    ):
        refused = await chatops(*arguments)
        assert refused.exit_code == 1, arguments
        assert refused.stderr.count("\n") == 1
    assert (await chatops("server-add", " ")).exit_code == 2


async def test_a_database_without_schema_names_the_remedy(new_settings) -> None:
    empty = await new_settings(migrated=False)
    environment = {"CHATOPS_DATA_DIR": str(empty.data_dir), "CHATOPS_DATABASE_URL": empty.database_url}
    refused = await asyncio.to_thread(CliRunner().invoke, main, ["user", "list"], env=environment)
    assert refused.exit_code == 1
    assert "chatops migrate" in refused.stderr


async def accepts(settings: Settings, username: str, password: str) -> bool:
    passwords = Passwords(threads=1, queue=1)
    try:
        async with open_database(settings) as database:
            found = await load_queries("accounts").find_user_for_login(database, username=username)
            return await passwords.verify(found["password_hash"], password)
    finally:
        passwords.close()


async def server_of(settings: Settings, key: str) -> str | None:
    async with open_database(settings) as database:
        identity = await identify_agent(database, key)
        return None if identity is None else identity.server_name
