"""Log-in, log-out and the guard in front of everything, through the application."""

import asyncio
import re

import pytest
from quart import Quart
from quart.testing.connections import WebsocketDisconnectError, WebsocketResponseError
from quart.typing import TestClientProtocol as Browser

from chatops_dashboards.app import create_app
from chatops_dashboards.guard import safe_next
from chatops_dashboards.settings import DashboardSettings
from chatops_protocol.dashboard_headers import BROWSER_ADDRESS_HEADER
from tests.conftest import ADMIN_PASSWORD, free_port
from tests.dashboards.conftest import ORIGIN

pytestmark = pytest.mark.anyio


async def form_token(browser: Browser) -> str:
    page = await (await browser.get("/login", headers=ORIGIN)).get_data(as_text=True)
    found = re.search(r'name="csrf" value="([^"]+)"', page)
    assert found
    return found[1]


async def log_in(browser: Browser, password: str = ADMIN_PASSWORD, target: str = "/") -> int:
    form = {"username": "admin", "password": password, "csrf": await form_token(browser), "next": target}
    response = await browser.post("/login", form=form, headers=ORIGIN)
    assert response.status_code != 303 or response.headers["Location"] == safe_next(target)
    return response.status_code


def session_of(app: Quart) -> object:
    return app.extensions["chatops"]["sessions"]


@pytest.mark.parametrize("path", ["/", "/servers/1", "/users", "/nowhere", "/servers/1?tab=history"])
async def test_pages_lead_to_the_log_in_and_remember_the_way(browser: Browser, path: str) -> None:
    response = await browser.get(path, headers=ORIGIN)
    assert response.status_code == 302
    assert response.headers["Location"].startswith("/login?next=%2F")


@pytest.mark.parametrize(
    "path", ["/_dash-layout", "/_dash-dependencies", "/_dash-component-suites/dash/deps/react.js", "/_reload-hash"]
)
async def test_nothing_of_dash_answers_without_a_session(browser: Browser, path: str) -> None:
    assert (await browser.get(path, headers=ORIGIN)).status_code == 401


async def test_no_callback_runs_without_a_session(browser: Browser) -> None:
    response = await browser.post("/_dash-update-component", json={"output": "page.children"}, headers=ORIGIN)
    assert response.status_code == 401


async def test_every_route_but_the_public_ones_is_refused_without_a_session(app: Quart, browser: Browser) -> None:
    answered = set()
    for rule in app.url_map.iter_rules():
        if rule.websocket:
            continue
        path = re.sub(r"<[^>]+>", "x", rule.rule)
        for method in sorted((rule.methods or set()) & {"GET", "POST"}):
            response = await browser.open(path, method=method, headers=ORIGIN)
            if response.status_code not in (401, 302):
                answered.add((method, rule.rule))
    assert answered == {
        ("GET", "/login"),
        ("POST", "/login"),
        ("GET", "/session"),
        ("GET", "/ready"),
        ("GET", "/_favicon.ico"),
        ("GET", "/assets/<path:filename>"),
    }


async def test_the_log_in_gives_a_cookie_that_scripts_and_other_sites_cannot_use(app: Quart, browser: Browser) -> None:
    form = {"username": "admin", "password": ADMIN_PASSWORD, "csrf": await form_token(browser), "next": "/"}
    response = await browser.post("/login", form=form, headers=ORIGIN)
    cookie = next(c for c in response.headers.getlist("Set-Cookie") if c.startswith("chatops_session"))
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert "Secure" not in cookie
    assert (await browser.get("/", headers=ORIGIN)).status_code == 200
    assert await (await browser.get("/session", headers=ORIGIN)).get_data(as_text=True) == "in"


async def test_over_tls_the_cookie_is_secure(dashboard_settings: DashboardSettings) -> None:
    origins = ("https://chatops.example",)
    app = create_app(DashboardSettings(port=free_port(), api_url=dashboard_settings.api_url, allowed_origins=origins))
    async with app.test_app():
        browser = app.test_client()
        response = await browser.get("/login", headers=ORIGIN)
        assert "Secure" in response.headers["Set-Cookie"]
        form = {"username": "admin", "password": "x", "csrf": "x"}
        from_proxy = {"Origin": "https://chatops.example", "Host": "inside:8050"}
        # Past the origin check, stopped by the form's token.
        assert "expired" in await (await browser.post("/login", form=form, headers=from_proxy)).get_data(as_text=True)


async def test_a_wrong_password_is_said_and_opens_nothing(browser: Browser) -> None:
    assert await log_in(browser, "not the password at all") == 401
    assert (await browser.get("/", headers=ORIGIN)).status_code == 302


async def test_who_guesses_shuts_out_himself_and_nobody_else(app: Quart) -> None:
    async def statuses(address: str, *passwords: str) -> list[int]:
        browser, from_there = app.test_client(), {"client": (address, 50_000)}
        found = []
        for password in passwords:
            form = {"username": "admin", "password": password, "csrf": await form_token(browser)}
            headers = ORIGIN | {"X-Forwarded-For": "198.51.100.7", BROWSER_ADDRESS_HEADER: "198.51.100.7"}
            answer = await browser.post("/login", form=form, headers=headers, scope_base=from_there)
            found.append(answer.status_code)
        return found

    guesses = ["not the password at all"] * 5
    assert await statuses("203.0.113.1", *guesses, ADMIN_PASSWORD) == [401] * 5 + [429]
    assert await statuses("203.0.113.2", ADMIN_PASSWORD) == [303]


async def test_a_form_without_its_token_is_refused(browser: Browser) -> None:
    await form_token(browser)
    form = {"username": "admin", "password": ADMIN_PASSWORD, "csrf": "guessed", "next": "/"}
    assert (await browser.post("/login", form=form, headers=ORIGIN)).status_code == 403
    assert (await browser.get("/", headers=ORIGIN)).status_code == 302


@pytest.mark.parametrize("origin", [None, "http://evil.example", "http://localhost.evil.example", "null"])
@pytest.mark.parametrize("path", ["/login", "/logout", "/_dash-update-component"])
async def test_posts_from_other_sites_are_refused(browser: Browser, path: str, origin: str | None) -> None:
    assert await log_in(browser) == 303
    headers = {"Host": "localhost"} | ({"Origin": origin} if origin else {})
    assert (await browser.post(path, headers=headers, data="{}")).status_code == 403


async def test_logging_out_needs_the_sessions_token_and_ends_the_session(app: Quart, browser: Browser) -> None:
    assert await log_in(browser) == 303
    store = app.extensions["chatops"]["sessions"]
    session = next(iter(store._sessions.values()))
    assert (await browser.post("/logout", form={"csrf": "guessed"}, headers=ORIGIN)).status_code == 403
    assert len(store) == 1
    response = await browser.post("/logout", form={"csrf": session.csrf}, headers=ORIGIN)
    assert response.headers["Location"] == "/login"
    assert len(store) == 0
    assert session.client.tokens is None
    assert (await browser.get("/", headers=ORIGIN)).status_code == 302


async def test_a_backend_that_does_not_answer_is_said(browser: Browser) -> None:
    app = create_app(DashboardSettings(port=free_port(), api_url="http://127.0.0.1:9"))
    async with app.test_app():
        lonely = app.test_client()
        form = {"username": "admin", "password": "x", "csrf": await form_token(lonely)}
        response = await lonely.post("/login", form=form, headers=ORIGIN)
        assert response.status_code == 503
        assert "does not answer" in await response.get_data(as_text=True)


async def test_a_user_name_is_shown_again_as_text(browser: Browser) -> None:
    form = {"username": '"><script>alert(1)</script>', "password": "x", "csrf": await form_token(browser)}
    page = await (await browser.post("/login", form=form, headers=ORIGIN)).get_data(as_text=True)
    assert "<script>alert" not in page
    assert "&lt;script&gt;" in page


@pytest.mark.parametrize(
    ("wanted", "target"),
    [
        ("/servers/1?tab=history", "/servers/1?tab=history"),
        (None, "/"),
        ("", "/"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example/", "/"),
        ("javascript:alert(1)", "/"),
        ("/a\r\nSet-Cookie: x=1", "/"),
        ("/login?next=/x", "/"),
        ("/x\\..\\y", "/"),
    ],
)
def test_after_log_in_one_stays_on_this_site(wanted: str | None, target: str) -> None:
    assert safe_next(wanted) == target


async def test_pages_forbid_foreign_scripts_and_frames(browser: Browser) -> None:
    policy = (await browser.get("/login", headers=ORIGIN)).headers["Content-Security-Policy"]
    scripts = next(part for part in policy.split("; ") if part.startswith("script-src"))
    assert "unsafe" not in scripts
    assert "http" not in policy
    assert "frame-ancestors 'none'" in policy


async def test_the_page_loads_nothing_from_outside(browser: Browser) -> None:
    assert await log_in(browser) == 303
    page = await (await browser.get("/", headers=ORIGIN)).get_data(as_text=True)
    assert re.findall(r'(?:src|href)="(?:https?:)?//[^"]*"', page) == []


async def test_ready_answers_everybody(browser: Browser) -> None:
    assert (await browser.get("/ready")).status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (ORIGIN, 401),
        ({"Host": "localhost"}, 403),
        ({"Host": "localhost", "Origin": "http://evil.example"}, 403),
    ],
)
async def test_sockets_need_a_session_and_this_sites_origin(
    browser: Browser, headers: dict[str, str], status: int
) -> None:
    if status == 403:
        assert await log_in(browser) == 303
    with pytest.raises(WebsocketResponseError) as caught:
        async with browser.websocket("/_dash-ws-callback", headers=headers) as socket:
            await socket.receive()
    assert caught.value.response.status_code == status


async def test_a_socket_closes_when_its_session_ends(app: Quart, browser: Browser) -> None:
    assert await log_in(browser) == 303
    session = next(iter(app.extensions["chatops"]["sessions"]._sessions.values()))
    async with asyncio.timeout(10), browser.websocket("/_dash-ws-callback", headers=ORIGIN) as socket:
        await socket.send_json({"type": "heartbeat"})
        assert "heartbeat_ack" in await socket.receive()
        session.ended.set()
        with pytest.raises(WebsocketDisconnectError) as caught:
            await socket.receive()
    assert caught.value.args[0] == 4401
