"""Routes under ``/api-keys``, for administrators. A key is in one answer, that of its creation, and nowhere else."""

from datetime import UTC, datetime

from asyncpg import Record
from litestar import delete, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from chatops_backend.accounts.access import allow
from chatops_backend.audit.actor import RequestActor
from chatops_backend.commands.signing import OrderSigner
from chatops_backend.database.interface import Database
from chatops_backend.database.queries import load_queries
from chatops_backend.paging import DEFAULT_LIMIT, Cursor, Id, IdFilter, IdKey, Limit, page, read_id_cursor
from chatops_backend.problems import ProblemError
from chatops_backend.servers import inventory
from chatops_backend.servers.agent_keys import Revocations
from chatops_backend.settings import Settings, load_or_create_secret_key
from chatops_protocol.resources import ApiKey, CreateApiKeyRequest, CreatedApiKey, Page


@get("/", opt=allow("admin"))
async def list_api_keys(
    database: NamedDependency[Database],
    server_id: IdFilter = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Page[ApiKey]:
    rows = load_queries("servers").list_api_keys(
        database, after=read_id_cursor(cursor), server_id=server_id, count=limit + 1
    )
    return page([_api_key(row) async for row in rows], limit, lambda key: IdKey(key.id))


@post("/", opt=allow("admin"))
async def create_api_key(
    data: JSONBody[CreateApiKeyRequest],
    database: NamedDependency[Database],
    settings: NamedDependency[Settings],
    actor: RequestActor,
) -> CreatedApiKey:
    if data.expires_at is not None and data.expires_at <= datetime.now(UTC):
        raise ProblemError(
            400,
            "The request is not valid",
            "Choose an `expires_at` in the future, or leave it out for a key that does not expire.",
            extra=[{"message": "is in the past", "key": "expires_at", "source": "body"}],
        )
    async with database.transaction() as transaction:
        row, key = await inventory.create_api_key(transaction, data, actor)
    return CreatedApiKey(
        id=row["id"],
        server_id=row["server_id"],
        name=row["name"],
        hint=row["hint"],
        active=row["active"],
        created_at=row["created_at"],
        key=key,
        expires_at=row["expires_at"],
        command_key=OrderSigner(load_or_create_secret_key(settings)).shown_public_key,
    )


@post("/{key_id:int}/deactivate", opt=allow("admin"), status_code=200)
async def deactivate_api_key(
    key_id: Id, database: NamedDependency[Database], key_revocations: Revocations, actor: RequestActor
) -> ApiKey:
    async with database.transaction() as transaction:
        row = await inventory.deactivate_api_key(transaction, key_id, actor)
    key_revocations.announce([key_id])
    return _api_key(row)


@delete("/{key_id:int}", opt=allow("admin"))
async def delete_api_key(
    key_id: Id, database: NamedDependency[Database], key_revocations: Revocations, actor: RequestActor
) -> None:
    async with database.transaction() as transaction:
        await inventory.delete_api_key(transaction, key_id, actor)
    key_revocations.announce([key_id])


def _api_key(row: Record) -> ApiKey:
    return ApiKey(
        id=row["id"],
        server_id=row["server_id"],
        name=row["name"],
        hint=row["hint"],
        active=row["active"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        last_used_at=row["last_used_at"],
    )


handlers = [list_api_keys, create_api_key, deactivate_api_key, delete_api_key]
