"""Sessions that are open: everybody's own under ``/auth/sessions``, anybody's under ``/users/{id}/sessions``.

Ending one closes its sockets within seconds, and commands that it gave are cancelled.
"""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from litestar import Request, delete, get
from litestar.params import PathParameter
from msgspec import Struct

from chatops_backend.accounts import users
from chatops_backend.accounts.access import allow
from chatops_backend.accounts.principals import Principal
from chatops_backend.accounts.service import Accounts, AccountService
from chatops_backend.audit.actor import RequestActor
from chatops_backend.paging import DEFAULT_LIMIT, Cursor, Id, Limit, page, read_cursor
from chatops_protocol.resources import Page, Session

PersonRequest = Request[Principal, Any, Any]
SessionId = Annotated[UUID, PathParameter(description="`id` of the list")]


class _SessionKey(Struct, frozen=True, array_like=True):
    created_at: datetime
    id: UUID


@get("/sessions", opt=allow("viewer"))
async def list_own_sessions(
    request: PersonRequest, accounts: Accounts, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
) -> Page[Session]:
    """The newest first. `current` is the one that asks."""
    return await _page(accounts, request, request.user.user_id, limit, cursor)


@delete("/sessions/{session_id:uuid}", opt=allow("viewer"))
async def end_own_session(
    session_id: SessionId, request: PersonRequest, accounts: Accounts, actor: RequestActor
) -> None:
    """The one that asks, too."""
    await accounts.sessions.revoke(session_id, request.user.user_id, actor)


@delete("/sessions", opt=allow("viewer"))
async def end_other_sessions(request: PersonRequest, accounts: Accounts, actor: RequestActor) -> None:
    """All of the caller's but the one that asks."""
    user = await users.find_user(accounts.database, request.user.user_id)
    await accounts.sessions.revoke_all(user, actor, but=request.user.session_id)


@get("/{user_id:int}/sessions", opt=allow("admin"))
async def list_sessions_of_user(
    user_id: Id, request: PersonRequest, accounts: Accounts, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
) -> Page[Session]:
    await users.find_user(accounts.database, user_id)
    return await _page(accounts, request, user_id, limit, cursor)


@delete("/{user_id:int}/sessions/{session_id:uuid}", opt=allow("admin"))
async def end_session_of_user(user_id: Id, session_id: SessionId, accounts: Accounts, actor: RequestActor) -> None:
    await users.find_user(accounts.database, user_id)
    await accounts.sessions.revoke(session_id, user_id, actor)


@delete("/{user_id:int}/sessions", opt=allow("admin"))
async def end_sessions_of_user(user_id: Id, accounts: Accounts, actor: RequestActor) -> None:
    """All of them."""
    user = await users.find_user(accounts.database, user_id)
    await accounts.sessions.revoke_all(user, actor)


async def _page(
    accounts: AccountService, request: PersonRequest, user_id: int, limit: int, cursor: str | None
) -> Page[Session]:
    before = read_cursor(cursor, _SessionKey)
    rows = await accounts.sessions.living(
        user_id, limit + 1, before.created_at if before else None, before.id if before else None
    )
    found = [
        Session(
            id=row["id"],
            created_at=row["created_at"],
            last_used_at=row["refreshed_at"] or row["created_at"],
            expires_at=row["expires_at"],
            address=row["address"],
            client=row["client"],
            current=row["id"] == request.user.session_id,
        )
        for row in rows
    ]
    return page(found, limit, lambda session: _SessionKey(session.created_at, session.id))


own_handlers: list[Any] = [list_own_sessions, end_own_session, end_other_sessions]
user_handlers: list[Any] = [list_sessions_of_user, end_session_of_user, end_sessions_of_user]
