"""Who may call which route. Every route declares it (``opt=allow("viewer")``); what is not declared is refused.

`app.py` installs `require_access` as the application's guard and calls `verify_routes` on the finished application, so
that a route without a declaration stops the start instead of being found by a stranger.
"""

from typing import Any, Literal

from litestar import Litestar, WebSocket
from litestar.connection import ASGIConnection
from litestar.exceptions import WebSocketException
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler
from litestar.routes import ASGIRoute, BaseRoute, HTTPRoute, WebSocketRoute
from msgspec import Struct

from chatops_backend.accounts.browser_address import take_browser_address
from chatops_backend.accounts.principals import Principal
from chatops_backend.accounts.service import STATE_KEY, AccountService
from chatops_backend.accounts.sockets import authenticate_socket, check_handshake
from chatops_backend.database.time_limits import READ_WITHIN_S, limit_statements
from chatops_backend.problems import ProblemError
from chatops_protocol.live_messages import CLOSE_NOT_FOUND
from chatops_protocol.resources import Role

_KEY = "access"
# How paths name a server: ``{server_id:int}``.
SERVER = "server_id"
Connection = ASGIConnection[Any, Any, Any, Any]


class Access(Struct, frozen=True):
    """`person`: by access token. `person_socket`: by access token in the first message. `agent_socket`: the handler
    itself takes an API key in the first message. `anyone`: public."""

    caller: Literal["anyone", "person", "person_socket", "agent_socket"]
    minimum: Role = "viewer"


def allow(minimum: Role) -> dict[str, Access]:
    """HTTP: people with this role or a higher one."""
    return {_KEY: Access("person", minimum)}


def allow_anyone() -> dict[str, Access]:
    """HTTP: no credential is looked at."""
    return {_KEY: Access("anyone")}


def allow_person_socket(minimum: Role) -> dict[str, Access]:
    """WebSocket: accepted and authenticated before the handler runs, which finds the `Principal` in `socket.user`."""
    return {_KEY: Access("person_socket", minimum)}


def allow_agent() -> dict[str, Access]:
    """WebSocket: the origin is checked before the handler runs; the handler accepts and authenticates."""
    return {_KEY: Access("agent_socket")}


async def require_access(connection: Connection, handler: BaseRouteHandler) -> None:
    """The application's guard."""
    access = declared_access(handler)
    accounts: AccountService = connection.app.state[STATE_KEY]
    take_browser_address(connection, accounts.dashboard_secret)
    if isinstance(connection, WebSocket):
        if access is None or access.caller not in ("person_socket", "agent_socket"):
            raise RuntimeError(f"{handler} declares nobody who may open it")
        if access.caller == "person_socket":
            principal = await authenticate_socket(connection, accounts, access.minimum)
            connection.scope["user"] = principal
            if SERVER in connection.path_params and not principal.servers.sees(connection.path_params[SERVER]):
                raise WebSocketException(detail="there is no such server", code=CLOSE_NOT_FOUND)
        else:
            check_handshake(connection, accounts.origins)
        return
    if access is None or access.caller not in ("anyone", "person"):
        raise ProblemError(403, "Forbidden", "Nobody may call this; its route declares no access.")
    # What changes something is not given up half-way.
    limit_statements(READ_WITHIN_S if connection.scope.get("method") == "GET" else None)
    if access.caller == "person":
        principal = await _authenticate(connection, accounts, access.minimum)
        connection.scope["user"] = principal
        if SERVER in connection.path_params:
            principal.servers.require(connection.path_params[SERVER])


async def optional_person(connection: Connection, accounts: AccountService) -> Principal | None:
    """The caller of a public route, if it sent a good access token."""
    token = _bearer(connection)
    return await accounts.authenticate(token) if token is not None else None


def verify_routes(app: Litestar) -> None:
    """Raise `RuntimeError` naming each route without a declaration, or with one that does not fit its kind."""
    wrong: list[str] = []
    for route in app.routes:
        for handler in route_handlers_of(route):
            access = declared_access(handler)
            fits = ("person_socket", "agent_socket") if isinstance(route, WebSocketRoute) else ("anyone", "person")
            if access is None or access.caller not in fits or require_access not in handler.resolve_guards():
                wrong.append(f"{route.path} ({handler})")
    if wrong:
        raise RuntimeError("these routes do not declare who may call them: " + ", ".join(wrong))


def route_handlers_of(route: BaseRoute) -> list[BaseRouteHandler]:
    if isinstance(route, HTTPRoute):
        return list(route.route_handlers)
    if isinstance(route, WebSocketRoute | ASGIRoute):
        return [route.route_handler]
    raise RuntimeError(f"{route.path} is a route of an unknown kind")


def declared_access(handler: BaseRouteHandler) -> Access | None:
    # Litestar answers OPTIONS itself, with the methods of the path and nothing else.
    if isinstance(handler, HTTPRouteHandler) and handler.fn.__module__.startswith("litestar.routes"):
        return Access("anyone")
    declared = handler.opt.get(_KEY)
    return declared if isinstance(declared, Access) else None


async def _authenticate(connection: Connection, accounts: AccountService, minimum: Role) -> Principal:
    token = _bearer(connection)
    principal = await accounts.authenticate(token) if token is not None else None
    if principal is None:
        raise ProblemError(
            401,
            "Not authenticated",
            "Send `Authorization: Bearer <access token>`; log in or refresh when the token is refused.",
            headers={"WWW-Authenticate": "Bearer"},
        )
    if not principal.may(minimum):
        raise ProblemError(
            403, "Forbidden", f"This needs the role {minimum}; you are {principal.role}. Ask an administrator."
        )
    return principal


def _bearer(connection: Connection) -> str | None:
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None
