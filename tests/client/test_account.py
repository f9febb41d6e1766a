"""Sessions and the second factor through the clients, against the real backend."""

import secrets
import time

import pyotp
import pytest

from chatops_client import ApiError, AsyncClient, Client
from tests.stack import Backend

pytestmark = pytest.mark.anyio

PASSWORD = "correct horse battery"


def person(client: Client) -> tuple[int, str]:
    user = client.create_user(f"person-{secrets.token_hex(4)}", PASSWORD, "viewer")
    return user.id, user.username


def test_ones_own_sessions_are_listed_and_the_others_end(backend: Backend, client: Client) -> None:
    _, name = person(client)
    with Client(backend.url, username=name, password=PASSWORD) as here:
        elsewhere = [Client(backend.url, username=name, password=PASSWORD) for _ in range(3)]
        sessions = here.account.sessions()
        assert sorted(session.current for session in sessions) == [False] * 3 + [True]
        here.account.end_session(next(session.id for session in sessions if not session.current))
        assert len(here.account.sessions()) == 3
        here.account.end_sessions()
        assert [session.current for session in here.account.sessions()] == [True]
        for other in elsewhere:
            with pytest.raises(ApiError, match="401"):
                other.me()
            other.close()


async def test_an_administrator_ends_sessions_of_others(backend: Backend, client: Client) -> None:
    user_id, name = person(client)
    async with AsyncClient(backend.url) as other:
        await other.login(name, PASSWORD)
        [session] = client.account.sessions(user_id)
        assert (await other.account.sessions())[0].id == session.id
        client.account.end_session(session.id, user_id)
        with pytest.raises(ApiError, match="401"):
            await other.me()
        await other.login(name, PASSWORD)
        client.account.end_sessions(user_id)
        assert client.account.sessions(user_id) == []


def test_a_second_factor_from_enrolment_to_its_loss(backend: Backend, client: Client) -> None:
    user_id, name = person(client)
    with Client(backend.url, username=name, password=PASSWORD) as here:
        assert not here.account.second_factor().enabled
        enrolled = here.account.enrol(PASSWORD)
        assert enrolled.secret in enrolled.otpauth_uri
        app = pyotp.TOTP(enrolled.secret)
        # Each code is good once; that of the next period is taken too.
        recovery = here.account.confirm(app.now())
        assert here.account.second_factor().enabled
        with pytest.raises(ApiError) as needed:
            Client(backend.url, username=name, password=PASSWORD)
        assert (needed.value.status, needed.value.extra[0]["key"]) == (401, "totp_code")
        with Client(backend.url) as again:
            with pytest.raises(ApiError) as wrong:
                again.login(name, PASSWORD, "000000")
            assert (wrong.value.status, wrong.value.extra[0]["key"]) == (401, "totp_code")
            assert again.login(name, PASSWORD, app.at(int(time.time()) + 30)).second_factor
            again.account.prove(recovery[0])
            assert len(again.account.renew_recovery_codes(recovery[1])) == len(recovery)
    client.account.disable_of(user_id)
    with Client(backend.url, username=name, password=PASSWORD) as last:
        assert not last.account.second_factor().enabled


def test_ones_own_second_factor_is_switched_off_by_a_code(backend: Backend, client: Client) -> None:
    _, name = person(client)
    with Client(backend.url, username=name, password=PASSWORD) as here:
        app = pyotp.TOTP(here.account.enrol(PASSWORD).secret)
        here.account.confirm(app.now())
        here.account.disable(app.at(int(time.time()) + 30))
        assert not here.account.second_factor().enabled
