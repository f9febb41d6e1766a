"""The optional second factor: six digits of an authenticator app (TOTP, RFC 6238), or one of ten recovery codes.

`AccountService` asks for it at log-in, the routes of ``/auth/second-factor`` set it up, and what runs shells calls
`AccountService.require_recent_second_factor`. A code is good once: the period it belongs to is remembered, and nothing
at or before it is good again, at whichever backend. The secret is made from the backend's secret key and a stored salt,
so the database alone does not give it away; another secret key makes every app's codes wrong, and recovery codes still
work.
"""

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable
from datetime import datetime
from uuid import UUID

import pyotp
from msgspec import Struct

from chatops_backend.accounts.principals import Principal
from chatops_backend.audit.actor import Actor
from chatops_backend.audit.trail import Target, record
from chatops_backend.database.interface import Database, Executor, Transaction
from chatops_backend.database.queries import load_queries
from chatops_backend.problems import ProblemError
from chatops_protocol.resources import User

ISSUER = "ChatOps"
PERIOD_S = 30
# Periods before and after the present one whose codes are taken: clocks of telephones differ.
DRIFT = 1
# For how long a proof counts as recent.
RECENT_S = 300.0
RECOVERY_CODES = 10
_RECOVERY_DIGITS = "abcdefghjkmnpqrstuvwxyz23456789"
_RECOVERY_LENGTH = 16  # 79 bits, so that a plain hash will do


class SecondFactorNeededError(ProblemError):
    """The password was right, and a code is missing."""


class SecondFactor(Struct, frozen=True):
    """An account's, as it stands."""

    user_id: int
    salt: bytes
    confirmed_at: datetime | None
    last_step: int
    recovery_codes_left: int


class SecondFactors:
    """`clock` gives Unix seconds."""

    def __init__(self, database: Database, secret_key: str, clock: Callable[[], float]) -> None:
        self._database = database
        self._secret_key = secret_key
        self._clock = clock
        self._queries = load_queries("accounts")

    async def find(self, user_id: int) -> SecondFactor | None:
        """None when there is none, not even one that waits for its confirmation."""
        row = await self._queries.find_second_factor(self._database, user_id=user_id)
        return SecondFactor(**row) if row is not None else None

    async def enrol(self, principal: Principal, actor: Actor) -> tuple[str, str]:
        """Begin anew: the secret in base32, and the address that an app reads from a picture. Both are shown once.

        Raises `ProblemError` 409 when there is one already: it has to be switched off first.
        """
        salt = secrets.token_bytes(16)
        async with self._database.transaction() as transaction:
            if await self._queries.begin_second_factor(transaction, user_id=principal.user_id, salt=salt) is None:
                raise ProblemError(
                    409, "Switched on already", "There is a second factor; switch it off first to set up another."
                )
            await record(transaction, actor, "second_factor.enrol", _target(principal))
        app = self._app(principal.user_id, salt)
        return app.secret, app.provisioning_uri(name=principal.username, issuer_name=ISSUER)

    async def confirm(self, principal: Principal, code: str, actor: Actor) -> list[str] | None:
        """Switch on what `enrol` began, and end the account's other sessions. The recovery codes; None: a wrong code.

        Raises `ProblemError` 409 when nothing was begun.
        """
        factor = await self.find(principal.user_id)
        if factor is None or factor.confirmed_at is not None:
            raise ProblemError(409, "Nothing to confirm", "Begin with `POST /auth/second-factor/enrol`.")
        step = self._step_of(factor, code)
        if step is None:
            return None
        async with self._database.transaction() as transaction:
            if await self._queries.use_step(transaction, user_id=principal.user_id, step=step) is None:
                return None
            await self._queries.confirm_second_factor(transaction, user_id=principal.user_id)
            await self._queries.revoke_sessions_of_user(
                transaction,
                user_id=principal.user_id,
                because="a second factor was switched on",
                except_session=principal.session_id,
            )
            await self._queries.note_proof(transaction, session_id=principal.session_id)
            codes = await self._new_recovery_codes(transaction, principal.user_id)
            await record(transaction, actor, "second_factor.switch_on", _target(principal))
        return codes

    async def check(self, factor: SecondFactor, code: str) -> bool:
        """Use up a code of the app or a recovery code; whether it was a good one."""
        step = self._step_of(factor, code)
        if step is not None:
            return await self._queries.use_step(self._database, user_id=factor.user_id, step=step) is not None
        used = await self._queries.use_recovery_code(
            self._database, user_id=factor.user_id, code_hash=_recovery_hash(factor.user_id, code)
        )
        return used is not None

    async def prove(self, session_id: UUID) -> None:
        """A good code was shown in this session just now."""
        await self._queries.note_proof(self._database, session_id=session_id)

    async def renew_recovery_codes(self, principal: Principal, actor: Actor) -> list[str]:
        """The former ones are good no more."""
        async with self._database.transaction() as transaction:
            codes = await self._new_recovery_codes(transaction, principal.user_id)
            await record(transaction, actor, "second_factor.recovery_codes", _target(principal))
        return codes

    async def require_recent(
        self, executor: Executor, principal: Principal, *, of_everybody: bool, within_s: float = RECENT_S
    ) -> None:
        """Raise `ProblemError` 403 unless a code was shown in this session within `within_s` seconds.

        Whoever has no second factor is let through, unless it is demanded `of_everybody`.
        """
        row = await self._queries.find_proof(executor, session_id=principal.session_id)
        if row is None or row["confirmed_at"] is None:
            if of_everybody:
                raise ProblemError(
                    403, "Second factor needed", "This needs a second factor, and you have none; set it up first."
                )
            return
        if row["proved_s_ago"] is None or row["proved_s_ago"] > within_s:
            raise ProblemError(
                403,
                "Second factor needed",
                "Show a code of now with `POST /auth/second-factor/prove`, and send this again.",
                extra=[{"message": "a code of now is needed", "key": "totp_code"}],
            )

    def _app(self, user_id: int, salt: bytes) -> pyotp.TOTP:
        made_of = b"chatops second factor\0%d\0%b" % (user_id, salt)
        secret = hmac.digest(self._secret_key.encode(), made_of, "sha256")[:20]
        return pyotp.TOTP(base64.b32encode(secret).decode(), interval=PERIOD_S)

    def _step_of(self, factor: SecondFactor, code: str) -> int | None:
        """The period that a code belongs to, if it may still be used."""
        digits = code.replace(" ", "")
        if not re.fullmatch(r"[0-9]{6}", digits):
            return None
        app, now = self._app(factor.user_id, factor.salt), int(self._clock() // PERIOD_S)
        for step in range(now - DRIFT, now + DRIFT + 1):
            if step > factor.last_step and hmac.compare_digest(app.generate_otp(step), digits):
                return step
        return None

    async def _new_recovery_codes(self, transaction: Transaction, user_id: int) -> list[str]:
        codes = [_recovery_code() for _ in range(RECOVERY_CODES)]
        await self._queries.replace_recovery_codes(
            transaction, user_id=user_id, code_hashes=[_recovery_hash(user_id, code) for code in codes]
        )
        return codes


async def switch_off(database: Database, user: User, actor: Actor) -> None:
    """By its owner, an administrator, or the command line. Raises `ProblemError` 404 when there is none."""
    async with database.transaction() as transaction:
        if await load_queries("accounts").delete_second_factor(transaction, user_id=user.id) is None:
            raise ProblemError(404, "Not found", f"{user.username} has no second factor.")
        await record(transaction, actor, "second_factor.switch_off", Target("user", user.id, user.username))


def _target(principal: Principal) -> Target:
    return Target("user", principal.user_id, principal.username)


def _recovery_code() -> str:
    letters = "".join(secrets.choice(_RECOVERY_DIGITS) for _ in range(_RECOVERY_LENGTH))
    return "-".join(letters[place : place + 4] for place in range(0, _RECOVERY_LENGTH, 4))


def _recovery_hash(user_id: int, code: str) -> bytes:
    letters = re.sub(r"[\s-]", "", code).lower()
    return hashlib.sha256(b"%d:%b" % (user_id, letters.encode(errors="replace"))).digest()
