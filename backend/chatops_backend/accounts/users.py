"""Accounts as administrators and the command line manage them; keeps at least one active administrator.

A changed password, a lower role and a disabled account end the person's sessions; a higher role counts at once.
"""

from asyncpg import Record

from chatops_backend.accounts.principals import Principals
from chatops_backend.accounts.service import user_from
from chatops_backend.audit.actor import Actor
from chatops_backend.audit.trail import Target, record, record_alone
from chatops_backend.database.interface import Database, Transaction
from chatops_backend.database.queries import load_queries
from chatops_backend.problems import ProblemError, not_found
from chatops_protocol.resources import ROLES, CreateUserRequest, UpdateUserRequest, User


async def create_user(database: Database, request: CreateUserRequest, password_hash: str, actor: Actor) -> User:
    """Raises `ProblemError` 409 when the name is taken, letter case aside."""
    async with database.transaction() as transaction:
        return await add_user(transaction, request, password_hash, actor)


async def add_user(transaction: Transaction, request: CreateUserRequest, password_hash: str, actor: Actor) -> User:
    await _check_servers(transaction, request.server_ids)
    row = await load_queries("accounts").create_user(
        transaction,
        username=request.username,
        password_hash=password_hash,
        role=request.role,
        display_name=request.display_name,
        all_servers=request.all_servers,
        server_ids=list(dict.fromkeys(request.server_ids)),
        server_tags=list(dict.fromkeys(request.server_tags)),
    )
    if row is None:
        raise ProblemError(409, "Name taken", f"There is a user {request.username} already; choose another name.")
    user = user_from(row)
    await record(transaction, actor, "user.create", _target(user), after=user)
    return user


async def update_user(
    database: Database,
    principals: Principals,
    user_id: int,
    request: UpdateUserRequest,
    password_hash: str | None,
    actor: Actor,
) -> User:
    """Change what the request names.

    Raises `ProblemError`: 404, or 409 for the last active administrator.
    """
    queries = load_queries("accounts")
    async with database.transaction() as transaction:
        before = await _lock(transaction, user_id)
        demoted = request.role is not None and ROLES.index(request.role) < ROLES.index(before["role"])
        disabled = request.active is False and before["active"]
        if demoted or disabled:
            await _require_another_administrator(transaction, before)
        await _check_servers(transaction, request.server_ids or [])
        row = await queries.update_user(
            transaction,
            user_id=user_id,
            role=request.role,
            display_name=request.display_name,
            active=request.active,
            all_servers=request.all_servers,
            server_ids=list(dict.fromkeys(request.server_ids)) if request.server_ids is not None else None,
            server_tags=list(dict.fromkeys(request.server_tags)) if request.server_tags is not None else None,
        )
        if password_hash is not None:
            await queries.set_password(transaction, user_id=user_id, password_hash=password_hash)
        if demoted or disabled or password_hash is not None:
            await queries.revoke_sessions_of_user(
                transaction,
                user_id=user_id,
                because="disabled" if disabled else "the role was lowered" if demoted else "the password was changed",
                except_session=None,
            )
        user = user_from(row)
        await record(
            transaction,
            actor,
            "user.update",
            _target(user),
            before=user_from(before),
            after=user,
            detail="the password was reset" if password_hash is not None else "",
        )
    principals.user_changed(user_id)
    return user


async def require_somebody_else(database: Database, user_id: int, actor: Actor, action: str, instead: str) -> None:
    """An open session alone must not be enough to take its person's account over: what the account's own routes ask a
    password or a code for, an administrator does for others only. Raises `ProblemError` 403, which is recorded."""
    if user_id != actor.user_id:
        return
    target = Target("user", user_id, actor.username)
    await record_alone(database, actor, action, target, result="refused", detail="the own account")
    raise ProblemError(403, "Your own account", f"Administrators do this for others; for yourself use {instead}.")


async def delete_user(database: Database, principals: Principals, user_id: int, actor: Actor) -> None:
    """Raises `ProblemError`: 404, or 409 for the last active administrator."""
    async with database.transaction() as transaction:
        before = await _lock(transaction, user_id)
        await _require_another_administrator(transaction, before)
        await load_queries("accounts").delete_user(transaction, user_id=user_id)
        user = user_from(before)
        await record(transaction, actor, "user.delete", _target(user), before=user)
    principals.user_changed(user_id)


async def find_user(database: Database, user_id: int) -> User:
    row = await load_queries("accounts").find_user(database, user_id=user_id)
    if row is None:
        raise not_found("user", user_id)
    return user_from(row)


async def list_users(database: Database, after: int, count: int) -> list[User]:
    return [user_from(row) async for row in load_queries("accounts").list_users(database, after=after, count=count)]


async def _check_servers(transaction: Transaction, server_ids: list[int]) -> None:
    unknown = await load_queries("alerts").unknown_servers(transaction, server_ids=server_ids)
    if unknown:
        message = f"there is no server {', '.join(map(str, unknown[:10]))}; remove it"
        raise ProblemError(
            400,
            "The request is not valid",
            f"server_ids: {message}.",
            extra=[{"message": message, "key": "server_ids", "source": "body"}],
        )


def _target(user: User) -> Target:
    return Target("user", user.id, user.username)


async def _lock(transaction: Transaction, user_id: int) -> Record:
    """Administrators first and in one order, so that two requests wait for each other instead of blocking."""
    async for _ in load_queries("accounts").lock_administrators(transaction):
        pass
    row: Record | None = await load_queries("accounts").lock_user(transaction, user_id=user_id)
    if row is None:
        raise not_found("user", user_id)
    return row


async def _require_another_administrator(transaction: Transaction, user: Record) -> None:
    if user["role"] != "admin" or not user["active"]:
        return
    administrators = [row["id"] async for row in load_queries("accounts").lock_administrators(transaction)]
    if administrators == [user["id"]]:
        raise ProblemError(
            409,
            "Last administrator",
            f"{user['username']} is the only active administrator; make somebody else one first.",
        )
