"""Log-in, refresh, logout and password change: what the routes of ``/auth`` decide.

`create_account_service` is called once by `app.py`; routes, guard and sockets share the result.
"""

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from asyncpg import Record
from litestar.datastructures import State
from litestar.di import NamedDependency

from chatops_backend.accounts.login_limits import Attempt, LoginLimits, TooManyAttemptsError
from chatops_backend.accounts.passwords import HashingBusyError, Passwords
from chatops_backend.accounts.principals import Principal, Principals
from chatops_backend.accounts.second_factor import SecondFactor, SecondFactorNeededError, SecondFactors
from chatops_backend.accounts.sessions import Sessions
from chatops_backend.accounts.tokens import ACCESS_TOKEN_S, AccessTokens, InvalidTokenError
from chatops_backend.audit.actor import Actor
from chatops_backend.audit.trail import Target, record, record_alone
from chatops_backend.database.interface import Database, DatabaseUnavailableError, Executor
from chatops_backend.database.queries import load_queries
from chatops_backend.problems import ProblemError
from chatops_backend.settings import Settings, load_or_create_secret_key
from chatops_protocol.resources import TokenPair, User

STATE_KEY = "accounts"


@dataclass(frozen=True)
class AccountService:
    database: Database
    tokens: AccessTokens
    passwords: Passwords
    limits: LoginLimits
    principals: Principals
    sessions: Sessions
    second_factors: SecondFactors
    origins: frozenset[str]
    dashboard_secret: str | None = field(default=None, repr=False)
    shell_needs_second_factor: bool = False

    async def authenticate(self, access_token: str) -> Principal | None:
        """The person behind an access token; None when the token or its session is not good (any more)."""
        try:
            claims = self.tokens.verify(access_token)
        except InvalidTokenError:
            return None
        principal = await self.principals.current(claims.sid)
        return principal if principal is not None and str(principal.user_id) == claims.sub else None

    async def login(
        self, username: str, password: str, totp_code: str | None, actor: Actor, client: str = ""
    ) -> TokenPair:
        """`client` is what the caller's program says of itself."""
        queries = load_queries("accounts")
        with self._guessing(username, actor.address) as attempt:
            # No username holds a NUL, and PostgreSQL would not take one.
            found: Record | None = (
                None if "\0" in username else await queries.find_user_for_login(self.database, username=username)
            )
            known_hash: str | None = found["password_hash"] if found is not None else None
            if not await self.passwords.verify(known_hash, password) or found is None or not found["active"]:
                await self._record_refusal(actor, "auth.login", found)
                raise _wrong("The username or the password is wrong.")
            factor = await self._check_second_factor(found, totp_code, actor)
            attempt.succeeded()
        assert known_hash is not None
        try:
            session_id, refresh_token = await self.sessions.open(found, actor.address, client)
        except InvalidTokenError:
            await self._record_refusal(actor, "auth.login", found)
            raise _wrong("The username or the password is wrong.") from None
        if factor is not None:
            await self.second_factors.prove(session_id)
        if self.passwords.is_outdated(known_hash):
            # Nobody is turned away for it: there will be another log-in.
            with contextlib.suppress(HashingBusyError):
                renewed = await self.passwords.hash(password)
                await queries.replace_password_hash(self.database, user_id=found["id"], old=known_hash, new=renewed)
        return self._pair(self.tokens.issue(found["id"], session_id), refresh_token, found)

    async def refresh(self, refresh_token: str, actor: Actor) -> TokenPair:
        try:
            person, following = await self.sessions.refresh(refresh_token, actor)
        except InvalidTokenError:
            raise _wrong("The refresh token is not valid any more; log in again.") from None
        return self._pair(self.tokens.issue(person["id"], person["session_id"]), following, person)

    async def logout(self, principal: Principal | None, refresh_token: str | None, actor: Actor) -> None:
        """End the session of the access token, of the refresh token, or of both."""
        if principal is None and refresh_token is None:
            raise _wrong("Send the refresh token, or the access token, of the session that shall end.")
        if principal is not None:
            await self.sessions.end(principal.session_id, "logged out", "auth.logout", actor)
        if refresh_token is not None:
            try:
                await self.sessions.end_by_token(refresh_token, actor)
            except InvalidTokenError:
                raise _wrong("The refresh token is not known.") from None

    async def change_password(self, principal: Principal, current: str, new: str, actor: Actor) -> None:
        """Every other session of the person ends."""
        queries = load_queries("accounts")
        await self.require_password(principal, current, actor, "auth.change_password")
        target = Target("user", principal.user_id, principal.username)
        password_hash = await self.hash_password(new)
        async with self.database.transaction() as transaction:
            queries = load_queries("accounts")
            await queries.set_password(transaction, user_id=principal.user_id, password_hash=password_hash)
            await queries.revoke_sessions_of_user(
                transaction,
                user_id=principal.user_id,
                because="the password was changed",
                except_session=principal.session_id,
            )
            await record(transaction, actor, "auth.change_password", target)
        self.principals.user_changed(principal.user_id)

    async def hash_password(self, password: str) -> str:
        try:
            return await self.passwords.hash(password)
        except HashingBusyError:
            raise _busy() from None

    def close(self) -> None:
        self.passwords.close()

    @contextlib.contextmanager
    def _guessing(self, username: str, address: str | None) -> Iterator[Attempt]:
        """Count a try of a password or a code, unless the block says of the attempt that it was right."""
        try:
            attempt = self.limits.begin(username, address)
        except TooManyAttemptsError as error:
            seconds = math.ceil(error.retry_after_s)
            raise ProblemError(
                429,
                "Too many attempts",
                f"Too many failed attempts; try again in {seconds} s.",
                headers={"Retry-After": str(seconds)},
            ) from None
        try:
            yield attempt
        except HashingBusyError:
            attempt.does_not_count()
            raise _busy() from None
        except (DatabaseUnavailableError, SecondFactorNeededError):
            attempt.does_not_count()
            raise

    async def require_password(self, principal: Principal, password: str, actor: Actor, action: str) -> None:
        """Raise `ProblemError` 403 unless it is the person's. `action` is what it was asked for."""
        with self._guessing(principal.username, actor.address) as attempt:
            known = await load_queries("accounts").find_password_hash(self.database, user_id=principal.user_id)
            if not await self.passwords.verify(known, password):
                await self._record_wrong(principal, actor, action, "wrong password")
                raise ProblemError(403, "Wrong password", "The current password is wrong; nothing was changed.")
            attempt.does_not_count()

    async def require_code(self, principal: Principal, code: str, actor: Actor, action: str) -> None:
        """Raise `ProblemError` 403 unless it is a good code of the person's, which is used up by that. 409 when there
        is no second factor."""
        with self._guessing(principal.username, actor.address) as attempt:
            factor = await self.second_factors.find(principal.user_id)
            if factor is None or factor.confirmed_at is None:
                raise ProblemError(409, "No second factor", "There is none; set it up first.")
            if not await self.second_factors.check(factor, code):
                await self._record_wrong(principal, actor, action, "wrong code")
                raise _wrong_code()
            attempt.does_not_count()

    async def confirm_second_factor(self, principal: Principal, code: str, actor: Actor) -> list[str]:
        """Switch on a second factor by its first code, and return its recovery codes. Raises `ProblemError`."""
        with self._guessing(principal.username, actor.address) as attempt:
            codes = await self.second_factors.confirm(principal, code, actor)
            if codes is None:
                await self._record_wrong(principal, actor, "second_factor.switch_on", "wrong code")
                raise _wrong_code()
            attempt.does_not_count()
        self.principals.user_changed(principal.user_id)
        return codes

    async def require_recent_second_factor(self, executor: Executor, principal: Principal) -> None:
        """Raise `ProblemError` 403 unless a code was shown in this session within the last five minutes. Whoever has no
        second factor is let through, unless the settings want one of everybody. For what runs a shell."""
        await self.second_factors.require_recent(executor, principal, of_everybody=self.shell_needs_second_factor)

    async def _check_second_factor(self, user: Record, code: str | None, actor: Actor) -> SecondFactor | None:
        factor = await self.second_factors.find(user["id"]) if user["second_factor"] else None
        if factor is None:
            return None
        if code is None:
            raise SecondFactorNeededError(
                401,
                "Second factor needed",
                "Send `totp_code` too: the six digits of your app, or a recovery code.",
                extra=[{"key": "totp_code", "message": "is needed", "source": "body"}],
                headers={"WWW-Authenticate": "Bearer"},
            )
        if not await self.second_factors.check(factor, code):
            target = Target("user", user["id"], user["username"])
            await record_alone(self.database, actor, "auth.login", target, result="refused", detail="wrong code")
            raise _wrong("The code is wrong or was used before; take the next one that your app shows.", "totp_code")
        return factor

    async def _record_wrong(self, principal: Principal, actor: Actor, action: str, detail: str) -> None:
        target = Target("user", principal.user_id, principal.username)
        await record_alone(self.database, actor, action, target, result="refused", detail=detail)

    async def _record_refusal(self, actor: Actor, action: str, found: Record | None) -> None:
        # A name that nobody has is not kept: people type passwords into that field.
        target = Target("user", found["id"], found["username"]) if found is not None else Target("user")
        detail = "no such name" if found is None else "wrong password" if found["active"] else "disabled"
        await record_alone(self.database, actor, action, target, result="refused", detail=detail)

    def _pair(self, access_token: str, refresh_token: str, user: Record) -> TokenPair:
        return TokenPair(access_token, refresh_token, "Bearer", ACCESS_TOKEN_S, user_from(user))


def create_account_service(
    database: Database,
    settings: Settings,
    *,
    passwords: Passwords | None = None,
    limits: LoginLimits | None = None,
    clock: Callable[[], float] = time.time,
) -> AccountService:
    principals = Principals(database, time.monotonic)
    secret_key = load_or_create_secret_key(settings)
    return AccountService(
        database=database,
        tokens=AccessTokens(secret_key, clock),
        passwords=passwords or Passwords(),
        limits=limits or LoginLimits(time.monotonic),
        principals=principals,
        sessions=Sessions(database, principals),
        second_factors=SecondFactors(database, secret_key, clock),
        origins=frozenset(settings.origins),
        dashboard_secret=settings.dashboard_secret,
        shell_needs_second_factor=settings.shell_needs_second_factor,
    )


Accounts = NamedDependency[AccountService]


def provide_accounts(state: State) -> AccountService:
    """Litestar dependency `accounts` of the whole application: what `app.py` put into its state."""
    service = state[STATE_KEY]
    assert isinstance(service, AccountService)
    return service


def user_from(row: Record) -> User:
    return User(
        id=row["id"],
        username=row["username"],
        role=row["role"],
        display_name=row["display_name"],
        active=row["active"],
        created_at=row["created_at"],
        all_servers=row["all_servers"],
        server_ids=row["server_ids"],
        server_tags=row["server_tags"],
        second_factor=row["second_factor"],
    )


def _wrong(detail: str, field: str | None = None) -> ProblemError:
    """`field`: the one at fault, where that may be told."""
    extra = [{"key": field, "message": "is wrong", "source": "body"}] if field is not None else None
    return ProblemError(401, "Not authenticated", detail, extra=extra, headers={"WWW-Authenticate": "Bearer"})


def _wrong_code() -> ProblemError:
    return ProblemError(
        403, "Wrong code", "The code is wrong or was used before; take the next one that your app shows."
    )


def _busy() -> ProblemError:
    return ProblemError(
        503, "Busy", "Too many passwords are being checked; try again in a second.", headers={"Retry-After": "1"}
    )
