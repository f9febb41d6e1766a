"""The server page keeps up with its server without a reload: its state, its name, its axes, its ranges."""

import re
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from chatops_dashboards.pages.server import TABS as ALL_TABS
from tests.browser.conftest import Host, Stack, Watched, keep
from tests.browser.steps import fits, log_in, until
from tests.reporting import Reporter, readings

pytestmark = pytest.mark.browser
# Three intervals of an agent (15 s at least) and the backend's look at its servers.
QUIET_MS = 60_000
# A busy machine draws several pages slowly; nothing here is about speed.
PATIENCE_MS = 30_000
# The one that draws most comes last.
TABS = ("history", "processes", "settings", "live")


@pytest.fixture
def leaving(stack: Stack) -> Iterator[Host]:
    """A host that may stop."""
    host = Host(stack.backend, f"leaving {time.time()}")
    host.start()
    yield host
    host.stop()


def seen_at(page: Page) -> str | None:
    return page.locator("#server-seen time").get_attribute("datetime")


def test_the_head_tells_on_every_tab_that_the_agent_stopped_and_came_back(
    watched: Watched, stack: Stack, leaving: Host
) -> None:
    context, pages = watched.context(), {}
    for tab in TABS:
        page = pages[tab] = context.new_page()
        address = f"/servers/{leaving.server_id}?tab={tab}"
        page.goto(stack.url + address) if pages.keys() - {tab} else log_in(page, stack.url, address)
        expect(page.locator("#server-status")).to_have_text("Online")
        first = seen_at(page)
        until(lambda page=page, first=first: seen_at(page) != first, f"last seen moves on {tab}", 60)
        expect(page.locator("#server-notice")).to_be_empty()
    leaving.stop()
    for tab, page in pages.items():
        expect(page.locator("#server-status")).to_have_text("Offline", timeout=QUIET_MS)
        expect(page.locator("#server-notice")).to_contain_text("No new data since", timeout=PATIENCE_MS)
        keep(page, f"server-offline-{tab}")
    expect(pages["live"].locator("#live-note")).to_contain_text("Not live", timeout=PATIENCE_MS)
    again = Reporter(stack.backend.agents_url, leaving.key)
    again.report([(time.time(), readings(30.0))])
    for page in pages.values():
        expect(page.locator("#server-status")).to_have_text("Online", timeout=PATIENCE_MS)
        expect(page.locator("#server-notice")).to_be_empty(timeout=PATIENCE_MS)
        again.report([(time.time(), readings(30.0))])
    expect(pages["live"].locator("#live-note")).to_contain_text("Live", timeout=PATIENCE_MS)
    again.close()


def test_paused_charts_stand_still_and_the_head_does_not(watched: Watched, stack: Stack, leaving: Host) -> None:
    page = watched.page()
    log_in(page, stack.url, f"/servers/{leaving.server_id}")
    page.wait_for_selector("#live-read-at")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#live-note")).to_contain_text("Paused at")
    first = seen_at(page)
    until(lambda: seen_at(page) != first, "last seen moves", 60)


def test_a_new_name_is_in_heading_title_and_the_question_before_deletion(
    watched: Watched, stack: Stack, leaving: Host
) -> None:
    page = watched.page()
    log_in(page, stack.url, f"/servers/{leaving.server_id}?tab=settings")
    expect(page).to_have_title(re.compile("^leaving"))
    name = f"renamed {time.time()}"
    page.fill("#settings-name", name)
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#settings-message")).to_contain_text("Saved", timeout=PATIENCE_MS)
    expect(page.get_by_role("heading", level=1)).to_have_text(name)
    expect(page).to_have_title(f"{name} · ChatOps", timeout=PATIENCE_MS)
    page.get_by_role("button", name="Delete server…").click()
    expect(page.get_by_role("dialog")).to_contain_text(name)
    keep(page, "server-delete")
    page.get_by_role("button", name="Cancel").click()
    elsewhere = f"by another {time.time()}"
    stack.backend.call("PUT", f"/servers/{leaving.server_id}", json={"name": elsewhere}).raise_for_status()
    expect(page.get_by_role("heading", level=1)).to_have_text(elsewhere, timeout=PATIENCE_MS)
    expect(page).to_have_title(f"{elsewhere} · ChatOps")


def test_a_deleted_server_is_said(watched: Watched, stack: Stack) -> None:
    server_id, _ = stack.backend.add_server(f"gone {time.time()}")
    page = watched.page()
    log_in(page, stack.url, f"/servers/{server_id}?tab=history")
    page.wait_for_selector("#history-charts .panel")
    stack.backend.call("DELETE", f"/servers/{server_id}").raise_for_status()
    expect(page.locator("#server-notice")).to_contain_text("deleted", timeout=PATIENCE_MS)


def test_all_tabs_are_in_sight_on_a_phone(watched: Watched, stack: Stack) -> None:
    page = watched.page(viewport={"width": 380, "height": 800})
    log_in(page, stack.url, f"/servers/{stack.host.server_id}")
    page.wait_for_selector("#live-read-at")
    tabs = page.get_by_role("tab").all()
    assert len(tabs) == len(ALL_TABS)
    for tab in tabs:
        expect(tab).to_be_in_viewport(ratio=1.0)
    assert fits(page)


def test_a_range_of_ones_own_starts_with_the_one_shown(watched: Watched, stack: Stack) -> None:
    page = watched.page()
    log_in(page, stack.url, f"/servers/{stack.host.server_id}?tab=history")
    page.locator("#history-preset").get_by_text("7 d", exact=True).click()
    page.wait_for_url("**range=7d*")
    shown = page.locator("#history-range").inner_text()
    page.locator("#history-preset").get_by_text("Custom", exact=True).click()
    page.wait_for_url("**start=*end=*")
    expect(page.locator("#history-range")).to_have_text(shown)
    expect(page.locator("#history-start")).to_contain_text(shown[:16])
    keep(page, "server-history-custom")


def test_an_axis_writes_its_unit_after_a_space(watched: Watched, stack: Stack) -> None:
    page = watched.page()
    log_in(page, stack.url, f"/servers/{stack.host.server_id}")
    page.wait_for_selector("#live-read-at")
    for chart in ("disk", "network"):
        ticks = page.locator(f"#live-chart-{chart} .ytick text").all_text_contents()
        assert ticks
        assert all(re.fullmatch(r"[\d.,]+ [kMG]?B/s", text) for text in ticks), ticks
