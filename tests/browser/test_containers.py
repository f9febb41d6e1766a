"""The containers tab in Chromium, with a real agent beside a real Docker Engine: what runs, an end by hand, a log."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Stack, Watched, keep
from tests.browser.steps import fits, log_in, until
from tests.conftest import ADMIN_PASSWORD
from tests.engine import TestEngine
from tests.hosts import Host

pytestmark = pytest.mark.browser
PATIENCE_MS = 30_000
# What would run if any of it were read as markup; `watched` fails the test on each dialogue, error and request.
HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>"


@pytest.fixture(scope="module")
def docker_host(stack: Stack, engine: TestEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    settings = {"CHATOPS_ALLOW_DOCKER": "control", "CHATOPS_DOCKER_SOCKET": str(engine.socket)}
    started = Host(stack.backend, tmp_path_factory.mktemp("docker"), **settings).start()
    yield started
    started.stop()


def row(page: Page, name: str):  # type: ignore[no-untyped-def]
    return page.locator("#containers-grid .ag-row").filter(has_text=name)


def test_a_container_is_seen_and_stopped_by_hand(
    watched: Watched, stack: Stack, docker_host: Host, engine: TestEngine
) -> None:
    check = {"test": ["CMD", "true"], "interval": 1_000_000_000}
    labels = {"com.docker.compose.project": HOSTILE}
    identifier = engine.run("seen", "while true; do true; done", healthcheck=check, labels=labels)
    page = watched.page()
    log_in(page, stack.url, f"/servers/{docker_host.server_id}?tab=containers")
    expect(row(page, "seen")).to_contain_text("Running", timeout=PATIENCE_MS)
    expect(row(page, "seen")).to_contain_text("Healthy", timeout=PATIENCE_MS)
    expect(row(page, "seen").locator("[col-id=cpu]")).to_contain_text("%", timeout=PATIENCE_MS)
    expect(row(page, "seen").locator("[col-id=memory]")).to_contain_text("iB")
    row(page, "seen").locator("[col-id=word]").click()
    page.wait_for_url("**container=seen*")
    page.get_by_role("button", name="Stop seen…").click()
    dialogue = page.get_by_role("dialog")
    expect(dialogue).to_contain_text(f"Stop the container seen ({identifier[:12]}) on the host {docker_host.name}.")
    keep(page, "containers-stop")
    dialogue.get_by_role("button", name="Cancel").click()
    expect(dialogue).to_be_hidden()
    assert engine.state(identifier) == "running"
    page.get_by_role("button", name="Stop seen…").click()
    dialogue.get_by_role("button", name="Stop").click()
    expect(page.locator("#container-message")).to_contain_text("seen", timeout=PATIENCE_MS)
    expect(page.locator("#container-message")).to_contain_text("was stopped")
    assert engine.state(identifier) == "exited"
    expect(row(page, "seen")).to_contain_text("Ended (137)", timeout=PATIENCE_MS)
    expect(page.get_by_role("button", name="Start seen…")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.get_by_role("button", name="Stop seen…")).to_have_count(0)
    keep(page, "containers")
    engine.remove(identifier)
    expect(page.locator("#container-head")).to_contain_text("any more", timeout=PATIENCE_MS)


def texts(page: Page) -> list[str]:
    return page.locator(".container-line-of-log:visible .container-log-text").all_text_contents()


def test_a_log_is_followed_paused_and_searched_as_text(
    watched: Watched, stack: Stack, docker_host: Host, engine: TestEngine
) -> None:
    link = "\\033]8;;javascript:alert(3)\\033\\\\link\\033]8;;\\033\\\\"
    script = (
        f"printf '{HOSTILE}{link}\\n'; printf '\\033[1;32mgreen\\033[0m\\n'; echo oops >&2; "
        "n=0; while true; do n=$((n+1)); echo tick $n; sleep 1; done"
    )
    identifier = engine.run("talks", script)
    page = watched.page()
    log_in(page, stack.url, f"/servers/{docker_host.server_id}?tab=containers&container=talks")
    log = page.locator("#container-log")
    expect(log).to_contain_text("tick 2", timeout=PATIENCE_MS)
    expect(page.locator("#container-log-note")).to_contain_text("Following")
    assert HOSTILE + "link" in texts(page)
    assert log.locator("img, script, a").count() == 0
    expect(log.locator(".ansi-bold.ansi-fg-2")).to_have_text("green")
    expect(log.locator(".log-of-stderr")).to_contain_text("oops")
    keep(page, "container-log")
    page.get_by_role("button", name="Pause", exact=True).click()
    held = len(texts(page))
    expect(page.locator("#container-log-note")).to_contain_text("2 lines since", timeout=PATIENCE_MS)
    assert len(texts(page)) == held
    page.get_by_role("button", name="Follow").click()
    until(lambda: len(texts(page)) >= held + 2, "what was missed")
    page.locator("#container-search").fill("GREEN")
    expect(page.locator("#container-log-note")).to_contain_text("1 line of")
    assert texts(page) == ["green"]
    page.locator("#container-search").fill("")
    engine.client.kill(identifier)
    expect(page.locator("#container-log-note")).to_contain_text("does not run", timeout=PATIENCE_MS)
    engine.client.start(identifier)
    expect(page.locator("#container-log-note")).to_contain_text("Following", timeout=PATIENCE_MS)
    until(lambda: texts(page).count("tick 1") == 2, "the log of both runs")
    engine.remove(identifier)


def test_charts_and_details_of_the_chosen_one_and_their_address(
    watched: Watched, stack: Stack, docker_host: Host, engine: TestEngine
) -> None:
    variables = {"API_TOKEN": "canary-7f", "PATH": "/bin"}
    labels = {"team": HOSTILE}
    identifier = engine.run("charted", "while true; do true; done", environment=variables, labels=labels)
    page = watched.page(color_scheme="dark")
    log_in(page, stack.url, f"/servers/{docker_host.server_id}?tab=containers&container=charted")
    page.locator("#container-part").get_by_text("Charts").click()
    page.wait_for_url("**show=charts*")
    for name in ("cpu", "memory"):
        expect(
            page.locator(f"#container-chart-{name} .js-plotly-plot .scatterlayer path.js-line").first
        ).to_be_attached(
            # A line needs two points of fifteen seconds; a level one has no height, and so counts as not visible.
            timeout=2 * PATIENCE_MS
        )
    expect(page.locator("#container-chart-cpu-tier")).to_contain_text("Last hour")
    page.reload()
    expect(row(page, "charted")).to_have_attribute("aria-selected", "true", timeout=PATIENCE_MS)
    expect(page.locator("#container-chart-cpu .js-plotly-plot .scatterlayer path.js-line").first).to_be_attached(
        timeout=PATIENCE_MS
    )
    keep(page, "container-charts")
    page.locator("#container-part").get_by_text("Details").click()
    details = page.locator("#container-details")
    expect(details).to_contain_text("API_TOKEN", timeout=PATIENCE_MS)
    expect(details).to_contain_text(HOSTILE)
    expect(details).not_to_contain_text("canary-7f")
    assert details.locator("img, script").count() == 0
    keep(page, "container-details")
    page.set_viewport_size({"width": 380, "height": 800})
    assert fits(page)
    keep(page, "container-details-380")
    page.locator("#container-part").get_by_text("Charts").click()
    expect(page.locator("#container-chart-cpu .js-plotly-plot .scatterlayer path.js-line").first).to_be_attached(
        timeout=PATIENCE_MS
    )
    until(lambda: fits(page), "the charts take the width there is")
    keep(page, "container-charts-380")
    engine.remove(identifier)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_viewer_looks_on_a_phone_and_has_nothing_to_act_with(
    watched: Watched, stack: Stack, docker_host: Host, engine: TestEngine, theme: str
) -> None:
    identifier = engine.run(
        f"looked-at-{theme}", "echo a line; echo 'another of some length, so that it wraps' >&2; exec sleep 1000"
    )
    name = f"viewer-{docker_host.name}-{theme}"
    user = {"username": name, "password": ADMIN_PASSWORD, "role": "viewer"}
    stack.backend.call("POST", "/users", json=user).raise_for_status()
    page = watched.page(color_scheme=theme, viewport={"width": 380, "height": 800})
    page.goto(f"{stack.url}/servers/{docker_host.server_id}?tab=containers&container=looked-at-{theme}")
    page.fill("#username", name)
    page.fill("#password", ADMIN_PASSWORD)
    page.click("button[type=submit]")
    expect(page.locator("#container-head")).to_contain_text("Running", timeout=PATIENCE_MS)
    expect(page.locator("#containers-policy")).to_contain_text("looks on")
    expect(page.locator(".container-acts")).to_have_count(0)
    expect(page.locator("#container-log")).to_contain_text("another", timeout=PATIENCE_MS)
    assert fits(page)
    keep(page, f"containers-{theme}-380")
    engine.remove(identifier)


def test_a_host_that_shows_none_says_so_and_how_to_change_it(
    watched: Watched, stack: Stack, tmp_path_factory: pytest.TempPathFactory
) -> None:
    host = Host(stack.backend, tmp_path_factory.mktemp("off")).start()
    try:
        page = watched.page()
        log_in(page, stack.url, f"/servers/{host.server_id}?tab=containers")
        expect(page.locator("#containers-state")).to_contain_text("does not show its containers", timeout=PATIENCE_MS)
        expect(page.locator("#containers-settings")).to_contain_text("CHATOPS_ALLOW_DOCKER=read")
        keep(page, "containers-off")
        host.stop()
        expect(page.locator("#containers-state")).to_contain_text("is not connected", timeout=PATIENCE_MS)
    finally:
        host.stop()
    host.start(CHATOPS_ALLOW_DOCKER="read", CHATOPS_DOCKER_SOCKET=str(host.directory / "none"))
    try:
        expect(page.locator("#containers-state")).to_contain_text("There is no Docker Engine", timeout=PATIENCE_MS)
        keep(page, "containers-absent")
    finally:
        host.stop()
