"""Sessions: opened by a log-in, carried on by refresh tokens that work once, ended by a logout or a misuse.

A token that comes a second time was copied by somebody: its session ends at once, for thief and owner alike.
"""

from datetime import datetime
from uuid import UUID

from asyncpg import Record

from chatops_backend.accounts.principals import Principals
from chatops_backend.accounts.tokens import InvalidTokenError, hash_refresh_token, new_refresh_token
from chatops_backend.audit.actor import Actor
from chatops_backend.audit.trail import Target, note, record
from chatops_backend.database.interface import Database, Executor
from chatops_backend.database.queries import load_queries
from chatops_backend.problems import ProblemError
from chatops_protocol.resources import User

DAY_S = 86_400.0
IDLE_S = 30 * DAY_S
LONGEST_S = 180 * DAY_S


class Sessions:
    def __init__(self, database: Database, principals: Principals) -> None:
        self._database = database
        self._principals = principals
        self._queries = load_queries("accounts")

    async def open(self, user: Record, address: str | None, client: str) -> tuple[UUID, str]:
        """A new session's id and first refresh token.

        Raises `InvalidTokenError` when the account was disabled or got another password since `user` was read.
        """
        async with self._database.transaction() as transaction:
            await self._queries.delete_old_sessions(transaction, user_id=user["id"])
            row = await self._queries.open_session(
                transaction,
                user_id=user["id"],
                password_hash=user["password_hash"],
                idle_s=IDLE_S,
                address=address,
                client=client,
            )
            if row is None:
                raise InvalidTokenError
            token = await self._store_token(transaction, row["id"])
            person = Actor("person", user["username"], user["id"], user["role"], row["id"], address)
            await record(transaction, person, "auth.login", Target("user", user["id"], user["username"]))
            return row["id"], token

    async def refresh(self, token: str, actor: Actor) -> tuple[Record, str]:
        """The session's person (with `session_id`) and the next refresh token.

        Raises `InvalidTokenError` for a token that is unknown, used, or of a session that is over.
        """
        token_hash = hash_refresh_token(token)
        misused: UUID | None = None
        robbed: Record | None = None
        person: Record | None = None
        async with self._database.transaction() as transaction:
            session_id = await self._queries.use_refresh_token(transaction, token_hash=token_hash)
            if session_id is None:
                misused = await self._queries.find_session_of_refresh_token(transaction, token_hash=token_hash)
                if misused is not None:
                    robbed = await self._queries.revoke_session(
                        transaction, session_id=misused, because="a refresh token was used twice"
                    )
            else:
                person = await self._queries.extend_session(
                    transaction, session_id=session_id, idle_s=IDLE_S, longest_s=LONGEST_S, address=actor.address
                )
                following = await self._store_token(transaction, session_id) if person is not None else ""
        if misused is not None:
            self._principals.session_changed(misused)
            if robbed is not None:
                target = Target("user", robbed["user_id"], robbed["username"])
                detail = f"session {misused} was ended"
                await note(self._database, actor, "auth.refresh_reused", target, result="refused", detail=detail)
        if person is None:
            raise InvalidTokenError
        return person, following

    async def end_by_token(self, token: str, actor: Actor) -> None:
        """Log out. Raises `InvalidTokenError` for a token that was never issued."""
        session_id = await self._queries.find_session_of_refresh_token(
            self._database, token_hash=hash_refresh_token(token)
        )
        if session_id is None:
            raise InvalidTokenError
        await self.end(session_id, "logged out", "auth.logout", actor)

    async def end(self, session_id: UUID, because: str, action: str, actor: Actor) -> None:
        """Whoever held the session's token acts for its person."""
        row = await self._queries.revoke_session(self._database, session_id=session_id, because=because)
        self._principals.session_changed(session_id)
        if row is not None:
            person = Actor("person", row["username"], row["user_id"], row["role"], session_id, actor.address)
            await note(self._database, person, action, Target("user", row["user_id"], row["username"]))

    async def living(
        self, user_id: int, count: int, created_at: datetime | None, session_id: UUID | None
    ) -> list[Record]:
        """Open sessions of one account, newest first, after the one that the two name."""
        rows = self._queries.list_sessions(
            self._database, user_id=user_id, created_at=created_at, id=session_id, count=count
        )
        return [row async for row in rows]

    async def revoke(self, session_id: UUID, user_id: int, actor: Actor) -> None:
        """End one of an account's sessions. Raises `ProblemError` 404."""
        because = f"ended by {actor.username}"
        async with self._database.transaction() as transaction:
            row = await self._queries.revoke_living_session(
                transaction, session_id=session_id, user_id=user_id, because=because
            )
            if row is None:
                raise ProblemError(404, "Not found", f"There is no session {session_id}; it may have ended.")
            await record(transaction, actor, "session.end", Target("session", session_id, row["username"]))
        self._principals.session_changed(session_id)

    async def revoke_all(self, user: User, actor: Actor, *, but: UUID | None = None) -> None:
        """End all of an account's sessions, but the one given."""
        async with self._database.transaction() as transaction:
            await self._queries.revoke_sessions_of_user(
                transaction, user_id=user.id, because=f"ended by {actor.username}", except_session=but
            )
            detail = "all" if but is None else "all but the one that asked"
            await record(transaction, actor, "session.end", Target("user", user.id, user.username), detail=detail)
        self._principals.user_changed(user.id)

    async def _store_token(self, executor: Executor, session_id: UUID) -> str:
        token = new_refresh_token()
        await self._queries.store_refresh_token(executor, token_hash=hash_refresh_token(token), session_id=session_id)
        return token
