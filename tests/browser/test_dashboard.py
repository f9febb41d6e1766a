"""The dashboard as a person meets it, in Chromium over the real backend."""

import re
import time

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Host, Stack, Watched, keep
from tests.browser.steps import fits, live_sockets, log_in, newest_point, open_tab, until

pytestmark = pytest.mark.browser
HOSTILE = "<img src=x onerror=alert(1)>"
TABS = ("Live", "History", "Filesystems", "Network", "Processes", "Settings")


def test_log_in_fleet_and_a_live_point_that_arrives_by_itself(watched: Watched, stack: Stack) -> None:
    page = watched.page()
    page.goto(stack.url)
    keep(page, "login")
    log_in(page, stack.url)
    card = page.get_by_role("article").filter(has_text="web-01")
    expect(card).to_contain_text("Online")
    expect(page.locator("#fleet-summary")).to_contain_text(re.compile(r"[1-9]\d*\s*online"))  # other tests add hosts
    before = card.inner_text()
    until(lambda: card.inner_text() != before, "the card moves")
    keep(page, "fleet")
    card.get_by_role("link", name="web-01").click()
    page.wait_for_selector("#live-read-at")
    first = newest_point(page)
    until(lambda: newest_point(page) > first, "a live point arrives")
    keep(page, "server-live")


def test_the_history_range_switches_and_the_address_restores_it(watched: Watched, stack: Stack) -> None:
    page = watched.page()
    log_in(page, stack.url, f"/servers/{stack.host.server_id}?tab=history")
    page.wait_for_selector("#history-charts .js-plotly-plot .main-svg")
    page.locator("#history-preset").get_by_text("15 min", exact=True).click()
    page.wait_for_url("**range=15m*")
    expect(page.locator("#history-charts")).to_contain_text("one point per")
    keep(page, "server-history")
    chart = page.locator("#history-charts .nsewdrag").first
    box = chart.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.95, box["y"] + 50, steps=4)
    page.mouse.up()
    page.wait_for_url("**start=*end=*")
    words = page.locator("#history-range").inner_text()
    assert "Europe/Berlin" in words
    address = page.url
    page.goto(address)
    expect(page.locator("#history-range")).to_have_text(words)
    assert page.url == address


def test_a_zoomed_live_chart_keeps_its_range_and_a_paused_one_stands_still(watched: Watched, stack: Stack) -> None:
    page = watched.page()
    log_in(page, stack.url, f"/servers/{stack.host.server_id}")
    page.wait_for_selector("#live-read-at")
    box = page.locator("#live-chart-cpu .nsewdrag").bounding_box()
    assert box
    page.mouse.move(box["x"] + 60, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + 220, box["y"] + 40, steps=4)
    page.mouse.up()
    chosen = "JSON.stringify(document.querySelector('#live-chart-cpu .js-plotly-plot').layout.xaxis.range)"
    until(lambda: page.evaluate(chosen) is not None, "the zoom")
    before, at = page.evaluate(chosen), newest_point(page)
    until(lambda: newest_point(page) > at, "a point under the zoom")
    assert page.evaluate(chosen) == before
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#live-note")).to_contain_text("Paused at")
    at = newest_point(page)
    time.sleep(2.5)  # Longer than two readings: nothing to wait for when nothing must happen.
    assert newest_point(page) == at
    page.get_by_role("button", name="Resume").click()
    until(lambda: newest_point(page) > at, "points after the pause")


def test_each_point_goes_to_its_own_chart_in_order(watched: Watched, stack: Stack) -> None:
    page = watched.page()
    log_in(page, stack.url, f"/servers/{stack.host.server_id}")
    page.wait_for_selector("#live-read-at")
    first = newest_point(page)
    until(lambda: newest_point(page) > first, "a live point arrives")
    first_line = "document.querySelector('#live-chart-{} .js-plotly-plot').data[0]"
    for name, largest in (("cpu", 100.0), ("memory", 8.0)):
        line = page.evaluate(first_line.format(name))
        assert line["x"] == sorted(set(line["x"]))
        assert max(value for value in line["y"] if value is not None) <= largest


@pytest.mark.parametrize(("theme", "width"), [("dark", 1440), ("light", 380), ("dark", 380)])
def test_every_page_reads_well_in_this_theme_and_width(watched: Watched, stack: Stack, theme: str, width: int) -> None:
    page = watched.page(color_scheme=theme, viewport={"width": width, "height": 800})
    log_in(page, stack.url)
    assert page.evaluate("document.documentElement.dataset.mantineColorScheme") == theme
    page.wait_for_selector("article")
    assert fits(page)
    keep(page, f"fleet-{theme}-{width}")
    page.goto(f"{stack.url}/servers/{stack.host.server_id}")
    for name in TABS:
        open_tab(page, name)
        page.wait_for_selector("#server-tab .panel")
        if name == "Live":
            page.wait_for_selector("#live-read-at")
        if name == "History":
            page.wait_for_selector("#history-charts .js-plotly-plot .main-svg")
        assert fits(page), name
        keep(page, f"server-{name.lower()}-{theme}-{width}")
    page.goto(f"{stack.url}/explore?metric=host.cpu_percent&range=15m")
    page.wait_for_selector("#explore-charts .js-plotly-plot .main-svg")
    assert fits(page)
    keep(page, f"explore-{theme}-{width}")
    page.goto(f"{stack.url}/users")
    page.wait_for_selector(".data-table")
    assert fits(page)
    keep(page, f"users-{theme}-{width}")


def test_the_theme_is_remembered(watched: Watched, stack: Stack) -> None:
    page = watched.page()
    log_in(page, stack.url)
    page.get_by_role("button", name="Switch between light and dark").click()
    scheme = "document.documentElement.dataset.mantineColorScheme"
    until(lambda: bool(page.evaluate(scheme) == "dark"), "dark")
    page.reload()
    page.wait_for_selector("#page h1")
    assert page.evaluate(scheme) == "dark"


def test_names_from_outside_never_run(watched: Watched, stack: Stack) -> None:
    host = Host(stack.backend, HOSTILE, process=HOSTILE, mountpoint=HOSTILE)
    host.start()
    page = watched.page()
    log_in(page, stack.url)
    expect(page.get_by_role("article").filter(has_text=HOSTILE)).to_be_visible()
    page.locator("#fleet-view").get_by_text("Table").click()
    expect(page.locator(".ag-row").filter(has_text=HOSTILE)).to_be_visible()
    page.goto(f"{stack.url}/servers/{host.server_id}")
    for name in TABS:
        open_tab(page, name)
        page.wait_for_selector("#server-tab .panel")
    page.goto(f"{stack.url}/servers/{host.server_id}?tab=history&metric=filesystem.used_percent,process.cpu_percent")
    plot = page.locator("#history-charts .js-plotly-plot .main-svg").first
    plot.wait_for()
    box = plot.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] * 0.97, box["y"] + box["height"] / 2)
    expect(page.locator("#history-charts .legendtext").first).to_contain_text("<img")
    assert page.locator("img[src=x]").count() == 0
    host.stop()


def test_a_closed_tab_ends_its_stream_while_another_stays_open(watched: Watched, stack: Stack) -> None:
    context = watched.context()
    first = context.new_page()
    log_in(first, stack.url)
    until(lambda: live_sockets(stack.backend.url, "metrics") == 0, "earlier tests' sockets are gone")
    second = context.new_page()
    second.goto(f"{stack.url}/servers/{stack.host.server_id}")
    second.wait_for_selector("#live-read-at")
    until(lambda: live_sockets(stack.backend.url, "metrics") == 1, "one stream for both tabs")
    second.close()
    until(lambda: live_sockets(stack.backend.url, "metrics") == 0, "the stream of the closed tab ends", 60)


def test_logging_out_ends_the_other_tabs_too(watched: Watched, stack: Stack) -> None:
    context = watched.context()
    first, second = context.new_page(), context.new_page()
    log_in(first, stack.url)
    second.goto(f"{stack.url}/servers/{stack.host.server_id}")
    second.wait_for_selector("#live-read-at")
    first.get_by_role("button", name="Account of").click()
    first.get_by_text("Log out").click()
    first.wait_for_url("**/login")
    second.wait_for_url(f"**/login?next=%2Fservers%2F{stack.host.server_id}", timeout=30_000)
    # The tab's own questions were refused while it found out.
    watched.complaints = [text for text in watched.complaints if "401" not in text]


def test_a_browser_without_shared_workers_still_moves(watched: Watched, stack: Stack) -> None:
    context = watched.context()
    context.add_init_script("delete window.SharedWorker")
    page = context.new_page()
    log_in(page, stack.url, f"/servers/{stack.host.server_id}")
    until(lambda: newest_point(page) != "", "the chart is filled")
    first = newest_point(page)
    until(lambda: newest_point(page) > first, "the chart moves", 30)


def test_adding_a_server_shows_its_commands_and_waits_for_it(watched: Watched, stack: Stack) -> None:
    page = watched.page()
    log_in(page, stack.url)
    page.get_by_role("button", name="Add server").click()
    page.fill("#add-server-name", "just added")
    page.get_by_role("button", name="Create and show commands").click()
    expect(page.locator("#add-server-text")).to_contain_text("pip install")
    expect(page.locator("#add-server-progress")).to_contain_text("Waiting for first data")
    keep(page, "add-server")
    listed = stack.backend.call("GET", "/servers").json()["items"]
    server_id = next(server["id"] for server in listed if server["name"] == "just added")
    assert stack.backend.call("GET", f"/api-keys?server_id={server_id}").json()["items"]
