"""Commands in Chromium on a real agent: output as it comes, an end by hand, and hostile output that stays text."""

import signal
import subprocess
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Stack, Watched, keep
from tests.browser.steps import fits, log_in, until
from tests.conftest import ADMIN_PASSWORD
from tests.hosts import Host

pytestmark = pytest.mark.browser

# What would run if any of it were read as markup; `watched` fails the test on each dialogue, error and request.
HOSTILE = (
    "<script>alert(1)</script><img src=x onerror=alert(2)><svg onload=alert(3)>"
    "\\033]8;;javascript:alert(4)\\033\\\\link\\033]8;;\\033\\\\ &lt;b&gt; \\342\\200\\256txt.exe"
)


@pytest.fixture(scope="module")
def agent(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    started = Host(stack.backend, tmp_path_factory.mktemp("agent"), CHATOPS_ALLOW_COMMANDS="shell").start()
    yield started
    started.stop()


def console(watched: Watched, stack: Stack, host: Host, **options: object) -> Page:
    page = watched.page(**options)
    log_in(page, stack.url, f"/servers/{host.server_id}?tab=console")
    expect(page.locator("#console-policy")).not_to_be_empty()
    return page


def run(page: Page, line: str) -> None:
    page.locator("#console-line").fill(line)
    page.locator("#console-line").press("Enter")


def output(page: Page) -> str:
    text: str = page.evaluate("document.getElementById('run-output')?.textContent || ''")
    return text


def test_output_streams_in_while_the_command_runs_and_its_end_is_told(
    watched: Watched, stack: Stack, agent: Host
) -> None:
    page = console(watched, stack, agent)
    run(
        page,
        "echo first; echo aside >&2; while [ ! -e go ]; do sleep 0.05; done; printf '\\033[1;32mgreen\\033[0m'; exit 3",
    )
    until(lambda: "first\n" in output(page), "the first line")
    expect(page.locator("#run-head")).to_contain_text("Running")
    expect(page.locator("#run-output .out-stderr")).to_have_text("aside\n")
    assert "green" not in output(page)
    (agent.directory / "go").touch()
    expect(page.locator("#run-output .ansi-bold.ansi-fg-2")).to_have_text("green")
    expect(page.locator("#run-head")).to_contain_text("Failed")
    expect(page.locator("#run-head")).to_contain_text("exit code 3")
    keep(page, "console")
    row = page.locator("#console-runs .ag-row").first
    expect(row).to_contain_text("Failed")
    page.reload()
    until(lambda: "first\n" in output(page), "the address brings back the run")


def test_a_progress_bar_is_one_line_that_is_written_over(watched: Watched, stack: Stack, agent: Host) -> None:
    page = console(watched, stack, agent)
    wait = "while [ ! -e half ]; do sleep 0.05; done"
    run(page, f"echo begun; printf ' 10 %% of it\\r 50 %% of it'; {wait}; printf '\\r100 %%\\033[K\\n'; echo done")
    until(lambda: output(page) == "begun\n 50 % of it", "the first half", 60)
    (agent.directory / "half").touch()
    until(lambda: output(page) == "begun\n100 %\ndone\n", "the same line, written over", 60)


def test_up_and_down_bring_back_what_was_typed(watched: Watched, stack: Stack, agent: Host) -> None:
    page = console(watched, stack, agent)
    line = page.locator("#console-line")
    for text in ("echo one", "echo two"):
        run(page, text)
        expect(page.locator("#run-head")).to_contain_text(text)
        expect(page.locator("#run-head")).to_contain_text("Done")
        expect(line).to_have_value("")
    line.press_sequentially("echo dra")
    for key, text in (
        ("ArrowUp", "echo two"),
        ("ArrowUp", "echo one"),
        ("ArrowDown", "echo two"),
        ("ArrowDown", "echo dra"),
    ):
        line.press(key)
        expect(line).to_have_value(text)


def test_a_long_command_is_cancelled(watched: Watched, stack: Stack, agent: Host) -> None:
    page = console(watched, stack, agent)
    run(page, "echo begun; sleep 600")
    until(lambda: "begun" in output(page), "its first line")
    page.get_by_role("button", name="Cancel: echo begun; sleep 600").click()
    expect(page.locator("#run-head")).to_contain_text("Cancelled")
    expect(page.locator("#run-head")).to_contain_text("cancelled by admin")
    expect(page.get_by_role("button", name="Cancel: echo begun; sleep 600")).to_have_count(0)


def test_hostile_output_stays_text(watched: Watched, stack: Stack, agent: Host) -> None:
    page = console(watched, stack, agent)
    run(page, f"printf '{HOSTILE}\\n'")
    until(lambda: "txt.exe" in output(page), "the output")
    expect(page.locator("#run-head")).to_contain_text("Done")
    begins = "<script>alert(1)</script><img src=x onerror=alert(2)><svg onload=alert(3)>link &lt;b&gt;"
    until(lambda: output(page).startswith(begins), "the output as text")
    assert page.locator("#run-output").locator("script, img, svg, a, b").count() == 0
    assert "\u202e" not in output(page)
    # The list of runs holds the same as the command's own text.
    expect(page.locator("#console-runs .ag-row").first).to_contain_text("<script>alert(1)</script>")
    assert page.locator("#console-runs").locator("img, script").count() == 0


def test_a_megabyte_is_shown_with_what_was_left_out(watched: Watched, stack: Stack, agent: Host) -> None:
    page = console(watched, stack, agent)
    run(page, "yes | head -c 3000000; echo end")
    expect(page.locator("#run-head")).to_contain_text("Done", timeout=40_000)
    # The last pieces are drawn after the state.
    until(lambda: output(page).endswith("end\n"), "the end of the output", 40)
    expect(page.locator("#run-foot")).to_contain_text("3\u202f000\u202f004 bytes")
    expect(page.locator("#run-output .out-note").first).to_contain_text("left out")


def test_a_viewer_looks_and_has_nothing_to_run_with(watched: Watched, stack: Stack, agent: Host) -> None:
    name = f"viewer-{agent.name}"
    user = {"username": name, "password": ADMIN_PASSWORD, "role": "viewer"}
    stack.backend.call("POST", "/users", json=user).raise_for_status()
    command = agent.run("echo", "for all to see")
    page = watched.page(viewport={"width": 380, "height": 800})
    page.goto(f"{stack.url}/servers/{agent.server_id}?tab=console&run={command['id']}")
    page.fill("#username", name)
    page.fill("#password", ADMIN_PASSWORD)
    page.click("button[type=submit]")
    until(lambda: output(page) == "for all to see\n", "the output of the run")
    expect(page.locator("#console-line, #console-run")).to_have_count(0)
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0)
    assert fits(page)
    keep(page, "console-of-a-viewer-380")


def test_a_host_that_allows_nothing_says_so_and_how_to_change_it(
    watched: Watched, stack: Stack, tmp_path_factory: pytest.TempPathFactory
) -> None:
    host = Host(stack.backend, tmp_path_factory.mktemp("off")).start()
    try:
        page = console(watched, stack, host)
        expect(page.locator("#console-policy")).to_contain_text("takes no commands")
        expect(page.locator("#policy-settings")).to_contain_text("CHATOPS_ALLOW_COMMANDS=shell")
        expect(page.locator("#console-run")).to_be_disabled()
    finally:
        host.stop()


def test_a_process_is_found_and_ended_after_a_question(watched: Watched, stack: Stack, agent: Host) -> None:
    sleeper = subprocess.Popen(["sleep", "98765"])
    try:
        page = watched.page()
        log_in(page, stack.url, f"/servers/{agent.server_id}?tab=processes")
        page.get_by_text("All, live").click()
        page.locator("#processes-filter").fill("sleep 98765")
        row = page.locator(f"#processes-grid .ag-row[row-id^='{sleeper.pid}:']")
        expect(row).to_contain_text("sleep 98765")
        row.click()
        page.locator("#signal-ask").click()
        expect(page.get_by_role("dialog")).to_contain_text(f"This sends TERM to process {sleeper.pid}")
        assert sleeper.poll() is None
        page.get_by_role("dialog").get_by_role("button", name="Send", exact=True).click()
        expect(page.locator("#processes-message")).to_contain_text(f"TERM to process {sleeper.pid} is sent")
        assert sleeper.wait(10) == -signal.SIGTERM
        expect(row).to_have_count(0)
    finally:
        sleeper.kill()
        sleeper.wait()
