"""The logs tab in Chromium: a line appended to a file on a host arrives, as text, where somebody looks."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Stack, Watched, keep
from tests.browser.steps import fits, log_in, until
from tests.hosts import Host

pytestmark = pytest.mark.browser
PATIENCE_MS = 30_000
HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script> ${alert(3)} \u202eevil"


class LoggingHost:
    """An agent that follows a file."""

    def __init__(self, host: Host, file: Path) -> None:
        self.server_id = host.server_id
        self._file = file

    def log(self, *lines: str) -> None:
        with self._file.open("a") as file:
            file.write("".join(f"{line}\n" for line in lines))


@pytest.fixture(scope="module")
def logging(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoggingHost]:
    directory = tmp_path_factory.mktemp("logging")
    file = directory / "app.log"
    file.touch()
    host = Host(stack.backend, directory, CHATOPS_LOG_FILES=str(file)).start()
    yield LoggingHost(host, file)
    host.stop()


def lines(page: Page) -> list[str]:
    return page.locator(".log-message").all_text_contents()


def followed(page: Page) -> None:
    expect(page.locator("#logs-note")).to_contain_text("Following", timeout=PATIENCE_MS)


def test_a_line_appended_to_a_file_arrives_as_text(watched: Watched, stack: Stack, logging: LoggingHost) -> None:
    page, mark = watched.page(), f"mark-{time.time_ns()}"
    log_in(page, stack.url, f"/servers/{logging.server_id}?tab=logs")
    followed(page)
    logging.log(f"ERROR {mark} {HOSTILE}", "INFO " + "long " * 300)
    row = page.locator(".log-line").filter(has_text=mark)
    expect(row).to_be_visible(timeout=PATIENCE_MS)
    expect(row.locator(".log-level")).to_have_text("◆ error")
    assert HOSTILE in (row.locator(".log-message").text_content() or "")
    assert page.locator("#logs-list img, #logs-list script").count() == 0
    more = page.get_by_role("button", name="Show all").first
    more.click()
    expect(page.get_by_role("button", name="Show less")).to_be_visible()
    expect(page.locator("#logs-hint")).to_be_hidden()
    keep(page, "logs")


def test_paused_lines_stand_still_are_counted_and_come_when_followed(
    watched: Watched, stack: Stack, logging: LoggingHost
) -> None:
    page, mark = watched.page(), f"mark-{time.time_ns()}"
    log_in(page, stack.url, f"/servers/{logging.server_id}?tab=logs")
    followed(page)
    page.get_by_role("button", name="Pause").click()
    logging.log(f"INFO {mark} one", f"INFO {mark} two")
    expect(page.locator("#logs-note")).to_contain_text("2 new lines", timeout=PATIENCE_MS)
    assert not [line for line in lines(page) if mark in line]
    page.get_by_role("button", name="Follow").click()
    expect(page.locator(".log-message").filter(has_text=mark)).to_have_count(2, timeout=PATIENCE_MS)
    followed(page)


def test_filters_are_in_the_address_and_a_link_restores_them(
    watched: Watched, stack: Stack, logging: LoggingHost
) -> None:
    page, word = watched.page(), f"word{time.time_ns()}"
    logging.log(f"WARNING {word} disk is full", f"INFO {word} all is well")
    log_in(page, stack.url, f"/servers/{logging.server_id}?tab=logs")
    expect(page.locator(".log-message").filter(has_text=word)).to_have_count(2, timeout=PATIENCE_MS)
    page.locator("#logs-search").fill(word)
    page.wait_for_url(f"**search={word}*")
    page.locator("#logs-level").click()
    page.get_by_role("option", name="Warning and worse").click()
    page.wait_for_url("**level=warning*")
    expect(page.locator(".log-line")).to_have_count(1)
    logging.log(f"ERROR {word} again", f"ERROR other {time.time_ns()}", f"DEBUG {word} no")
    expect(page.locator(".log-line")).to_have_count(2, timeout=PATIENCE_MS)
    page.goto(page.url)
    expect(page.locator(".log-line")).to_have_count(2, timeout=PATIENCE_MS)
    expect(page.locator("#logs-search")).to_have_value(word)
    page.locator("#logs-search").fill("nothinglikethis")
    expect(page.get_by_text("Nothing matches")).to_be_visible()
    keep(page, "logs-nothing")
    page.get_by_role("button", name="Clear the filters").click()
    expect(page.locator(".log-message").filter(has_text=word)).to_have_count(4, timeout=PATIENCE_MS)


def test_older_lines_follow_below(watched: Watched, stack: Stack, logging: LoggingHost) -> None:
    page, word = watched.page(), f"old{time.time_ns()}"
    logging.log(*(f"{word} {n}" for n in range(450)))
    stored = {"search": word, "limit": 1000}
    until(
        lambda: len(stack.backend.call("GET", f"/logs/{logging.server_id}", params=stored).json()["items"]) == 450,
        "all lines are stored",
    )
    log_in(page, stack.url, f"/servers/{logging.server_id}?tab=logs&search={word}")
    expect(page.locator(".log-line").first).to_contain_text(f"{word} 449", timeout=PATIENCE_MS)
    for count in (400, 450):
        page.get_by_role("button", name="Older lines").click()
        expect(page.locator(".log-line")).to_have_count(count, timeout=PATIENCE_MS)
    assert lines(page) == [f"{word} {n}" for n in reversed(range(450))]
    expect(page.get_by_text("No older lines in this range")).to_be_visible()
    expect(page.get_by_role("button", name="Older lines")).to_have_count(0)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_host_that_sends_nothing_says_how_on_a_phone(watched: Watched, stack: Stack, theme: str) -> None:
    page = watched.page(color_scheme=theme, viewport={"width": 380, "height": 800})
    silent, _ = stack.backend.add_server(f"silent-{time.time_ns()}")
    log_in(page, stack.url, f"/servers/{silent}?tab=logs")
    expect(page.locator("#logs-settings")).to_contain_text("CHATOPS_LOG_JOURNAL=1", timeout=PATIENCE_MS)
    assert fits(page)
    keep(page, f"logs-{theme}-380")
