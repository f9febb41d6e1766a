"""Who acts, as the audit log names it. Routes get theirs as the dependency `actor`; it is never read from a body."""

import os
import pwd
from typing import Any, Literal
from uuid import UUID

from litestar import Request
from litestar.di import NamedDependency
from msgspec import Struct

from chatops_backend.accounts.principals import Principal
from chatops_protocol.resources import Role

Kind = Literal["person", "nobody", "command_line", "system"]


class Actor(Struct, frozen=True):
    """`nobody`: without a log-in. `command_line`: whoever could reach the database. `system`: the backend itself."""

    kind: Kind
    username: str = ""
    user_id: int | None = None
    role: Role | None = None
    session_id: UUID | None = None
    address: str | None = None


SYSTEM = Actor("system")
RequestActor = NamedDependency[Actor]


def provide_actor(request: Request[Any, Any, Any]) -> Actor:
    """Litestar dependency `actor` of the whole application: the person whom the guard let in, or nobody."""
    principal = request.scope.get("user")
    return actor_of(principal if isinstance(principal, Principal) else None, address_of(request))


def actor_of(principal: Principal | None, address: str | None) -> Actor:
    if principal is None:
        return Actor("nobody", address=address)
    return Actor("person", principal.username, principal.user_id, principal.role, principal.session_id, address=address)


def command_line() -> Actor:
    """The account of the operating system that runs this process."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = f"uid {os.getuid()}"
    return Actor("command_line", name)


def address_of(request: Request[Any, Any, Any]) -> str | None:
    """The browser's behind the dashboard, as the guard found it, else the peer's own."""
    return request.client.host if request.client is not None else None
