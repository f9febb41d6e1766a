"""The second factor: set up, asked for, good once, limited like passwords, and switched off again."""

import asyncio
import time
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import httpx
import pyotp
import pytest

from chatops_backend.accounts.login_limits import LoginLimits
from chatops_backend.accounts.principals import Principal
from chatops_backend.accounts.service import STATE_KEY
from chatops_backend.problems import ProblemError

pytestmark = pytest.mark.anyio


class Clock:
    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def timed_app(build_app, database, settings, clock):
    return build_app(database, settings, clock=clock, limits=LoginLimits(clock))


@dataclass
class Guarded:
    """Somebody with a second factor, and the app on the telephone."""

    person: Any
    app: pyotp.TOTP
    recovery_codes: list[str]
    clock: Clock

    def code(self, after_s: float = 0) -> str:
        return self.app.at(int(self.clock.now + after_s))


@pytest.fixture
async def guarded(timed_app, new_person, clock) -> Guarded:
    person = await new_person("operator", into=timed_app)
    enrolled = await person.api.post("/auth/second-factor/enrol", json={"current_password": person.password})
    assert enrolled.status_code == 200, enrolled.text
    app = pyotp.TOTP(enrolled.json()["secret"])
    confirmed = await person.api.post("/auth/second-factor/confirm", json={"totp_code": app.at(int(clock.now))})
    assert confirmed.status_code == 200, confirmed.text
    clock.now += 60
    return Guarded(person, app, confirmed.json()["recovery_codes"], clock)


@pytest.fixture
async def stranger(timed_app, client_of):
    async with client_of(timed_app, address="192.0.2.80") as client:
        yield client


async def log_in(client: httpx.AsyncClient, guarded: Guarded, code: str | None, **other: Any) -> httpx.Response:
    body = {"username": guarded.person.username, "password": guarded.person.password, **other}
    return await client.post("/auth/login", json=body if code is None else body | {"totp_code": code})


async def test_what_is_shown_fits_an_authenticator_app(timed_app, new_person) -> None:
    person = await new_person(into=timed_app)
    answer = await person.api.post("/auth/second-factor/enrol", json={"current_password": person.password})
    secret, address = answer.json()["secret"], urlsplit(answer.json()["otpauth_uri"])
    assert (address.scheme, address.netloc) == ("otpauth", "totp")
    assert unquote(address.path) == f"/ChatOps:{person.username}"
    assert parse_qs(address.query)["secret"] == [secret]
    assert parse_qs(address.query)["issuer"] == ["ChatOps"]
    assert len(secret) == 32
    # Nothing is asked for before it is confirmed, and who begins again gets another secret.
    again = await person.api.post("/auth/second-factor/enrol", json={"current_password": person.password})
    assert again.json()["secret"] != secret
    state = (await person.api.get("/auth/second-factor")).json()
    assert state == {"enabled": False, "confirmed_at": None, "recovery_codes_left": 0, "needed_for_shell": False}
    assert (await person.api.get("/auth/me")).json()["second_factor"] is False


async def test_neither_secret_nor_codes_are_in_the_database(guarded, database) -> None:
    for table in ("second_factors", "recovery_codes", "audit_log"):
        stored = str([dict(row) for row in await database.fetch(f"SELECT * FROM chatops.{table}")])
        assert guarded.app.secret not in stored
        assert not any(code in stored or code.replace("-", "") in stored for code in guarded.recovery_codes)


async def test_enrolment_needs_the_password_and_its_first_code(timed_app, new_person, clock) -> None:
    person = await new_person(into=timed_app)
    other = await new_person(again=person, into=timed_app)
    wrong = await person.api.post("/auth/second-factor/enrol", json={"current_password": "not the password"})
    assert wrong.status_code == 403
    unbegun = await person.api.post("/auth/second-factor/confirm", json={"totp_code": "123456"})
    assert unbegun.status_code == 409
    secret = (await person.api.post("/auth/second-factor/enrol", json={"current_password": person.password})).json()[
        "secret"
    ]
    code = pyotp.TOTP(secret).at(int(clock.now))
    bad = await person.api.post("/auth/second-factor/confirm", json={"totp_code": f"{(int(code) + 1) % 1_000_000:06}"})
    assert (bad.status_code, bad.json()["title"]) == (403, "Wrong code")
    assert (await person.api.get("/auth/second-factor")).json()["enabled"] is False
    answer = await person.api.post("/auth/second-factor/confirm", json={"totp_code": code})
    assert len(set(answer.json()["recovery_codes"])) == 10
    # Sessions from before, which showed no code, are over.
    assert (await other.api.get("/auth/me")).status_code == 401
    state = (await person.api.get("/auth/second-factor")).json()
    assert (state["enabled"], state["recovery_codes_left"], state["needed_for_shell"]) == (True, 10, True)
    again = await person.api.post("/auth/second-factor/enrol", json={"current_password": person.password})
    assert again.status_code == 409


async def test_log_in_needs_password_and_code(guarded, stranger) -> None:
    missing = await log_in(stranger, guarded, None)
    assert (missing.status_code, missing.json()["title"]) == (401, "Second factor needed")
    assert "access_token" not in missing.text
    wrong = await log_in(stranger, guarded, guarded.code(), password="not the password")
    assert (wrong.status_code, wrong.json()["title"]) == (401, "Not authenticated")
    # A wrong password uses up no code.
    answer = await log_in(stranger, guarded, guarded.code())
    assert (answer.status_code, answer.json()["user"]["second_factor"]) == (200, True)


async def test_a_code_is_good_once_though_many_send_it_at_once(guarded, stranger) -> None:
    code = guarded.code()
    answers = await asyncio.gather(*(log_in(stranger, guarded, code) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 401, 401, 401]
    assert (await log_in(stranger, guarded, code)).status_code == 401
    # Nor is one of before it.
    assert (await log_in(stranger, guarded, guarded.code(-30))).status_code == 401


@pytest.mark.parametrize(("after_s", "status"), [(-90, 401), (-30, 200), (0, 200), (30, 200), (90, 401)])
async def test_a_telephones_clock_may_differ_by_half_a_minute(guarded, stranger, after_s, status) -> None:
    assert (await log_in(stranger, guarded, guarded.code(after_s))).status_code == status


@pytest.mark.parametrize("code", ["", "12345", "1234567", "abcdef", "１２３４５６", "\0" * 6, "x" * 64, "' OR 1=1"])
async def test_what_is_no_code_is_refused(guarded, stranger, code) -> None:
    assert (await log_in(stranger, guarded, code)).status_code in (400, 401)


async def test_a_recovery_code_is_good_once_however_it_is_written(guarded, stranger) -> None:
    first, second = guarded.recovery_codes[:2]
    assert (await log_in(stranger, guarded, first)).status_code == 200
    assert (await log_in(stranger, guarded, first)).status_code == 401
    assert (await log_in(stranger, guarded, " " + second.upper().replace("-", " "))).status_code == 200
    assert (await guarded.person.api.get("/auth/second-factor")).json()["recovery_codes_left"] == 8


async def test_a_recovery_code_of_somebody_else_is_none(guarded, timed_app, new_person, stranger, database) -> None:
    other = await new_person(into=timed_app)
    await database.execute(
        "INSERT INTO chatops.second_factors (user_id, salt, confirmed_at) VALUES ($1, 'x', now())", other.id
    )
    answer = await stranger.post(
        "/auth/login",
        json={
            "username": other.username,
            "password": other.password,
            "totp_code": guarded.recovery_codes[0],
        },
    )
    assert answer.status_code == 401


async def test_new_recovery_codes_replace_the_former(guarded, stranger) -> None:
    refused = await guarded.person.api.post("/auth/second-factor/recovery-codes", json={"totp_code": "000000"})
    assert refused.status_code == 403
    renewed = await guarded.person.api.post("/auth/second-factor/recovery-codes", json={"totp_code": guarded.code()})
    assert len(renewed.json()["recovery_codes"]) == 10
    assert (await log_in(stranger, guarded, guarded.recovery_codes[0])).status_code == 401
    assert (await log_in(stranger, guarded, renewed.json()["recovery_codes"][0])).status_code == 200


async def test_guessing_codes_is_limited_like_guessing_passwords(guarded, stranger) -> None:
    statuses = [(await log_in(stranger, guarded, f"{number:06}")).status_code for number in range(7)]
    assert statuses == [401] * 5 + [429] * 2
    # Not even the right one now.
    assert (await log_in(stranger, guarded, guarded.code())).status_code == 429


async def test_to_ask_for_the_code_counts_as_no_guess(guarded, stranger) -> None:
    for _ in range(10):
        assert (await log_in(stranger, guarded, None)).status_code == 401
    assert (await log_in(stranger, guarded, guarded.code())).status_code == 200


@pytest.mark.parametrize("path", ["prove", "disable", "recovery-codes"])
async def test_guessing_inside_a_session_is_limited_too(guarded, path) -> None:
    statuses = [
        (await guarded.person.api.post(f"/auth/second-factor/{path}", json={"totp_code": f"{n:06}"})).status_code
        for n in range(7)
    ]
    assert statuses == [403] * 5 + [429] * 2


async def test_the_password_does_not_buy_further_guesses_of_the_code(guarded) -> None:
    # Whoever has copied the session and knows the password must not get past the second factor by trying.
    api, statuses = guarded.person.api, []
    for number in range(12):
        statuses.append((await api.post("/auth/second-factor/prove", json={"totp_code": f"{number:06}"})).status_code)
        await api.post("/auth/second-factor/enrol", json={"current_password": guarded.person.password})
    assert statuses == [403] * 5 + [429] * 7


async def test_it_is_switched_off_by_a_code_or_by_an_administrator(guarded, timed_app, new_person, stranger) -> None:
    api = guarded.person.api
    assert (await api.post("/auth/second-factor/disable", json={"totp_code": "000000"})).status_code == 403
    assert (await api.post("/auth/second-factor/disable", json={"totp_code": guarded.code()})).status_code == 204
    assert (await log_in(stranger, guarded, None)).status_code == 200
    assert (await api.post("/auth/second-factor/prove", json={"totp_code": "000000"})).status_code == 409

    enrolled = await api.post("/auth/second-factor/enrol", json={"current_password": guarded.person.password})
    code = pyotp.TOTP(enrolled.json()["secret"]).at(int(guarded.clock.now))
    assert (await api.post("/auth/second-factor/confirm", json={"totp_code": code})).status_code == 200
    assert (await log_in(stranger, guarded, None)).status_code == 401
    admin = await new_person("admin", into=timed_app)
    assert (await admin.api.get(f"/users/{guarded.person.id}")).json()["second_factor"] is True
    path = f"/users/{guarded.person.id}/second-factor"
    assert (await api.delete(path)).status_code == 403
    assert (await admin.api.delete(path)).status_code == 204
    assert (await admin.api.delete(path)).status_code == 404
    assert (await log_in(stranger, guarded, None)).status_code == 200


async def test_an_administrator_does_not_switch_off_the_own_one_without_a_code(timed_app, new_person, clock) -> None:
    admin = await new_person("admin", into=timed_app)
    enrolled = await admin.api.post("/auth/second-factor/enrol", json={"current_password": admin.password})
    code = pyotp.TOTP(enrolled.json()["secret"]).at(int(clock.now))
    assert (await admin.api.post("/auth/second-factor/confirm", json={"totp_code": code})).status_code == 200
    answer = await admin.api.delete(f"/users/{admin.id}/second-factor")
    assert (answer.status_code, "/auth/second-factor/disable" in answer.json()["detail"]) == (403, True)
    assert (await admin.api.get("/auth/second-factor")).json()["enabled"] is True
    refused = await timed_app.state[STATE_KEY].database.fetchval(
        "SELECT detail FROM chatops.audit_log WHERE user_id = $1 AND action = 'second_factor.switch_off'", admin.id
    )
    assert refused == "the own account"
    somebody = await new_person("admin", into=timed_app)
    assert (await somebody.api.delete(f"/users/{admin.id}/second-factor")).status_code == 204


async def require_recent(app: Any, person: Any, database: Any, *, of_everybody: bool = False) -> int:
    """The status that an order would be refused with; 200 when it would not."""
    session_id = await database.fetchval(
        "SELECT id FROM chatops.sessions WHERE user_id = $1 AND revoked_at IS NULL ORDER BY created_at LIMIT 1",
        person.id,
    )
    principal = Principal(person.id, person.username, "operator", session_id)
    try:
        await app.state[STATE_KEY].second_factors.require_recent(database, principal, of_everybody=of_everybody)
    except ProblemError as error:
        return error.problem.status
    return 200


async def test_a_recent_code_is_wanted_again_in_the_same_session(guarded, timed_app, database, stranger) -> None:
    # Confirmed just now.
    assert await require_recent(timed_app, guarded.person, database) == 200
    await database.execute(
        "UPDATE chatops.sessions SET proved_at = now() - INTERVAL '301 s' WHERE user_id = $1", guarded.person.id
    )
    assert await require_recent(timed_app, guarded.person, database) == 403
    # What is shown in another session does not count for this one.
    assert (await log_in(stranger, guarded, guarded.code())).status_code == 200
    assert await require_recent(timed_app, guarded.person, database) == 403
    guarded.clock.now += 60
    proof = await guarded.person.api.post("/auth/second-factor/prove", json={"totp_code": guarded.code()})
    assert proof.status_code == 204
    assert await require_recent(timed_app, guarded.person, database) == 200


async def test_who_has_none_is_let_through_unless_everybody_needs_one(timed_app, new_person, database) -> None:
    person = await new_person("operator", into=timed_app)
    assert await require_recent(timed_app, person, database) == 200
    assert await require_recent(timed_app, person, database, of_everybody=True) == 403
    # One that was begun and never confirmed is none.
    await person.api.post("/auth/second-factor/enrol", json={"current_password": person.password})
    assert await require_recent(timed_app, person, database, of_everybody=True) == 403


async def test_with_another_secret_key_the_app_is_useless_and_recovery_codes_work(
    guarded, build_app, database, settings, clock, client_of
) -> None:
    other = build_app(database, replace(settings, secret_key="another secret key of the very same length"), clock=clock)
    async with client_of(other) as client:
        assert (await log_in(client, guarded, guarded.code())).status_code == 401
        assert (await log_in(client, guarded, guarded.recovery_codes[0])).status_code == 200


async def test_wrong_codes_are_recorded_without_the_code(guarded, stranger, database) -> None:
    await log_in(stranger, guarded, "424242")
    row = await database.fetchrow(
        "SELECT * FROM chatops.audit_log WHERE target_id = $1 ORDER BY id DESC LIMIT 1", str(guarded.person.id)
    )
    assert (row["action"], row["result"], row["detail"], row["address"]) == (
        "auth.login",
        "refused",
        "wrong code",
        "192.0.2.80",
    )
    assert "424242" not in str(dict(row))
