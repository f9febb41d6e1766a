"""The audit log in Chromium: found by filters, read as a difference, verified; and not for others."""

import re
import secrets

import pytest
from playwright.sync_api import Route, expect

from tests.browser.conftest import Stack, Watched, keep
from tests.browser.steps import fits, log_in, until
from tests.conftest import ADMIN_PASSWORD

pytestmark = pytest.mark.browser
HOSTILE = "<img src=x onerror=alert(1)>"


def test_a_change_is_found_read_and_the_chain_verified(watched: Watched, stack: Stack) -> None:
    name = f"audited-{secrets.token_hex(4)}"
    server_id, _ = stack.backend.add_server(name)
    change = {"description": HOSTILE}
    stack.backend.call("PATCH", f"/servers/{server_id}", json=change).raise_for_status()
    page = watched.page()
    log_in(page, stack.url, "/audit")
    page.locator("#audit-search").fill(name)
    page.locator("#audit-action").fill("server.update")
    found = page.locator("#audit-entries .ag-center-cols-container .ag-row")
    expect(found).to_have_text([re.compile(f"server {name}")])
    found.click()
    expect(page.locator("#audit-entry")).to_contain_text("description")
    expect(page.locator("#audit-entry .diff-after")).to_contain_text(HOSTILE)
    page.wait_for_url("**/audit?*action=server.update*")
    page.locator("#audit-verify").click()
    expect(page.locator("#audit-verified")).to_contain_text("The chain is whole")
    keep(page, "audit")
    page.locator("#audit-search").fill("nothing has this in it")
    expect(page.get_by_text("No entry matches")).to_be_visible()
    page.reload()
    expect(page.get_by_text("No entry matches")).to_be_visible()


def test_a_filter_that_changes_while_rows_are_on_their_way_is_obeyed(watched: Watched, stack: Stack) -> None:
    name = f"in-between-{secrets.token_hex(4)}"
    stack.backend.add_server(name)
    stack.backend.add_server(f"another-{name[11:]}")
    page = watched.page()
    log_in(page, stack.url)
    held: list[Route] = []

    def hold_the_first_rows(route: Route) -> None:
        if not held and "getRowsRequest" in (route.request.post_data or ""):
            held.append(route)
        else:
            route.continue_()

    page.route("**/_dash-update-component*", hold_the_first_rows)
    page.goto(f"{stack.url}/audit")
    page.locator("#audit-search").fill(name)
    page.locator("#audit-action").fill("server.create")
    page.wait_for_url("**/audit?*action=server.create*")
    until(lambda: bool(held), "the first rows are asked for")
    held[0].continue_()
    found = page.locator("#audit-entries .ag-center-cols-container .ag-row")
    expect(found).to_have_text([re.compile(f"server {name}")])


def test_a_long_list_comes_page_by_page_as_it_is_scrolled(watched: Watched, stack: Stack) -> None:
    wanted = 120
    for _ in range(wanted):
        answer = stack.backend.call(
            "PATCH", f"/servers/{stack.host.server_id}", json={"description": secrets.token_hex(4)}
        )
        answer.raise_for_status()
    page = watched.page()
    log_in(page, stack.url, "/audit?action=server.update&search=web-01")
    first = page.locator("#audit-entries .ag-center-cols-container .ag-row[row-index='0']")
    expect(first).to_contain_text("server.update")
    first.hover()
    # A row that has been read is never empty: its page came.
    last = page.locator("#audit-entries .ag-center-cols-container .ag-row").filter(has_text="server.update")
    for index in range(10, wanted, 10):
        page.mouse.wheel(0, 360)
        expect(last.and_(page.locator(f"[row-index='{index}']"))).to_have_count(1)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone(watched: Watched, stack: Stack, scheme: str) -> None:
    page = watched.page(viewport={"width": 380, "height": 800}, color_scheme=scheme)
    log_in(page, stack.url, "/audit")
    expect(page.locator("#audit-entries .ag-row").first).to_be_visible()
    page.locator("#audit-entries .ag-center-cols-container .ag-row").first.click()
    expect(page.locator("#audit-entry")).to_contain_text("Entry")
    assert fits(page)
    keep(page, f"audit-380-{scheme}")


def test_only_administrators_have_it(watched: Watched, stack: Stack) -> None:
    name = f"operator-{secrets.token_hex(4)}"
    user = {"username": name, "password": ADMIN_PASSWORD, "role": "operator"}
    stack.backend.call("POST", "/users", json=user).raise_for_status()
    page = watched.page()
    page.goto(f"{stack.url}/audit")
    page.fill("#username", name)
    page.fill("#password", ADMIN_PASSWORD)
    page.click("button[type=submit]")
    expect(page.get_by_text("Only administrators see this page.")).to_be_visible()
    expect(page.get_by_role("link", name="Audit")).to_have_count(0)
