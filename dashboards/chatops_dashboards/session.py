"""Who is logged in: opaque session ids in a cookie, tokens in this process's memory and nowhere else.

A session ends by logout, idleness, age, or when the backend refuses its refresh token; its sockets end with it.
Sessions die with the process: people log in again after a restart.
"""

import asyncio
import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any

from quart import g, has_websocket_context, request, websocket

from chatops_client import AsyncClient
from chatops_dashboards.moments import ZONE_COOKIE, zone_named
from chatops_protocol.resources import User

IDLE_S = 12 * 3600.0
LONGEST_S = 7 * 86400.0
MOST_SESSIONS = 10_000


class SessionEndedError(Exception):
    """The session is over: log in again."""


@dataclass(eq=False)
class Session:
    """`csrf` belongs to forms that change something; `shared` keeps what its live views share."""

    user: User
    client: AsyncClient
    created_at: float
    seen_at: float
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    shared: dict[str, Any] = field(default_factory=dict)
    clock: Callable[[], float] = time.monotonic

    def touch(self) -> None:
        """A live view counts as activity: a wall display never goes idle."""
        self.seen_at = self.clock()

    @property
    def is_admin(self) -> bool:
        return self.user.role == "admin"

    @property
    def may_act(self) -> bool:
        """Operators and administrators; viewers look."""
        return self.user.role in ("operator", "admin")


class SessionStore:
    """Sessions by the hash of their id, so that a dump of the store holds nothing a cookie could carry."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._sessions: dict[bytes, Session] = {}

    def create(self, user: User, client: AsyncClient) -> str:
        """Start a session and return its id for the cookie."""
        self._drop_expired()
        if len(self._sessions) >= MOST_SESSIONS:
            self._end(min(self._sessions, key=lambda key: self._sessions[key].seen_at))
        session_id = secrets.token_urlsafe(32)
        now = self._clock()
        self._sessions[_key(session_id)] = Session(user, client, now, now, clock=self._clock)
        return session_id

    def find(self, session_id: str | None) -> Session | None:
        """The living session of that id; looking counts as activity."""
        if not session_id:
            return None
        key = _key(session_id)
        session = self._sessions.get(key)
        if session is None:
            return None
        now = self._clock()
        if session.ended.is_set() or self._expired(session, now):
            self._end(key)
            return None
        session.seen_at = now
        return session

    def end(self, session: Session) -> None:
        """Forget a session and wake whoever waits for its end."""
        session.ended.set()
        for key in [key for key, value in self._sessions.items() if value is session]:
            self._end(key)

    def __len__(self) -> int:
        return len(self._sessions)

    def _expired(self, session: Session, now: float) -> bool:
        return now - session.seen_at > IDLE_S or now - session.created_at > LONGEST_S

    def _drop_expired(self) -> None:
        now = self._clock()
        for key in [key for key, session in self._sessions.items() if self._expired(session, now)]:
            self._end(key)

    def _end(self, key: bytes) -> None:
        session = self._sessions.pop(key, None)
        if session is not None:
            session.ended.set()


def current_session() -> Session:
    """The session of the request or socket being served. Raises `SessionEndedError`."""
    session = g.get("session")
    if session is None or session.ended.is_set():
        raise SessionEndedError
    return session  # type: ignore[no-any-return]


def request_zone() -> tzinfo:
    """The time zone of the browser being served, as its script put it into a cookie."""
    source = websocket if has_websocket_context() else request
    return zone_named(source.cookies.get(ZONE_COOKIE))


def _key(session_id: str) -> bytes:
    return hashlib.sha256(session_id.encode()).digest()
