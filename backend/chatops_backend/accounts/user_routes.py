"""Routes under ``/users``, for administrators."""

from litestar import HttpMethod, delete, get, post, route
from litestar.params import JSONBody

from chatops_backend.accounts import users
from chatops_backend.accounts.access import allow
from chatops_backend.accounts.service import Accounts
from chatops_backend.audit.actor import RequestActor
from chatops_backend.paging import DEFAULT_LIMIT, Cursor, Id, IdKey, Limit, page, read_id_cursor
from chatops_protocol.resources import CreateUserRequest, Page, UpdateUserRequest, User


@get("/", opt=allow("admin"))
async def list_users(accounts: Accounts, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None) -> Page[User]:
    after = read_id_cursor(cursor)
    return page(await users.list_users(accounts.database, after, limit + 1), limit, lambda user: IdKey(user.id))


@post("/", opt=allow("admin"))
async def create_user(data: JSONBody[CreateUserRequest], accounts: Accounts, actor: RequestActor) -> User:
    return await users.create_user(accounts.database, data, await accounts.hash_password(data.password), actor)


@get("/{user_id:int}", opt=allow("admin"))
async def read_user(user_id: Id, accounts: Accounts) -> User:
    return await users.find_user(accounts.database, user_id)


@route("/{user_id:int}", http_method=[HttpMethod.PUT, HttpMethod.PATCH], opt=allow("admin"), status_code=200)
async def update_user(
    user_id: Id,
    data: JSONBody[UpdateUserRequest],
    accounts: Accounts,
    actor: RequestActor,
) -> User:
    """A password of one's own is changed by ``/auth/change-password``, which asks for the current one."""
    password_hash = None
    if data.password is not None:
        instead = "`POST /auth/change-password`"
        await users.require_somebody_else(accounts.database, user_id, actor, "user.update", instead)
        password_hash = await accounts.hash_password(data.password)
    return await users.update_user(accounts.database, accounts.principals, user_id, data, password_hash, actor)


@delete("/{user_id:int}", opt=allow("admin"))
async def delete_user(user_id: Id, accounts: Accounts, actor: RequestActor) -> None:
    await users.delete_user(accounts.database, accounts.principals, user_id, actor)


handlers = [list_users, create_user, read_user, update_user, delete_user]
