"""Routes under ``/servers``. Everybody reads; operators keep descriptions and tags; administrators do the rest.

Names stay with administrators since alerts, scripts and people address servers by them.
"""

from datetime import datetime
from typing import Annotated, Any

import asyncpg
from asyncpg import Record
from litestar import HttpMethod, Request, Router, delete, get, post, route
from litestar.di import NamedDependency, Provide
from litestar.params import FromQuery, JSONBody, QueryParameter
from msgspec import Struct

from chatops_backend.accounts.access import allow
from chatops_backend.accounts.principals import Principal
from chatops_backend.accounts.visibility import Visible
from chatops_backend.audit.actor import RequestActor
from chatops_backend.audit.trail import Target, record
from chatops_backend.database.interface import Database, Executor
from chatops_backend.database.queries import load_queries
from chatops_backend.paging import DEFAULT_LIMIT, Cursor, Id, IdKey, Limit, page, read_cursor, read_id_cursor
from chatops_backend.problems import ProblemError, not_found
from chatops_backend.servers import inventory, key_routes
from chatops_backend.servers.agent_keys import Revocations, provide_key_revocations
from chatops_protocol.resources import (
    ConnectionEvent,
    Page,
    Server,
    ServerStatus,
    UpdateServerRequest,
    WriteServerRequest,
)

TagFilter = Annotated[
    list[str] | None, QueryParameter(name="tag", max_items=32, description="Servers with all these tags")
]
SearchFilter = Annotated[
    str | None, QueryParameter(max_length=200, pattern=r"^[^\x00]*$", description="Text in name or description")
]


class _ConnectionKey(Struct, frozen=True, array_like=True):
    time: datetime
    event: str
    detail: str


@get("/", opt=allow("viewer"))
async def list_servers(
    database: NamedDependency[Database],
    visible: Visible,
    tags: TagFilter = None,
    status: FromQuery[ServerStatus | None] = None,
    search: SearchFilter = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Page[Server]:
    rows = load_queries("servers").list_servers(
        database,
        after=read_id_cursor(cursor),
        tags=[tag.replace("\0", "") for tag in tags or []],
        status=status,
        search=search,
        visible=visible.listed,
        count=limit + 1,
    )
    return page([_server(row) async for row in rows], limit, lambda server: IdKey(server.id))


@post("/", opt=allow("admin"))
async def create_server(
    data: JSONBody[WriteServerRequest], database: NamedDependency[Database], actor: RequestActor
) -> Server:
    async with database.transaction() as transaction:
        server_id = await inventory.create_server(transaction, data, actor)
    return await _find(database, server_id)


@get("/{server_id:int}", opt=allow("viewer"))
async def read_server(server_id: Id, database: NamedDependency[Database]) -> Server:
    return await _find(database, server_id)


@route("/{server_id:int}", http_method=[HttpMethod.PUT, HttpMethod.PATCH], opt=allow("operator"), status_code=200)
async def update_server(
    server_id: Id,
    data: JSONBody[UpdateServerRequest],
    request: Request[Principal, Any, Any],
    database: NamedDependency[Database],
    actor: RequestActor,
) -> Server:
    queries = load_queries("servers")
    try:
        async with database.transaction() as transaction:
            await queries.lock_server(transaction, server_id=server_id)
            before = await _find(transaction, server_id)
            if data.name not in (None, before.name) and not request.user.may("admin"):
                raise ProblemError(
                    403, "Forbidden", "Only administrators rename servers; leave `name` out to change the rest."
                )
            if data.tags is not None and set(data.tags) != set(before.tags) and request.user.servers.ids is not None:
                # A tag decides who sees a server, this person too.
                raise ProblemError(
                    403, "Forbidden", "You see some servers only, so you cannot change tags; leave `tags` out."
                )
            await queries.update_server(
                transaction,
                server_id=server_id,
                name=data.name,
                description=data.description,
                tags=_distinct(data.tags) if data.tags is not None else None,
            )
            server = await _find(transaction, server_id)
            was, now = _settings_of(before), _settings_of(server)
            await record(transaction, actor, "server.update", _target(server), before=was, after=now)
    except asyncpg.UniqueViolationError:
        raise _name_taken(data.name or "") from None
    return server


@delete("/{server_id:int}", opt=allow("admin"))
async def delete_server(
    server_id: Id, database: NamedDependency[Database], key_revocations: Revocations, actor: RequestActor
) -> None:
    queries = load_queries("servers")
    async with database.transaction() as transaction:
        key_ids = [row["id"] async for row in queries.key_ids_of_server(transaction, server_id=server_id)]
        before = await _find(transaction, server_id)
        await queries.delete_server(transaction, server_id=server_id)
        await record(transaction, actor, "server.delete", _target(before), before=_settings_of(before))
    key_revocations.announce(key_ids)


@get("/{server_id:int}/connections", opt=allow("viewer"))
async def list_connections(
    server_id: Id, database: NamedDependency[Database], limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
) -> Page[ConnectionEvent]:
    await _find(database, server_id)
    before = read_cursor(cursor, _ConnectionKey)
    rows = load_queries("servers").list_connections(
        database,
        server_id=server_id,
        before=before.time if before is not None else None,
        event=before.event if before is not None else None,
        detail=before.detail if before is not None else None,
        count=limit + 1,
    )
    events = [
        ConnectionEvent(row["time"], row["server_id"], row["event"], row["detail"], row["address"])
        async for row in rows
    ]
    return page(events, limit, lambda event: _ConnectionKey(event.time, event.event, event.detail))


async def _find(database: Executor, server_id: int) -> Server:
    row = await load_queries("servers").find_server(database, server_id=server_id)
    if row is None:
        raise not_found("server", server_id)
    return _server(row)


def _target(server: Server) -> Target:
    return Target("server", server.id, server.name)


def _settings_of(server: Server) -> dict[str, object]:
    """What people say of a server; the rest is its own doing."""
    return {"name": server.name, "description": server.description, "tags": server.tags}


def _server(row: Record) -> Server:
    return Server(
        id=row["id"],
        name=row["name"],
        description=row["description"],
        tags=row["tags"],
        status=row["status"],
        created_at=row["created_at"],
        last_seen=row["last_seen"],
        agent_version=row["agent_version"],
        platform=row["platform"],
    )


def _distinct(tags: list[str]) -> list[str]:
    return list(dict.fromkeys(tags))


def _name_taken(name: str) -> ProblemError:
    return ProblemError(409, "Name taken", f"There is a server {name} already; choose another name.")


_dependencies = {"key_revocations": Provide(provide_key_revocations, sync_to_thread=False)}
route_handlers = [
    Router(
        "/servers",
        route_handlers=[list_servers, create_server, read_server, update_server, delete_server, list_connections],
        dependencies=_dependencies,
        tags=["servers"],
    ),
    Router("/api-keys", route_handlers=key_routes.handlers, dependencies=_dependencies, tags=["servers"]),
]
