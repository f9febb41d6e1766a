"""Explore in Chromium: from a metric's meaning to its chart, to what explains a stretch, and back by a saved view."""

import re
import time

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Stack, Watched, keep
from tests.browser.steps import fits, log_in, until
from tests.browser.test_account import make_user
from tests.browser.test_user_access import log_in_as

pytestmark = pytest.mark.browser
PATIENCE_MS = 60_000
CHART = "#explore-charts .js-plotly-plot"


def choose(page: Page, field: str, search: str, option: str | re.Pattern[str]) -> None:
    page.locator(field).click()
    page.locator(field).fill(search)
    page.get_by_role("option", name=option).first.click()


def shown_series(page: Page) -> int:
    """How many lines of series the first chart shows."""
    return int(
        page.evaluate(
            f"(document.querySelector('{CHART}')?.data || [])"
            ".filter((trace) => trace.meta?.series && !trace.meta.band && trace.visible !== false).length"
        )
    )


def drag_over(page: Page, first: float, last: float) -> None:
    """Over the middle of the first chart, from and to these shares of its width."""
    box = page.locator(f"{CHART} .nsewdrag").first.bounding_box()
    assert box
    height = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * first, height)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * (first + last) / 2, height + 5, steps=5)
    page.mouse.move(box["x"] + box["width"] * last, height, steps=5)
    page.mouse.up()


def test_a_metric_is_found_by_its_meaning_and_a_stretch_of_it_is_explained(watched: Watched, stack: Stack) -> None:
    other, _ = stack.backend.add_server(f"silent {time.time_ns()}")
    page = watched.page()
    log_in(page, stack.url, "/explore")
    expect(page.get_by_role("heading", name="Choose a metric")).to_be_visible()
    for words in ("disk full", "used  Filesystem"):
        page.locator("#explore-metrics").fill(words)
        expect(page.get_by_role("option", name="filesystem.used_percent")).to_be_visible()
        expect(page.get_by_role("option", name="host.load_1m")).to_have_count(0)
    choose(page, "#explore-metrics", "busy share of the core", re.compile("cpu.cpu_percent"))
    choose(page, "#explore-servers", "web-01", "web-01")
    page.keyboard.press("Escape")
    page.locator("#explore-preset").get_by_text("15 min").click()
    page.wait_for_selector(f"{CHART} .main-svg")
    expect(page).to_have_url(re.compile(rf"metric=cpu.cpu_percent&server={stack.host.server_id}&range=15m"))
    until(lambda: shown_series(page) == 2, "two cores")
    # By the keyboard alone.
    alone = page.locator(".explore-legend-entry").first
    alone.focus()
    page.keyboard.press("Enter")
    expect(alone).to_have_attribute("aria-pressed", "true")
    until(lambda: shown_series(page) == 1, "one core alone")
    page.keyboard.press("Enter")
    until(lambda: shown_series(page) == 2, "both cores again")
    drag_over(page, 0.7, 0.98)
    expect(page.locator("#explore-selected")).to_contain_text("Chosen:")
    page.get_by_role("button", name="Explain this").click()
    for title in ("Is it unusual?", "What moved with it?"):
        expect(page.get_by_role("region", name=title)).to_be_visible(timeout=PATIENCE_MS)
    keep(page, "explore-explained")
    page.get_by_role("button", name="Zoom in").click()
    expect(page).to_have_url(re.compile("start=.*end="))
    page.locator("#explore-view").get_by_text("Table").click()
    expect(page.locator("#explore-table .ag-row").first).to_be_visible()
    page.locator("#explore-view").get_by_text("Heat map").click()
    page.wait_for_selector("#explore-heat .main-svg")
    keep(page, "explore-heat")
    page.get_by_role("link", name="web-01").click()
    expect(page).to_have_url(re.compile(rf"/servers/{stack.host.server_id}\?at="))
    stack.backend.call("DELETE", f"/servers/{other}")


def test_a_view_is_saved_opened_renamed_and_deleted(watched: Watched, stack: Stack) -> None:
    name = f"mine {time.time_ns()}"
    page = watched.page()
    log_in(page, stack.url, f"/explore?metric=host.load_1m&server={stack.host.server_id}&range=15m")
    page.wait_for_selector(f"{CHART} .main-svg")
    page.get_by_role("button", name="Save view…").click()
    page.get_by_role("dialog").locator("#explore-name").fill(name)
    page.get_by_role("dialog").get_by_role("button", name="Save").click()
    expect(page.locator("#explore-saved-message")).to_have_text(f"Saved: {name}")
    page.goto(f"{stack.url}/explore")
    page.wait_for_selector(".explore-examples")
    choose(page, "#explore-saved", name, name)
    page.wait_for_selector(f"{CHART} .main-svg")
    expect(page).to_have_url(re.compile(rf"metric=host.load_1m&server={stack.host.server_id}&range=15m"))
    page.get_by_role("button", name="Rename…").click()
    expect(page.locator("#explore-name")).to_have_value(name)
    page.locator("#explore-name").fill(f"{name} too")
    page.get_by_role("dialog").get_by_role("button", name="Save").click()
    expect(page.locator("#explore-saved-message")).to_have_text(f"Renamed: {name} too")
    page.get_by_role("button", name="Delete…").click()
    expect(page.get_by_role("dialog")).to_contain_text(f"The view “{name} too” is deleted for good")
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.locator("#explore-saved-message")).to_have_text("Deleted.")
    page.locator(".explore-python-box summary").click()
    expect(page.locator("#explore-python")).to_contain_text("client.query(")
    with page.expect_download() as download:
        page.locator("#explore-download-csv").click()
    assert download.value.suggested_filename.endswith(".csv")


def test_who_is_limited_finds_own_servers_only(watched: Watched, stack: Stack) -> None:
    name, own = make_user(stack), f"own {time.time_ns()}"
    server_id, _ = stack.backend.add_server(own)
    users = stack.backend.call("GET", "/users?limit=1000").json()["items"]
    user_id = next(user["id"] for user in users if user["username"] == name)
    stack.backend.call(
        "PUT", f"/users/{user_id}", json={"all_servers": False, "server_ids": [server_id]}
    ).raise_for_status()
    page = watched.page(viewport={"width": 380, "height": 800})
    log_in_as(page, stack, name)
    page.goto(f"{stack.url}/explore?metric=host.cpu_percent&server={stack.host.server_id}")
    expect(page.get_by_role("heading", name="No such server")).to_be_visible(timeout=PATIENCE_MS)
    page.locator("#explore-servers").click()
    expect(page.get_by_role("option", name=own)).to_be_visible()
    expect(page.get_by_role("option", name="web-01")).to_have_count(0)
    assert fits(page)
    keep(page, "explore-limited-380")
