"""Routes under ``/views``: what people keep of the dashboard for themselves. Everybody has their own and reaches no
other's, administrators neither: another's view is not there."""

from typing import Any

import asyncpg
import msgspec
from asyncpg import Record
from litestar import Request, Router, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import JSONBody

from chatops_backend.accounts.access import allow
from chatops_backend.accounts.principals import Principal
from chatops_backend.audit.actor import RequestActor
from chatops_backend.audit.trail import Target, record
from chatops_backend.database.interface import Database, Transaction
from chatops_backend.database.queries import load_queries
from chatops_backend.paging import DEFAULT_LIMIT, Cursor, Id, IdKey, Limit, page, read_id_cursor
from chatops_backend.problems import ProblemError, not_found
from chatops_protocol.resources import Page
from chatops_protocol.view_resources import MOST_QUERY_BYTES, MOST_VIEWS, SavedView, WriteViewRequest

PersonRequest = Request[Principal, Any, Any]


@get("/", opt=allow("viewer"))
async def list_views(
    request: PersonRequest, database: NamedDependency[Database], limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
) -> Page[SavedView]:
    """The caller's own."""
    rows = load_queries("views").list_views(
        database, user_id=request.user.user_id, after=read_id_cursor(cursor), count=limit + 1
    )
    return page([_view(row) async for row in rows], limit, lambda view: IdKey(view.id))


@post("/", opt=allow("viewer"))
async def create_view(
    data: JSONBody[WriteViewRequest],
    request: PersonRequest,
    database: NamedDependency[Database],
    actor: RequestActor,
) -> SavedView:
    queries, user_id, encoded = load_queries("views"), request.user.user_id, _encoded(data)
    async with database.transaction() as transaction:
        await queries.lock_owner(transaction, user_id=user_id)
        if await queries.count_views(transaction, user_id=user_id) >= MOST_VIEWS:
            raise ProblemError(409, "Too many views", f"You have {MOST_VIEWS} views; delete one that you need no more.")
        row = await queries.create_view(transaction, user_id=user_id, name=data.name, query=encoded)
        if row is None:
            raise _taken(data.name)
        await record(transaction, actor, "view.create", _target(row), after=data)
    return _view(row)


@get("/{view_id:int}", opt=allow("viewer"))
async def read_view(view_id: Id, request: PersonRequest, database: NamedDependency[Database]) -> SavedView:
    row = await load_queries("views").find_view(database, view_id=view_id, user_id=request.user.user_id)
    if row is None:
        raise not_found("view", view_id)
    return _view(row)


@put("/{view_id:int}", opt=allow("viewer"))
async def replace_view(
    view_id: Id,
    data: JSONBody[WriteViewRequest],
    request: PersonRequest,
    database: NamedDependency[Database],
    actor: RequestActor,
) -> SavedView:
    """Name and query anew."""
    encoded = _encoded(data)
    try:
        async with database.transaction() as transaction:
            before = await _lock(transaction, view_id, request.user.user_id)
            row = await load_queries("views").update_view(transaction, view_id=view_id, name=data.name, query=encoded)
            await record(transaction, actor, "view.update", _target(row), before=_view(before), after=_view(row))
    except asyncpg.UniqueViolationError:
        raise _taken(data.name) from None
    return _view(row)


@delete("/{view_id:int}", opt=allow("viewer"))
async def delete_view(
    view_id: Id, request: PersonRequest, database: NamedDependency[Database], actor: RequestActor
) -> None:
    async with database.transaction() as transaction:
        before = await _lock(transaction, view_id, request.user.user_id)
        await load_queries("views").delete_view(transaction, view_id=view_id)
        await record(transaction, actor, "view.delete", _target(before), before=_view(before))


async def _lock(transaction: Transaction, view_id: int, user_id: int) -> Record:
    row: Record | None = await load_queries("views").lock_view(transaction, view_id=view_id, user_id=user_id)
    if row is None:
        raise not_found("view", view_id)
    return row


def _encoded(data: WriteViewRequest) -> str:
    encoded = msgspec.json.encode(data.query)
    if len(encoded) > MOST_QUERY_BYTES:
        message = f"has {len(encoded)} bytes as JSON, the most is {MOST_QUERY_BYTES}"
        raise ProblemError(
            400,
            "The request is not valid",
            f"Shorten query: it {message}.",
            extra=[{"message": message, "key": "query", "source": "body"}],
        )
    return encoded.decode()


def _taken(name: str) -> ProblemError:
    return ProblemError(409, "Name taken", f"You have a view {name!r} already; choose another name.")


def _target(row: Record) -> Target:
    return Target("view", row["id"], row["name"])


def _view(row: Record) -> SavedView:
    return SavedView(
        id=row["id"],
        name=row["name"],
        query=msgspec.json.decode(row["query"], type=dict[str, str]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


route_handlers: list[Any] = [
    Router("/views", route_handlers=[list_views, create_view, read_view, replace_view, delete_view])
]
