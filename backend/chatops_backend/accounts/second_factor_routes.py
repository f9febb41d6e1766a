"""Routes under ``/auth/second-factor``, and the administrator's way to switch off somebody else's."""

from typing import Any

from litestar import Request, delete, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from chatops_backend.accounts import second_factor, users
from chatops_backend.accounts.access import allow
from chatops_backend.accounts.principals import Principal
from chatops_backend.accounts.service import Accounts
from chatops_backend.audit.actor import RequestActor
from chatops_backend.paging import Id
from chatops_backend.settings import Settings
from chatops_protocol.resources import (
    PasswordRequest,
    RecoveryCodes,
    SecondFactorEnrolment,
    SecondFactorRequest,
    SecondFactorState,
)

PersonRequest = Request[Principal, Any, Any]


@get("/second-factor", opt=allow("viewer"))
async def read_second_factor(
    request: PersonRequest, accounts: Accounts, settings: NamedDependency[Settings]
) -> SecondFactorState:
    factor = await accounts.second_factors.find(request.user.user_id)
    confirmed_at = factor.confirmed_at if factor is not None else None
    return SecondFactorState(
        enabled=confirmed_at is not None,
        confirmed_at=confirmed_at,
        recovery_codes_left=factor.recovery_codes_left if factor is not None else 0,
        needed_for_shell=confirmed_at is not None or settings.shell_needs_second_factor,
    )


@post("/second-factor/enrol", opt=allow("viewer"), status_code=200)
async def enrol_second_factor(
    data: JSONBody[PasswordRequest], request: PersonRequest, accounts: Accounts, actor: RequestActor
) -> SecondFactorEnrolment:
    """The secret for an authenticator app, shown this once. It counts after ``/confirm``."""
    await accounts.require_password(request.user, data.current_password, actor, "second_factor.enrol")
    secret, address = await accounts.second_factors.enrol(request.user, actor)
    return SecondFactorEnrolment(secret, address)


@post("/second-factor/confirm", opt=allow("viewer"), status_code=200)
async def confirm_second_factor(
    data: JSONBody[SecondFactorRequest], request: PersonRequest, accounts: Accounts, actor: RequestActor
) -> RecoveryCodes:
    """Switches it on. Other sessions end. The recovery codes are shown this once."""
    return RecoveryCodes(await accounts.confirm_second_factor(request.user, data.totp_code, actor))


@post("/second-factor/prove", opt=allow("viewer"), status_code=204)
async def prove_second_factor(
    data: JSONBody[SecondFactorRequest], request: PersonRequest, accounts: Accounts, actor: RequestActor
) -> None:
    """Shows a code again, for what asks for a recent one."""
    await accounts.require_code(request.user, data.totp_code, actor, "second_factor.prove")
    await accounts.second_factors.prove(request.user.session_id)


@post("/second-factor/recovery-codes", opt=allow("viewer"), status_code=200)
async def renew_recovery_codes(
    data: JSONBody[SecondFactorRequest], request: PersonRequest, accounts: Accounts, actor: RequestActor
) -> RecoveryCodes:
    """New ones; the former are good no more."""
    await accounts.require_code(request.user, data.totp_code, actor, "second_factor.recovery_codes")
    return RecoveryCodes(await accounts.second_factors.renew_recovery_codes(request.user, actor))


@post("/second-factor/disable", opt=allow("viewer"), status_code=204)
async def disable_second_factor(
    data: JSONBody[SecondFactorRequest], request: PersonRequest, accounts: Accounts, actor: RequestActor
) -> None:
    await accounts.require_code(request.user, data.totp_code, actor, "second_factor.switch_off")
    user = await users.find_user(accounts.database, request.user.user_id)
    await second_factor.switch_off(accounts.database, user, actor)


@delete("/{user_id:int}/second-factor", opt=allow("admin"))
async def disable_second_factor_of_user(user_id: Id, accounts: Accounts, actor: RequestActor) -> None:
    """For somebody else who has lost the telephone and the recovery codes."""
    instead = "`POST /auth/second-factor/disable`"
    await users.require_somebody_else(accounts.database, user_id, actor, "second_factor.switch_off", instead)
    user = await users.find_user(accounts.database, user_id)
    await second_factor.switch_off(accounts.database, user, actor)


own_handlers: list[Any] = [
    read_second_factor,
    enrol_second_factor,
    confirm_second_factor,
    prove_second_factor,
    renew_recovery_codes,
    disable_second_factor,
]
user_handlers: list[Any] = [disable_second_factor_of_user]
