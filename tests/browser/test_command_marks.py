"""Commands on a server's charts in Chromium: marked while somebody looks, with words under the pointer."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Stack, Watched, keep
from tests.browser.steps import fits, log_in, until
from tests.hosts import Host

pytestmark = pytest.mark.browser
HOSTILE = "echo '<img src=x onerror=alert(1)>'"
POINTS = ".xy2 .points path.point"


@pytest.fixture
def agent(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    started = Host(stack.backend, tmp_path_factory.mktemp("agent"), CHATOPS_ALLOW_COMMANDS="shell").start()
    yield started
    started.stop()


def run(agent: Host, line: str) -> None:
    agent.post(command=line, wait_s=20).raise_for_status()


def marks(page: Page, chart: str) -> list[str]:
    found: list[str] = page.evaluate(
        "chart => (document.querySelector(chart + ' .js-plotly-plot')?.data || [])"
        ".filter((trace) => trace.meta === 'commands').flatMap((trace) => trace.customdata)",
        chart,
    )
    return list(dict.fromkeys(found))


def hover(page: Page, chart: str) -> str:
    """What is said over the newest mark."""
    box = page.locator(f"{chart} {POINTS}").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2 + 30, box["y"] + 30)
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    return page.locator(f"{chart} .hoverlayer").text_content() or ""


def test_what_is_run_is_marked_on_the_charts_and_said_in_words(watched: Watched, stack: Stack, agent: Host) -> None:
    page = watched.page(color_scheme="light")
    log_in(page, stack.url, f"/servers/{agent.server_id}?tab=live")
    chart = "#live-chart-cpu"
    page.wait_for_selector(f"{chart} .js-plotly-plot .main-svg")
    assert marks(page, chart) == []
    run(agent, HOSTILE)
    until(lambda: len(marks(page, chart)) == 1, "the first mark, without a reload", 40)
    run(agent, "exit 3")
    until(lambda: len(marks(page, chart)) == 2, "the second", 40)
    assert any(words.startswith("◆ Failed, exit code 3: exit 3") for words in marks(page, chart))
    until(lambda: "echo '<img" in hover(page, chart), "the words under the pointer")
    keep(page, "command-marks")
    page.goto(f"{stack.url}/servers/{agent.server_id}?tab=history&metrics=host.cpu_percent&range=1h")
    until(lambda: len(marks(page, "#history-charts")) == 2, "marks of the history")
    phone = watched.page(color_scheme="light", viewport={"width": 380, "height": 800})
    log_in(phone, stack.url, f"/servers/{agent.server_id}?tab=live")
    until(lambda: len(marks(phone, chart)) == 2, "marks on a phone")
    expect(phone.locator(f"{chart} {POINTS}").first).to_be_visible()
    assert fits(phone)
    keep(phone, "command-marks-380")
