"""Makes servers, and makes and ends the keys of their agents, each with its audit entry in the same transaction.

Used by the routes, the command line and `chatops up`. A key itself is returned once and kept nowhere.
"""

from asyncpg import Record

from chatops_backend.audit.actor import Actor
from chatops_backend.audit.trail import Target, record
from chatops_backend.database.interface import Transaction
from chatops_backend.database.queries import load_queries
from chatops_backend.problems import ProblemError, not_found
from chatops_backend.servers.agent_keys import generate_key, hash_key, hint_of
from chatops_protocol.resources import CreateApiKeyRequest, WriteServerRequest


async def create_server(transaction: Transaction, wanted: WriteServerRequest, actor: Actor) -> int:
    """The new server's id. Raises `ProblemError` 409 when the name is taken."""
    tags = list(dict.fromkeys(wanted.tags))
    server_id: int | None = await load_queries("servers").create_server(
        transaction, name=wanted.name, description=wanted.description, tags=tags, interval_s=wanted.interval_s
    )
    if server_id is None:
        raise ProblemError(409, "Name taken", f"There is a server {wanted.name} already; choose another name.")
    settings = {"name": wanted.name, "description": wanted.description, "tags": tags}
    await record(transaction, actor, "server.create", Target("server", server_id, wanted.name), after=settings)
    return server_id


async def create_api_key(transaction: Transaction, wanted: CreateApiKeyRequest, actor: Actor) -> tuple[Record, str]:
    """The stored key, and the key. Raises `ProblemError` 404 when there is no such server."""
    key = generate_key()
    row: Record | None = await load_queries("servers").create_api_key(
        transaction,
        server_id=wanted.server_id,
        name=wanted.name,
        key_hash=hash_key(key),
        hint=hint_of(key),
        expires_at=wanted.expires_at,
    )
    if row is None:
        raise not_found("server", wanted.server_id)
    await record(transaction, actor, "api_key.create", _target(row), after=_settings(row))
    return row, key


async def deactivate_api_key(transaction: Transaction, key_id: int, actor: Actor) -> Record:
    """End a key for good. Raises `ProblemError` 404."""
    row: Record | None = await load_queries("servers").deactivate_api_key(transaction, key_id=key_id)
    if row is None:
        raise not_found("API key", key_id)
    await record(transaction, actor, "api_key.deactivate", _target(row))
    return row


async def delete_api_key(transaction: Transaction, key_id: int, actor: Actor) -> None:
    """Raises `ProblemError` 404."""
    row: Record | None = await load_queries("servers").delete_api_key(transaction, key_id=key_id)
    if row is None:
        raise not_found("API key", key_id)
    await record(transaction, actor, "api_key.delete", _target(row), before=_settings(row))


def _target(row: Record) -> Target:
    return Target("api_key", row["id"], row["name"], row["server_id"])


def _settings(row: Record) -> dict[str, object]:
    """Enough to tell which key it was."""
    return {name: row[name] for name in ("server_id", "name", "hint", "active", "expires_at")}
