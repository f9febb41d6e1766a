"""Time travel on a server's page in Chromium: a moment of which something is known, on every tab, and back."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Stack, Watched, keep
from tests.browser.steps import fits, log_in, open_tab, until
from tests.hosts import Host
from tests.reporting import Reporter, readings

pytestmark = pytest.mark.browser
PATIENCE_MS = 30_000
LONG_AGO_S = 1200


@dataclass(frozen=True)
class Lived:
    """A server, a moment at which only `oldbase` ran on it, and a later one just after a command and a log line."""

    server_id: int
    first: str
    second: str
    line: str


def address(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture(scope="module")
def lived(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lived]:
    directory, line = tmp_path_factory.mktemp("lived"), f"mark-{time.time_ns()}"
    file = directory / "app.log"
    file.touch()
    host = Host(stack.backend, directory, CHATOPS_LOG_FILES=str(file), CHATOPS_ALLOW_COMMANDS="shell")
    first = int(time.time()) - LONG_AGO_S
    reporter = Reporter(stack.backend.agents_url, host.key)
    reporter.report([(first - 60 + 5 * n, readings(77.0, process="oldbase", mountpoint="/old")) for n in range(25)])
    reporter.close()
    host.start()
    with file.open("a") as lines:
        lines.write(f"INFO {line}\n")
    host.post(command="echo known-command", wait_s=20).raise_for_status()
    host.until(lambda: any(line in found["message"] for found in lines_of(host)), 60)
    second = int(time.time()) + 1
    host.until(lambda: newest_reading(host) > second, 60)
    yield Lived(host.server_id, address(first), address(second), line)
    host.stop()


def lines_of(host: Host) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = host.backend.call("GET", f"/logs/{host.server_id}").raise_for_status().json()["items"]
    return found


def newest_reading(host: Host) -> float:
    time_text = host.backend.call("GET", f"/metrics/{host.server_id}/latest").raise_for_status().json()["time"]
    return datetime.fromisoformat(time_text).timestamp() if time_text else 0.0


def moment_in_address(page: Page) -> str:
    found: str = page.evaluate("new URLSearchParams(location.search).get('at') || ''")
    return found


def test_every_tab_shows_the_moment_and_one_click_leads_back(watched: Watched, stack: Stack, lived: Lived) -> None:
    page = watched.page()
    log_in(page, stack.url, f"/servers/{lived.server_id}?tab=processes&at={lived.first}")
    banner, body = page.locator("#moment-banner"), page.locator("#then-body")
    expect(banner).to_be_visible()
    expect(banner).to_contain_text("You look at the past")
    expect(banner).to_contain_text("Europe/Berlin")
    expect(body).to_contain_text("oldbase")
    open_tab(page, "Filesystems")
    expect(body).to_contain_text("/old")
    open_tab(page, "Charts")
    expect(page.locator("#then-now-cpu")).to_have_text("77 %")
    expect(page.locator("#then-chart-cpu .shapelayer path")).to_have_count(1, timeout=PATIENCE_MS)
    assert moment_in_address(page) == lived.first
    keep(page, "time-travel")
    open_tab(page, "History")
    expect(page.locator("#history-charts")).to_contain_text("At the moment: 77", timeout=PATIENCE_MS)
    assert moment_in_address(page) == lived.first

    page.goto(f"{stack.url}/servers/{lived.server_id}?tab=console&at={lived.second}")
    expect(body).to_contain_text("echo known-command")
    expect(page.locator("#console-run")).to_have_count(0)
    page.locator("#console-runs .ag-row", has_text="echo known-command").click()
    expect(page.locator("#run-output")).to_contain_text("known-command", timeout=PATIENCE_MS)
    open_tab(page, "Logs")
    expect(page.locator(".log-moment")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.locator(".log-moment ~ .log-line", has_text=lived.line)).to_be_visible()
    assert moment_in_address(page) == lived.second
    keep(page, "time-travel-logs")

    page.get_by_role("button", name="Back to live").click()
    expect(banner).to_be_hidden()
    expect(page.locator("#logs-note")).to_contain_text("Following", timeout=PATIENCE_MS)
    until(lambda: moment_in_address(page) == "", "an address without a moment")
    open_tab(page, "Console")
    expect(page.locator("#console-run")).to_be_visible()


def test_the_keyboard_leads_into_the_past_on_a_phone_too(watched: Watched, stack: Stack, lived: Lived) -> None:
    page = watched.page(color_scheme="dark", viewport={"width": 380, "height": 800})
    log_in(page, stack.url, f"/servers/{lived.server_id}?tab=filesystems")
    expect(page.locator("#server-rows")).to_be_visible()
    page.locator("#moment-open").press("Enter")
    slider = page.locator("#moment-slider").get_by_role("slider")
    expect(slider).not_to_have_attribute("aria-valuemax", "1")
    slider.press("ArrowLeft")
    expect(page.locator("#moment-banner")).to_be_visible()
    until(lambda: moment_in_address(page) != "", "the moment in the address")
    before = moment_in_address(page)
    page.locator("#moment-back").press("Enter")
    until(lambda: moment_in_address(page) < before, "an earlier moment")
    expect(page.locator("#then-body")).to_be_visible()
    assert fits(page)
    keep(page, "time-travel-380")
    page.locator("#moment-live").press("Enter")
    expect(page.locator("#moment-banner")).to_be_hidden()
    expect(page.locator("#server-rows")).to_be_visible()
