"""The rule editor in Chromium: the threshold is dragged, what it would have done follows, the rule fires."""

import math
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Stack, Watched, keep
from tests.browser.steps import fits, log_in, until
from tests.reporting import Reporter, readings

pytestmark = pytest.mark.browser
HOSTILE = "<img src=x onerror=alert(1)>"
BANDS = (
    "document.querySelector('#rule-chart .js-plotly-plot').data.filter(trace => trace.meta === 'firing')"
    ".map(trace => [trace.x[0], trace.x[trace.x.length - 1]])"
)
LINE = (
    "document.querySelector('#rule-chart .js-plotly-plot').layout.shapes"
    ".map(shape => [shape.x0, shape.x1, shape.y0, shape.y1])"
)


@pytest.fixture(scope="module")
def busy(stack: Stack) -> Iterator[int]:
    """A host that was at 95 % for half an hour and at 60 % for another, and quiet else, over six hours."""
    server_id, key = stack.backend.add_server(f"busy {HOSTILE}")
    reporter = Reporter(stack.backend.agents_url, key)
    now = time.time()
    moments = []
    for n in range(6 * 60):
        cpu = 95.0 if 60 <= n < 90 else 60.0 if 200 <= n < 230 else 20.0 + 5 * math.sin(n / 9)
        moments.append((now - (6 * 60 - n) * 60 - 30, readings(cpu)))
    for first in range(0, len(moments), 100):
        reporter.report(moments[first : first + 100])
    reporter.close()
    # What comes late is in the roll-ups after their next refresh.
    until(lambda: firings(stack, server_id, now) == 1, "the roll-ups have the past", 150)
    yield server_id
    stack.backend.call("DELETE", f"/servers/{server_id}")


def firings(stack: Stack, server_id: int, now: float) -> int:
    """How often the rule that the editor starts with would have fired."""
    rule = {"name": "x", "metric": "host.cpu_percent", "server_ids": [server_id], "critical": 90, "for_s": 600}
    ends = (datetime.fromtimestamp(now - 6 * 3600, UTC), datetime.fromtimestamp(now, UTC))
    asked = {"threshold": rule, "start": ends[0].isoformat(), "end": ends[1].isoformat()}
    answer = stack.backend.call("POST", "/alerts/thresholds/backtest", json=asked).raise_for_status()
    return len(answer.json()["firings"])


def open_editor(page: Page, stack: Stack, server_id: int) -> None:
    log_in(page, stack.url, f"/alerts/rules/new?server={server_id}")
    page.locator("#rule-chart .shapelayer [drag-helper] path").first.wait_for(state="attached")
    until(lambda: len(page.evaluate(BANDS)) == 1, "the band of the half hour at 95 %")


def field(page: Page, name: str) -> Locator:
    return page.locator(f'[id*=\'"{name}"\'][id*="rule-field"]').first


def drag_line_to(page: Page, percent: float) -> None:
    """Take the first line and pull it to a height of the axis from 0 to 100."""
    plot = page.locator("#rule-chart .nsewdrag").first.bounding_box()
    line = page.locator("#rule-chart .shapelayer [drag-helper] path").first.bounding_box()
    assert plot
    assert line
    x, y = plot["x"] + plot["width"] * 0.3, line["y"] + line["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    # Aslant, as a hand does it.
    page.mouse.move(x + 25, plot["y"] + plot["height"] * (1 - percent / 100), steps=8)
    page.mouse.up()


def covers(found: list[str], incident: list[str]) -> bool:
    return found[0] <= incident[1] and incident[0] <= found[1]


def test_dragging_the_threshold_changes_the_field_and_the_bands(watched: Watched, stack: Stack, busy: int) -> None:
    page = watched.page()
    open_editor(page, stack, busy)
    expect(page.locator("#rule-summary")).to_contain_text("Would have fired")
    before = page.evaluate(BANDS)
    keep(page, "rule-editor")
    drag_line_to(page, 50)
    until(lambda: len(page.evaluate(BANDS)) == 2, "a second band, of the half hour at 60 %")
    dragged = float(field(page, "critical").input_value())
    assert dragged == pytest.approx(50, abs=1)
    (x0, x1, y0, y1) = page.evaluate(LINE)[0]
    assert (x0, x1, y0, y1) == (0, 1, dragged, dragged)
    keep(page, "rule-editor-dragged")
    drag_line_to(page, 99)
    until(lambda: page.evaluate(BANDS) == [], "no band above the data")
    expect(page.locator("#rule-summary")).not_to_contain_text("fired once")
    drag_line_to(page, 90)
    until(lambda: len(page.evaluate(BANDS)) == 1, "the first band again")
    assert page.evaluate(BANDS)[0][0][:16] == before[0][0][:16]


def test_what_cannot_be_is_said_at_its_field(watched: Watched, stack: Stack, busy: int) -> None:
    page = watched.page()
    open_editor(page, stack, busy)
    field(page, "clear").fill("95")
    expect(page.locator("#rule-summary")).to_contain_text("cannot be tried")
    expect(page.get_by_text(re.compile("wrong side of the lowest level"))).to_be_visible()
    field(page, "clear").fill("much")
    expect(page.get_by_text("Write a number, for example 90.")).to_be_visible()
    field(page, "clear").fill("80")
    expect(page.locator("#rule-summary")).to_contain_text("Would have fired")
    page.get_by_role("button", name="Create rule").click()
    expect(page.locator("#rule-message")).to_contain_text("Nothing was saved")
    expect(page.get_by_text("Give the rule a name.")).to_be_visible()


def test_marked_incidents_lead_to_a_level_that_catches_them(watched: Watched, stack: Stack, busy: int) -> None:
    page = watched.page()
    open_editor(page, stack, busy)
    band: list[Any] = page.evaluate(BANDS)[0]
    page.get_by_role("switch", name="Mark incidents").click()
    until(
        lambda: page.evaluate("document.querySelector('#rule-chart .js-plotly-plot').layout.dragmode") == "select",
        "marking",
    )
    spot = page.evaluate(
        "([first, last]) => { const axis = document.querySelector('#rule-chart .js-plotly-plot')._fullLayout.xaxis;"
        " return [axis.d2p(first), axis.d2p(last)]; }",
        band,
    )
    box = page.locator("#rule-chart .nsewdrag").first.bounding_box()
    assert box
    page.mouse.move(box["x"] + spot[0], box["y"] + 150)
    page.mouse.down()
    page.mouse.move(box["x"] + spot[1] + 4, box["y"] + 180, steps=6)
    page.mouse.up()
    expect(page.locator("#rule-incident-box")).to_contain_text("1 incident marked")
    page.get_by_role("button", name="Suggest a level").click()
    expect(page.locator("#rule-incident-box")).to_contain_text("catches all")
    keep(page, "rule-editor-suggestion")
    page.get_by_role("button", name="Use it").click()
    until(lambda: field(page, "critical").input_value() not in ("90", ""), "the suggested level in the form")
    until(
        lambda: any(covers(found, band) for found in page.evaluate(BANDS)), "the suggested rule fires in the incident"
    )


def test_a_rule_made_here_fires_is_acknowledged_and_counted(watched: Watched, stack: Stack, busy: int) -> None:
    page = watched.page()
    log_in(page, stack.url, f"/alerts/rules/new?server={stack.host.server_id}")
    name = f"{HOSTILE} {time.time_ns()}"
    field(page, "name").fill(name)
    field(page, "window").fill("1 min")
    field(page, "for").fill("0 s")
    field(page, "critical").fill("1")
    expect(page.locator("#rule-words")).to_contain_text("average over 1 min above 1 %")
    page.get_by_role("button", name="Create rule").click()
    # The embedded database answers one after the other: the save waits for the backtests of what was typed before.
    page.wait_for_url("**/alerts/rules", timeout=60_000)
    expect(page.locator("#rules-table")).to_contain_text(name)
    page.get_by_role("link", name="Alerts").last.click()
    row = page.locator(".alert-row").filter(has_text=name).filter(has_text="web-01")
    expect(row).to_contain_text("Firing", timeout=60_000)
    expect(page.locator("#nav-alerts-count")).not_to_be_empty()
    row.get_by_role("button", name=re.compile("^Acknowledge")).click()
    page.fill("#alert-comment", "looking at it")
    page.get_by_role("dialog").get_by_role("button", name="Acknowledge").click()
    expect(row).to_contain_text("Acknowledged")
    keep(page, "alerts")
    row.get_by_role("link", name=name).click()
    expect(page.locator("#alert-summary")).to_contain_text("looking at it")
    page.wait_for_selector("#alert-chart .js-plotly-plot .main-svg")
    keep(page, "alert-detail")


@pytest.mark.parametrize(("theme", "width"), [("dark", 1440), ("light", 380), ("dark", 380)])
def test_every_page_about_alerts_fits(watched: Watched, stack: Stack, busy: int, theme: str, width: int) -> None:
    page = watched.page(color_scheme=theme, viewport={"width": width, "height": 800})
    log_in(page, stack.url, "/alerts")
    paths = ("/alerts", "/alerts/history", "/alerts/rules", "/alerts/rules/new", "/alerts/silences", "/alerts/channels")
    for path in paths:
        page.goto(stack.url + path)
        page.wait_for_selector("#page h1")
        page.wait_for_selector(".places")
        expect(page.locator("#page .mantine-Skeleton-root")).to_have_count(0)
        assert fits(page), path
        keep(page, f"{path.strip('/').replace('/', '-')}-{theme}-{width}")
