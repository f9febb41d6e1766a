"""Log-in of somebody who has a second factor, through the application."""

import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pyotp
import pytest
from quart.typing import TestClientProtocol as Browser

from chatops_client import Client
from tests.conftest import ADMIN_PASSWORD
from tests.dashboards.conftest import ORIGIN
from tests.dashboards.test_login import form_token
from tests.stack import Backend

pytestmark = pytest.mark.anyio

PASSWORD = "correct horse battery"


@dataclass
class Person:
    name: str
    app: pyotp.TOTP
    recovery: list[str]
    client: Client


@pytest.fixture
def person(backend: Backend) -> Iterator[Person]:
    name = f"careful-{secrets.token_hex(4)}"
    with Client(backend.url, username="admin", password=ADMIN_PASSWORD) as admin:
        admin.create_user(name, PASSWORD, "viewer")
    with Client(backend.url, username=name, password=PASSWORD) as client:
        app = pyotp.TOTP(client.account.enrol(PASSWORD).secret)
        yield Person(name, app, client.account.confirm(app.now()), client)


async def send(browser: Browser, **form: str) -> tuple[int, str]:
    response = await browser.post("/login", form={"csrf": await browser_token(browser), **form}, headers=ORIGIN)
    return response.status_code, await response.get_data(as_text=True)


async def browser_token(browser: Browser) -> str:
    """That of the form that is open; a look at ``/login`` would begin anew."""
    for cookie in browser.cookie_jar or ():
        if cookie.name.startswith("chatops_login"):
            return str(cookie.value)
    return await form_token(browser)


async def test_a_right_password_leads_to_the_code_and_the_code_in(browser: Browser, person: Person) -> None:
    status, page = await send(browser, username=person.name, password=PASSWORD)
    assert status == 200
    assert 'name="totp_code"' in page
    assert PASSWORD not in page
    code = person.app.at(int(time.time()) + 30)
    status, _ = await send(browser, totp_code=f"{code[:3]} {code[3:]}")
    assert status == 303


async def test_a_wrong_code_is_said_and_another_may_be_tried(browser: Browser, person: Person) -> None:
    await send(browser, username=person.name, password=PASSWORD)
    for wrong in ("000000", " ", "x" * 900):
        status, page = await send(browser, totp_code=wrong)
        assert status in (400, 401)
        assert 'name="totp_code"' in page
        assert "message" in page
    assert (await send(browser, totp_code=person.recovery[0]))[0] == 303


async def test_a_code_without_a_password_before_it_opens_nothing(browser: Browser, person: Person) -> None:
    status, page = await send(browser, username=person.name, totp_code=person.recovery[0])
    assert status == 403
    assert 'name="password"' in page


async def test_to_start_again_forgets_the_password(browser: Browser, person: Person) -> None:
    await send(browser, username=person.name, password=PASSWORD)
    await browser.get("/login", headers=ORIGIN)
    assert (await send(browser, totp_code=person.recovery[0]))[0] == 403


async def test_a_wrong_password_asks_for_no_code(browser: Browser, person: Person) -> None:
    status, page = await send(browser, username=person.name, password="not the password at all")
    assert status == 401
    assert 'name="totp_code"' not in page


async def test_the_browser_is_named_in_the_list_of_sessions(browser: Browser, person: Person) -> None:
    agent = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"}
    token = await form_token(browser)
    form = {"username": person.name, "password": PASSWORD, "csrf": token}
    await browser.post("/login", form=form, headers={**ORIGIN, **agent})
    code = {"totp_code": person.recovery[1], "csrf": token}
    response = await browser.post("/login", form=code, headers={**ORIGIN, **agent})
    assert response.status_code == 303
    assert agent["User-Agent"] in {session.client for session in person.client.account.sessions()}
