"""Which servers somebody may see and act on: all, or those that an administrator named for them.

One mechanism for every way to a server. A path with ``{server_id:int}``, of a route or a socket, is checked by the
guard. Whatever reaches servers otherwise (lists, filters, ids of alerts or commands) takes the dependency `visible` and
passes `visible.listed` to its query, where NULL means all, or asks `visible.sees`. What is not seen is answered as what
does not exist. Sockets end when what their person may see changes, and start anew (`accounts/sockets.py`).
"""

from typing import Any

from litestar import Request
from litestar.di import NamedDependency
from msgspec import Struct

from chatops_backend.problems import not_found


class VisibleServers(Struct, frozen=True):
    """`ids` is None for all servers, those to come included."""

    ids: frozenset[int] | None = None

    def sees(self, server_id: int) -> bool:
        return self.ids is None or server_id in self.ids

    def require(self, server_id: int) -> None:
        """Raise the 404 of a server that does not exist."""
        if not self.sees(server_id):
            raise not_found("server", server_id)

    @property
    def listed(self) -> list[int] | None:
        """For SQL: ``:visible::integer[] IS NULL OR id = ANY(:visible)``."""
        return sorted(self.ids) if self.ids is not None else None


ALL_SERVERS = VisibleServers()
NO_SERVERS = VisibleServers(frozenset())
Visible = NamedDependency[VisibleServers]


def provide_visible(request: Request[Any, Any, Any]) -> VisibleServers:
    """Litestar dependency `visible` of the whole application: the caller's. Without a log-in nothing is seen."""
    principal = request.scope.get("user")
    servers = getattr(principal, "servers", NO_SERVERS)
    assert isinstance(servers, VisibleServers)
    return servers
