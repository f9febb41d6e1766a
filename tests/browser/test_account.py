"""One's own account in Chromium: a second factor from its picture to a log-in with a code, sessions that end."""

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncpg
import pyotp
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Stack, Watched, keep
from tests.browser.steps import fits, until
from tests.hosts import Host

pytestmark = pytest.mark.browser

PASSWORD = "the first password"
PATIENCE_MS = 30_000


@pytest.fixture
def shell_host(stack: Stack, tmp_path: Path) -> Iterator[Host]:
    host = Host(stack.backend, tmp_path, CHATOPS_ALLOW_COMMANDS="shell").start()
    yield host
    host.stop()


def make_proofs_old(stack: Stack) -> None:
    """As if every code had been shown more than five minutes ago."""
    address = stack.backend.settings.database_url
    if address is None:
        pytest.skip("the embedded database takes no second process")

    async def make() -> None:
        connection = await asyncpg.connect(address)
        await connection.execute("UPDATE chatops.sessions SET proved_at = proved_at - INTERVAL '301 s'")
        await connection.close()

    # Playwright holds the event loop of this thread.
    with ThreadPoolExecutor(1) as aside:
        aside.submit(asyncio.run, make()).result()


def make_user(stack: Stack, role: str = "viewer") -> str:
    asked = {"username": f"person-{time.time_ns()}", "password": PASSWORD, "role": role}
    name: str = stack.backend.call("POST", "/users", json=asked).raise_for_status().json()["username"]
    return name


def log_in(page: Page, stack: Stack, name: str) -> None:
    page.goto(f"{stack.url}/account")
    page.fill("#username", name)
    page.fill("#password", PASSWORD)
    page.click("button[type=submit]")


def another_session(stack: Stack, name: str) -> None:
    login = {"username": name, "password": PASSWORD}
    stack.backend.call("POST", "/auth/login", json=login).raise_for_status()


@pytest.mark.parametrize(("theme", "width"), [("light", 1440), ("dark", 380)])
def test_a_second_factor_is_set_up_and_a_code_of_it_logs_in(
    watched: Watched, stack: Stack, theme: str, width: int
) -> None:
    name = make_user(stack)
    options = {"color_scheme": theme, "viewport": {"width": width, "height": 900}}
    page = watched.page(**options)
    log_in(page, stack, name)
    page.fill("#factor-password", PASSWORD)
    page.locator("#factor-enrol").click()
    expect(page.locator("img.qr")).to_be_visible()
    assert page.evaluate("document.querySelector('img.qr').naturalWidth") > 100
    assert fits(page)
    keep(page, f"account-enrol-{theme}-{width}")
    app = pyotp.TOTP(page.locator("#factor-secret").inner_text())
    page.fill("#factor-code", app.now())
    page.locator("#factor-confirm").click()
    recovery = page.locator("#factor-recovery").inner_text().split()
    assert len(recovery) == 10
    page.get_by_role("button", name="I have kept them").click()
    expect(page.locator("#factor-panel")).to_contain_text("10 recovery codes are left")
    until(lambda: recovery[0] not in page.content(), "the recovery codes leave the page")
    keep(page, f"account-{theme}-{width}")

    page = watched.page(**options)
    log_in(page, stack, name)
    page.fill("#totp_code", app.at(int(time.time()) + 30))
    keep(page, f"login-code-{theme}-{width}")
    page.click("button[type=submit]")
    expect(page.locator("#page h1")).to_have_text("Account")
    page.fill("#factor-code", recovery[0])
    page.locator("#factor-disable").click()
    expect(page.locator("#factor-message")).to_contain_text("The second factor is off")


def test_other_sessions_end_when_it_was_said_what_follows(watched: Watched, stack: Stack) -> None:
    name, page = make_user(stack), watched.page()
    for _ in range(3):
        another_session(stack, name)
    log_in(page, stack, name)
    rows = page.locator("#sessions-table tbody tr")
    expect(rows).to_have_count(4)
    expect(rows.filter(has_text="This one")).to_contain_text("Chrome on Linux")
    page.get_by_role("button", name="End the session of").first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("commands that it gave and that still run are cancelled")
    dialog.get_by_role("button", name="Cancel").click()
    expect(rows).to_have_count(4)
    page.get_by_role("button", name="End the session of").first.click()
    dialog.get_by_role("button", name="End", exact=True).click()
    expect(rows).to_have_count(3)
    page.get_by_role("button", name="End all others").click()
    expect(dialog).to_contain_text("your 2 other sessions")
    dialog.get_by_role("button", name="End", exact=True).click()
    expect(rows).to_have_count(1)


def test_a_shell_command_asks_for_a_recent_code_and_runs_when_it_was_shown(
    watched: Watched, stack: Stack, shell_host: Host
) -> None:
    name, page = make_user(stack, "operator"), watched.page()
    log_in(page, stack, name)
    page.fill("#factor-password", PASSWORD)
    page.locator("#factor-enrol").click()
    app = pyotp.TOTP(page.locator("#factor-secret").inner_text())
    page.fill("#factor-code", app.now())
    page.locator("#factor-confirm").click()
    recovery = page.locator("#factor-recovery").inner_text().split()
    page.get_by_role("button", name="I have kept them").click()
    make_proofs_old(stack)
    page.goto(f"{stack.url}/servers/{shell_host.server_id}?tab=console")
    page.fill("#console-line", "echo it ran $((40 + 2))")
    page.locator("#console-run").click()
    page.get_by_role("button", name="Show a code…").click()
    page.fill("#prove-code", "000000")
    page.locator("#prove-submit").click()
    expect(page.locator("#prove-message")).to_contain_text("The code is wrong")
    page.fill("#prove-code", recovery[0])
    page.locator("#prove-submit").click()
    expect(page.locator("#prove-message")).to_contain_text("good for five minutes")
    keep(page, "prove")
    page.keyboard.press("Escape")
    page.locator("#console-run").click()
    expect(page.get_by_text("it ran 42")).to_be_visible(timeout=PATIENCE_MS)


def test_ones_name_is_changed_here_and_in_the_header(watched: Watched, stack: Stack) -> None:
    page = watched.page()
    log_in(page, stack, make_user(stack))
    page.fill("#profile-name", "Ann of Operations")
    page.locator("#profile-save").click()
    expect(page.locator("#account-name")).to_have_text("Ann of Operations")
    page.get_by_role("button", name="Change password…").click()
    expect(page.get_by_role("dialog")).to_contain_text("Current password")
