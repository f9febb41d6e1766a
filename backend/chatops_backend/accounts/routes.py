"""Routes under ``/auth``: log-in and what people do with their own account."""

from typing import Any

from litestar import Request, Router, get, post, put
from litestar.params import JSONBody

from chatops_backend.accounts import second_factor_routes, session_routes, user_routes, users
from chatops_backend.accounts.access import allow, allow_anyone, optional_person
from chatops_backend.accounts.principals import Principal
from chatops_backend.accounts.service import Accounts
from chatops_backend.audit.actor import RequestActor, actor_of, address_of
from chatops_protocol.resources import (
    ChangePasswordRequest,
    LoginRequest,
    LogoutRequest,
    RefreshRequest,
    TokenPair,
    UpdateMeRequest,
    UpdateUserRequest,
    User,
)

MOST_CLIENT = 200
PersonRequest = Request[Principal, Any, Any]


@post("/login", opt=allow_anyone(), status_code=200)
async def login(
    data: JSONBody[LoginRequest], request: Request[Any, Any, Any], accounts: Accounts, actor: RequestActor
) -> TokenPair:
    return await accounts.login(data.username, data.password, data.totp_code, actor, _client(request))


@post("/refresh", opt=allow_anyone(), status_code=200)
async def refresh(data: JSONBody[RefreshRequest], accounts: Accounts, actor: RequestActor) -> TokenPair:
    return await accounts.refresh(data.refresh_token, actor)


# Public, since a person whose access token just expired must be able to log out: either token is the credential.
@post("/logout", opt=allow_anyone(), status_code=204)
async def logout(
    request: Request[Any, Any, Any], accounts: Accounts, data: JSONBody[LogoutRequest | None] = None
) -> None:
    principal = await optional_person(request, accounts)
    await accounts.logout(
        principal, data.refresh_token if data is not None else None, actor_of(principal, address_of(request))
    )


@post("/change-password", opt=allow("viewer"), status_code=204)
async def change_password(
    data: JSONBody[ChangePasswordRequest], request: PersonRequest, accounts: Accounts, actor: RequestActor
) -> None:
    await accounts.change_password(request.user, data.current_password, data.new_password, actor)


@get("/me", opt=allow("viewer"))
async def read_me(request: PersonRequest, accounts: Accounts) -> User:
    return await users.find_user(accounts.database, request.user.user_id)


@put("/me", opt=allow("viewer"))
async def update_me(
    data: JSONBody[UpdateMeRequest], request: PersonRequest, accounts: Accounts, actor: RequestActor
) -> User:
    user_id, change = request.user.user_id, UpdateUserRequest(display_name=data.display_name)
    return await users.update_user(accounts.database, accounts.principals, user_id, change, None, actor)


def _client(request: Request[Any, Any, Any]) -> str:
    said = request.headers.get("user-agent", "")
    return "".join(letter for letter in said if letter.isprintable())[:MOST_CLIENT]


route_handlers = [
    Router(
        "/auth",
        route_handlers=[
            login,
            refresh,
            logout,
            change_password,
            read_me,
            update_me,
            *session_routes.own_handlers,
            *second_factor_routes.own_handlers,
        ],
        tags=["accounts"],
    ),
    Router(
        "/users",
        route_handlers=[*user_routes.handlers, *session_routes.user_handlers, *second_factor_routes.user_handlers],
        tags=["accounts"],
    ),
]
