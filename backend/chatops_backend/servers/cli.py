"""The commands `chatops server-add` and `chatops key`, for whoever can reach the database. A key is printed once."""

from datetime import UTC, datetime, timedelta

import click
from msgspec import convert

from chatops_backend.audit.actor import command_line
from chatops_backend.commands.signing import OrderSigner
from chatops_backend.database.interface import Database, Transaction
from chatops_backend.database.queries import load_queries
from chatops_backend.problems import ProblemError
from chatops_backend.servers import inventory
from chatops_backend.settings import Settings, address_of, known_secret_key
from chatops_backend.terminal import print_table, with_database
from chatops_protocol.resources import CreateApiKeyRequest, WriteServerRequest

_only_key = click.option("--key-only", is_flag=True, help="Print the key and nothing else, for scripts.")


@click.command("server-add")
@click.argument("name")
@click.option("--description", default="")
@click.option("--tag", "tags", multiple=True, help="May be given several times.")
@_only_key
def server_add(name: str, description: str, tags: tuple[str, ...], key_only: bool) -> None:
    """Add a server called NAME and print the key for its agent, once."""

    async def work(database: Database) -> str:
        wanted = convert({"name": name, "description": description, "tags": tags}, WriteServerRequest)
        async with database.transaction() as transaction:
            server_id = await inventory.create_server(transaction, wanted, command_line())
            return await _make_key(transaction, server_id, "agent", None)

    key = with_database(work)
    _show(key, key_only, f"{name} is added. On that host, with its key in the file agent_key (mode 0600):")


@click.group()
def key() -> None:
    """Add, list and revoke the keys of agents."""


@key.command("add")
@click.argument("server")
@click.option("--name", default="agent", show_default=True)
@click.option("--days", type=click.IntRange(1, 36500), help="The key ends after this many days.")
@_only_key
def add(server: str, name: str, days: int | None, key_only: bool) -> None:
    """Make a key for the agent of SERVER (its name) and print it, once."""

    async def work(database: Database) -> str:
        expires_at = datetime.now(UTC) + timedelta(days=days) if days is not None else None
        server_id = await _server_id(database, server)
        async with database.transaction() as transaction:
            return await _make_key(transaction, server_id, name, expires_at)

    _show(with_database(work), key_only, f"A key for {server} is made. With it in the file agent_key (mode 0600):")


@key.command("list")
@click.argument("server", required=False)
def list_all(server: str | None) -> None:
    """The keys of SERVER, or all. Of a key only its beginning is known."""

    async def work(database: Database) -> list[tuple[object, ...]]:
        server_id = None if server is None else await _server_id(database, server)
        rows = load_queries("servers").list_api_keys(database, after=0, server_id=server_id, count=100_000)
        return [
            (
                row["id"],
                row["server_id"],
                row["name"],
                f"{row['hint']}…",
                "active" if row["active"] else "revoked",
                _moment(row["expires_at"]),
                _moment(row["last_used_at"]),
            )
            async for row in rows
        ]

    print_table(("id", "server", "name", "key", "state", "expires", "last used"), with_database(work))


@key.command("revoke")
@click.argument("key_id", type=click.IntRange(1))
def revoke(key_id: int) -> None:
    """End the key with the id KEY_ID for good. A running backend closes its connection within seconds."""

    async def work(database: Database) -> None:
        async with database.transaction() as transaction:
            await inventory.deactivate_api_key(transaction, key_id, command_line())

    with_database(work)
    click.echo(f"key {key_id} is revoked")


async def _make_key(transaction: Transaction, server_id: int, name: str, expires_at: datetime | None) -> str:
    wanted = convert({"server_id": server_id, "name": name, "expires_at": expires_at}, CreateApiKeyRequest)
    return (await inventory.create_api_key(transaction, wanted, command_line()))[1]


async def _server_id(database: Database, name: str) -> int:
    found: int | None = await load_queries("servers").find_server_by_name(database, name=name)
    if found is None:
        raise ProblemError(404, "Not found", f"there is no server {name}; `chatops server-add {name!r}` adds it")
    return found


def _show(made: str, key_only: bool, introduction: str) -> None:
    if key_only:
        click.echo(made)
        return
    settings = Settings.from_environment()
    secret = known_secret_key(settings)
    command_key = f"CHATOPS_COMMAND_KEY={OrderSigner(secret).shown_public_key} " if secret is not None else ""
    address = settings.api_url or address_of(settings.host, settings.port)
    click.echo(
        f"{introduction}\n"
        f"  python3 -m venv chatops && chatops/bin/pip install {address}{_wheel_path()}\n"
        f"  {command_key}CHATOPS_API_URL={address} CHATOPS_API_KEY_FILE=agent_key chatops/bin/chatops agent\n"
        f"key (shown only now): {made}"
    )


def _wheel_path() -> str:
    from chatops_backend.agent_wheel.build import agent_wheel

    return f"/api/v1/agent/wheel/{agent_wheel().filename}"


def _moment(time: datetime | None) -> str:
    return "" if time is None else f"{time.astimezone(UTC):%Y-%m-%d %H:%M}Z"
