"""Who a session speaks for right now, remembered for at most a second; and when a session's right ends.

The guard asks for every request, sockets are watched here. Whatever ends a session or changes an account tells this
object after it committed; other processes' changes are noticed when the second is over.
"""

import asyncio
import contextlib
from collections.abc import Callable
from uuid import UUID

from msgspec import Struct

from chatops_backend.accounts.visibility import ALL_SERVERS, VisibleServers
from chatops_backend.database.interface import Database, DatabaseUnavailableError
from chatops_backend.database.queries import load_queries
from chatops_protocol.resources import ROLES, Role

REMEMBER_S = 1.0
# With the second above, the limit of 5 s holds for what other processes do as well.
WATCH_EVERY_S = 2.0
MOST_REMEMBERED = 10_000


class Principal(Struct, frozen=True):
    """An authenticated person, within one session."""

    user_id: int
    username: str
    role: Role
    session_id: UUID
    servers: VisibleServers = ALL_SERVERS

    def may(self, minimum: Role) -> bool:
        return ROLES.index(self.role) >= ROLES.index(minimum)


class Principals:
    """`clock` gives seconds that never go back."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock
        self._remembered: dict[UUID, tuple[float, Principal]] = {}
        self._watchers: dict[asyncio.Event, Principal] = {}
        self._generation = 0

    async def current(self, session_id: UUID) -> Principal | None:
        """The session's person with the role of now; None when the session is over or the account disabled."""
        now = self._clock()
        remembered = self._remembered.get(session_id)
        if remembered is not None and now - remembered[0] < REMEMBER_S:
            return remembered[1]
        generation = self._generation
        row = await load_queries("accounts").find_principal(self._database, session_id=session_id)
        if row is None:
            self._remembered.pop(session_id, None)
            return None
        visible = VisibleServers(frozenset(row["servers"])) if row["servers"] is not None else ALL_SERVERS
        principal = Principal(row["user_id"], row["username"], row["role"], session_id, visible)
        # What was read before something changed is not worth remembering.
        if generation == self._generation:
            if len(self._remembered) >= MOST_REMEMBERED:
                self._remembered.clear()
            self._remembered[session_id] = (now, principal)
        return principal

    def sockets_of(self, user_id: int) -> int:
        """How many of the person's sockets are watched here."""
        return sum(principal.user_id == user_id for principal in self._watchers.values())

    def session_changed(self, session_id: UUID) -> None:
        self._forget(lambda principal: principal.session_id == session_id)

    def user_changed(self, user_id: int) -> None:
        self._forget(lambda principal: principal.user_id == user_id)

    async def wait_until_ended(self, principal: Principal, minimum: Role) -> bool:
        """Return once the session is over or its person's role is below `minimum` (true), or what they may see has
        changed (false): at once in this process, within `WATCH_EVERY_S` + `REMEMBER_S` when another one did it."""
        changed = asyncio.Event()
        self._watchers[changed] = principal
        try:
            while True:
                changed.clear()
                try:
                    current = await self.current(principal.session_id)
                except DatabaseUnavailableError:
                    current = principal  # nobody can end a session while the database is away
                if current is None or not current.may(minimum):
                    return True
                if current.servers != principal.servers:
                    return False
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), WATCH_EVERY_S)
        finally:
            del self._watchers[changed]

    def _forget(self, concerns: Callable[[Principal], bool]) -> None:
        self._generation += 1
        for session_id in [key for key, (_, principal) in self._remembered.items() if concerns(principal)]:
            del self._remembered[session_id]
        for changed, principal in self._watchers.items():
            if concerns(principal):
                changed.set()
