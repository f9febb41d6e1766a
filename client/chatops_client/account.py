"""Sessions and second factors: `client.account` (`Account`) and `async_client.account` (`AsyncAccount`).

`user_id` None is the person who is logged in; another's is for administrators.
"""

from uuid import UUID

from chatops_client.alerts import AsyncSender, Sender
from chatops_client.wire import Call, segment
from chatops_protocol.resources import (
    Page,
    PasswordRequest,
    RecoveryCodes,
    SecondFactorEnrolment,
    SecondFactorRequest,
    SecondFactorState,
    Session,
)


def sessions(user_id: int | None) -> Call[Page[Session]]:
    return Call("GET", _place(user_id, "sessions"), Page[Session])


def end_session(session_id: UUID, user_id: int | None) -> Call[None]:
    return Call("DELETE", f"{_place(user_id, 'sessions')}/{segment(str(session_id))}", None)


def end_sessions(user_id: int | None) -> Call[None]:
    return Call("DELETE", _place(user_id, "sessions"), None)


def second_factor() -> Call[SecondFactorState]:
    return Call("GET", "/auth/second-factor", SecondFactorState)


def enrol(password: str) -> Call[SecondFactorEnrolment]:
    return Call("POST", "/auth/second-factor/enrol", SecondFactorEnrolment, body=PasswordRequest(password))


def confirm(code: str) -> Call[RecoveryCodes]:
    return Call("POST", "/auth/second-factor/confirm", RecoveryCodes, body=SecondFactorRequest(code))


def prove(code: str) -> Call[None]:
    return Call("POST", "/auth/second-factor/prove", None, body=SecondFactorRequest(code))


def renew_recovery_codes(code: str) -> Call[RecoveryCodes]:
    return Call("POST", "/auth/second-factor/recovery-codes", RecoveryCodes, body=SecondFactorRequest(code))


def disable(code: str) -> Call[None]:
    return Call("POST", "/auth/second-factor/disable", None, body=SecondFactorRequest(code))


def disable_of(user_id: int) -> Call[None]:
    return Call("DELETE", _place(user_id, "second-factor"), None)


def _place(user_id: int | None, what: str) -> str:
    return f"/auth/{what}" if user_id is None else f"/users/{segment(user_id)}/{what}"


class Account:
    def __init__(self, client: Sender) -> None:
        self._client = client

    def sessions(self, user_id: int | None = None) -> list[Session]:
        """Log-ins that are open, the newest first."""
        return self._client.all_pages(sessions(user_id))

    def end_session(self, session_id: UUID, user_id: int | None = None) -> None:
        self._client.request(end_session(session_id, user_id))

    def end_sessions(self, user_id: int | None = None) -> None:
        """All of one's own but this one, or all of another's."""
        self._client.request(end_sessions(user_id))

    def second_factor(self) -> SecondFactorState:
        return self._client.request(second_factor())

    def enrol(self, password: str) -> SecondFactorEnrolment:
        """The secret for an app, shown this once; it counts after `confirm`."""
        return self._client.request(enrol(password))

    def confirm(self, code: str) -> list[str]:
        """Switch the second factor on by the app's first code. Other sessions end; returns the recovery codes."""
        return (self._client.request(confirm(code))).recovery_codes

    def prove(self, code: str) -> None:
        """Show a code again, for what asks for a recent one."""
        self._client.request(prove(code))

    def renew_recovery_codes(self, code: str) -> list[str]:
        return (self._client.request(renew_recovery_codes(code))).recovery_codes

    def disable(self, code: str) -> None:
        """Switch one's own second factor off."""
        self._client.request(disable(code))

    def disable_of(self, user_id: int) -> None:
        """Switch off somebody else's, who has lost it."""
        self._client.request(disable_of(user_id))


class AsyncAccount:
    def __init__(self, client: AsyncSender) -> None:
        self._client = client

    async def sessions(self, user_id: int | None = None) -> list[Session]:
        """Log-ins that are open, the newest first."""
        return await self._client.all_pages(sessions(user_id))

    async def end_session(self, session_id: UUID, user_id: int | None = None) -> None:
        await self._client.request(end_session(session_id, user_id))

    async def end_sessions(self, user_id: int | None = None) -> None:
        """All of one's own but this one, or all of another's."""
        await self._client.request(end_sessions(user_id))

    async def second_factor(self) -> SecondFactorState:
        return await self._client.request(second_factor())

    async def enrol(self, password: str) -> SecondFactorEnrolment:
        """The secret for an app, shown this once; it counts after `confirm`."""
        return await self._client.request(enrol(password))

    async def confirm(self, code: str) -> list[str]:
        """Switch the second factor on by the app's first code. Other sessions end; returns the recovery codes."""
        return (await self._client.request(confirm(code))).recovery_codes

    async def prove(self, code: str) -> None:
        """Show a code again, for what asks for a recent one."""
        await self._client.request(prove(code))

    async def renew_recovery_codes(self, code: str) -> list[str]:
        return (await self._client.request(renew_recovery_codes(code))).recovery_codes

    async def disable(self, code: str) -> None:
        """Switch one's own second factor off."""
        await self._client.request(disable(code))

    async def disable_of(self, user_id: int) -> None:
        """Switch off somebody else's, who has lost it."""
        await self._client.request(disable_of(user_id))
