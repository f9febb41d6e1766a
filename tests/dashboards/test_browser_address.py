"""The audit log has the address from which somebody acts now, not the one from which they logged in."""

import asyncio
import secrets

import pytest
from quart import Quart
from quart.typing import TestClientProtocol as Browser

from chatops_dashboards.live import LiveViews
from tests.conftest import ADMIN_PASSWORD
from tests.dashboards.conftest import ORIGIN
from tests.dashboards.test_login import form_token
from tests.stack import Backend

pytestmark = pytest.mark.anyio
AT_LOGIN, BY_REQUEST, BY_SOCKET = "203.0.113.71", "203.0.113.72", "203.0.113.73"
WITHIN_S = 30


def from_there(address: str) -> dict[str, tuple[str, int]]:
    return {"client": (address, 50_000)}


@pytest.fixture
def person(backend: Backend) -> str:
    """Somebody whose log-ins no other test has used up."""
    name = f"acting-{secrets.token_hex(4)}"
    body = {"username": name, "password": ADMIN_PASSWORD, "role": "viewer"}
    backend.call("POST", "/users", json=body).raise_for_status()
    return name


async def log_in(browser: Browser, person: str) -> None:
    form = {"username": person, "password": ADMIN_PASSWORD, "csrf": await form_token(browser)}
    answer = await browser.post("/login", form=form, headers=ORIGIN, scope_base=from_there(AT_LOGIN))
    assert answer.status_code == 303


async def callback(browser: Browser, of: str) -> dict[str, object]:
    """What a browser sends to have the callback run that has an input of this component."""
    found = await (await browser.get("/_dash-dependencies", headers=ORIGIN)).get_json()
    [one] = [entry for entry in found if any(item["id"] == of for item in entry["inputs"])]
    filled = {
        kind: [{**item, "value": {"kind": "acting"} if item["id"] == of else None} for item in one[kind]]
        for kind in ("inputs", "state")
    }
    return {"output": one["output"], "outputs": [], "changedPropIds": [f"{of}.data"], **filled}


def addresses(backend: Backend, person: str, action: str) -> list[str]:
    """Newest first."""
    entries = (
        backend.call("GET", "/audit", params={"action": action, "actor": person}).raise_for_status().json()["items"]
    )
    return [entry["address"] for entry in entries]


async def test_an_act_by_request_has_the_address_of_that_request(app: Quart, backend: Backend, person: str) -> None:
    browser = app.test_client()
    await log_in(browser, person)
    [session] = app.extensions["chatops"]["sessions"]._sessions.values()
    headers = ORIGIN | {"X-Forwarded-For": "198.51.100.7", "Remote-Addr": "198.51.100.7"}
    form = {"csrf": session.csrf}
    await browser.post("/logout", form=form, headers=headers, scope_base=from_there(BY_REQUEST))
    assert addresses(backend, person, "auth.logout") == [BY_REQUEST]
    assert addresses(backend, person, "auth.login") == [AT_LOGIN]


async def test_an_act_over_the_socket_has_the_address_of_that_socket(app: Quart, backend: Backend, person: str) -> None:
    browser, views = app.test_client(), app.extensions["chatops"]["views"]
    assert isinstance(views, LiveViews)
    done = asyncio.Event()

    async def act(session, view, zone, push) -> None:  # type: ignore[no-untyped-def]
        await session.client.update_me("by socket")
        done.set()

    views.add("acting", act)
    await log_in(browser, person)
    message = {"type": "callback_request", "requestId": "1", "payload": await callback(browser, "live-view")}
    async with (
        asyncio.timeout(WITHIN_S),
        browser.websocket("/_dash-ws-callback", headers=ORIGIN, scope_base=from_there(BY_SOCKET)) as socket,
    ):
        await socket.send_json(message)
        await done.wait()
    [newest, *_] = backend.call("GET", "/audit", params={"actor": person}).json()["items"]
    assert (newest["action"], newest["address"]) == ("user.update", BY_SOCKET)
