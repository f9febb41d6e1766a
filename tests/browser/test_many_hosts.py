"""A command on several hosts in Chromium: nobody chosen, one question, a grid that moves, and an end for all."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Stack, Watched, keep
from tests.browser.steps import fits, log_in, until
from tests.browser.test_commands import output
from tests.hosts import Host

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def hosts(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Host]]:
    """Two that run what they are told and one that runs nothing, all with the tag ``many``."""
    started = []
    for policy in ("shell", "shell", "off"):
        host = Host(stack.backend, tmp_path_factory.mktemp("host"), CHATOPS_ALLOW_COMMANDS=policy)
        tags = {"tags": ["many"]}
        stack.backend.call("PATCH", f"/servers/{host.server_id}", json=tags).raise_for_status()
        started.append(host.start())
    yield started
    for host in started:
        host.stop()


def commands(watched: Watched, stack: Stack, path: str = "/commands", **options: object) -> Page:
    page = watched.page(**options)
    log_in(page, stack.url, path)
    return page


def choose_tag(page: Page) -> None:
    page.locator("#commands-tag").click()
    page.get_by_role("option", name="many").click()
    expect(page.locator("#commands-chosen")).to_contain_text("3 servers")


def ask(page: Page, line: str) -> None:
    page.locator("#commands-line").fill(line)
    page.locator("#commands-line").press("Enter")


def test_nobody_chosen_runs_nothing_and_says_so(watched: Watched, stack: Stack, hosts: list[Host]) -> None:
    page = commands(watched, stack)
    before = stack.backend.call("GET", "/commands").json()["items"]
    ask(page, "echo nobody")
    expect(page.locator("#commands-message")).to_contain_text("No server is chosen, so nothing was run")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert stack.backend.call("GET", "/commands").json()["items"] == before


def test_one_question_says_what_runs_where_and_the_grid_shows_each_result(
    watched: Watched, stack: Stack, hosts: list[Host]
) -> None:
    page = commands(watched, stack)
    choose_tag(page)
    expect(page.locator("#commands-chosen")).to_contain_text(f"Takes no commands: {hosts[2].name}")
    ask(page, "echo on many")
    dialogue = page.get_by_role("dialog")
    expect(dialogue).to_contain_text("This runs on 3 hosts")
    expect(dialogue).to_contain_text("echo on many")
    assert not stack.backend.call("GET", "/commands?search=on many").json()["items"]
    dialogue.get_by_role("button", name="Run on 3 hosts").click()
    expect(page.locator("#group-head")).to_contain_text("3 of 3 ended")
    expect(page.locator("#group-head")).to_contain_text("2 done")
    for host, word in zip(hosts, ("Done", "Done", "Failed"), strict=True):
        row = page.locator("#group-grid .ag-row").filter(has_text=host.name)
        expect(row).to_contain_text(word)
    expect(page.locator("#group-grid .ag-row").filter(has_text=hosts[2].name)).to_contain_text("takes no commands")
    page.locator("#group-grid .ag-row").filter(has_text=hosts[0].name).click()
    until(lambda: output(page) == "on many\n", "the output of the chosen host")
    keep(page, "commands")
    page.reload()
    until(lambda: output(page) == "on many\n", "the address brings back group and run")
    expect(page.locator("#group-head")).to_contain_text("3 of 3 ended")


def test_the_grid_moves_while_it_runs_and_all_are_cancelled(watched: Watched, stack: Stack, hosts: list[Host]) -> None:
    page = commands(watched, stack)
    for host in hosts[:2]:
        page.locator("#commands-servers").fill(host.name)
        page.get_by_role("option", name=host.name).click()
    page.keyboard.press("Escape")
    page.locator("#commands-at-a-time").fill("1")
    ask(page, "sleep 600")
    dialogue = page.get_by_role("dialog")
    expect(dialogue).to_contain_text("This runs on 2 hosts")
    expect(dialogue).to_contain_text("1 at a time")
    dialogue.get_by_role("button", name="Run on 2 hosts").click()
    expect(page.locator("#group-head")).to_contain_text("1 running")
    expect(page.locator("#group-head")).to_contain_text("1 waiting")
    page.locator("#group-cancel").click()
    expect(page.locator("#group-head")).to_contain_text("2 cancelled")
    expect(page.locator("#group-cancel")).to_be_disabled()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone(watched: Watched, stack: Stack, hosts: list[Host], scheme: str) -> None:
    page = commands(watched, stack, viewport={"width": 380, "height": 800}, color_scheme=scheme)
    expect(page.locator("#commands-runs .ag-row").first).to_be_visible()
    assert fits(page)
    keep(page, f"commands-380-{scheme}")
