"""Administrators limit people to servers and end their sessions in Chromium; it counts where they look."""

import time

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Stack, Watched, keep
from tests.browser.steps import fits, log_in
from tests.browser.test_account import PASSWORD, make_user

pytestmark = pytest.mark.browser
PATIENCE_MS = 30_000


def log_in_as(page: Page, stack: Stack, name: str) -> None:
    page.goto(stack.url)
    page.fill("#username", name)
    page.fill("#password", PASSWORD)
    page.click("button[type=submit]")
    page.wait_for_selector("#page h1")


def test_a_limit_is_said_saved_and_counts_on_a_page_that_is_open(watched: Watched, stack: Stack) -> None:
    tag, name = f"tag{time.time_ns()}", make_user(stack)
    server_id, _ = stack.backend.add_server(f"limited {time.time_ns()}")
    stack.backend.call("PUT", f"/servers/{server_id}", json={"tags": [tag]}).raise_for_status()
    theirs, page = watched.page(), watched.page()
    log_in_as(theirs, stack, name)
    expect(theirs.get_by_role("link", name="web-01", exact=True)).to_be_visible(timeout=PATIENCE_MS)
    log_in(page, stack.url, "/users")
    page.get_by_role("button", name=f"Servers: {name}").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("sees all servers")
    dialog.get_by_text("Only these").click()
    expect(dialog).to_contain_text("sees no server at all")
    page.locator("#limits-tags").fill(tag)
    page.keyboard.press("Enter")
    expect(dialog).to_contain_text("sees and acts on 1 of")
    page.get_by_text("Servers of").click()
    keep(page, "users-limits")
    dialog.get_by_role("button", name="Save").click()
    expect(page.locator("tr").filter(has_text=name)).to_contain_text(f"those tagged {tag}")
    expect(theirs.get_by_role("link", name="web-01", exact=True)).to_have_count(0, timeout=PATIENCE_MS)
    expect(theirs.get_by_text("limited")).to_be_visible()


def test_the_end_of_another_persons_session_is_asked_for_and_logs_them_out(watched: Watched, stack: Stack) -> None:
    name = make_user(stack)
    theirs, page = watched.page(), watched.page(viewport={"width": 380, "height": 800})
    log_in_as(theirs, stack, name)
    log_in(page, stack.url, "/users")
    page.get_by_role("button", name=f"Sessions: {name}").click()
    page.get_by_role("button", name="End the session of Chrome").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(f"of “{name}”, who can log in again")
    assert fits(page)
    keep(page, "users-session-380")
    dialog.get_by_role("button", name="End", exact=True).click()
    expect(dialog).to_contain_text("Nobody is logged in with this account")
    theirs.wait_for_url("**/login?next=*", timeout=PATIENCE_MS)
    # What the browser says of the refusal that brought them there.
    watched.complaints[:] = [said for said in watched.complaints if "401" not in said]
