"""What a person does and sees, as functions over a page."""

import re
import time
from collections.abc import Callable

import httpx
from playwright.sync_api import Page, expect

from tests.conftest import ADMIN_PASSWORD


def log_in(page: Page, url: str, path: str = "/", username: str = "admin") -> None:
    page.goto(url + path)
    page.fill("#username", username)
    page.fill("#password", ADMIN_PASSWORD)
    page.click("button[type=submit]")
    page.wait_for_selector("#page h1")


def newest_point(page: Page) -> str:
    """The time of the CPU chart's last point, as the chart has it."""
    found: str = page.evaluate(
        "(document.querySelector('#live-chart-cpu .js-plotly-plot')?.data?.[0]?.x || []).slice(-1)[0] || ''"
    )
    return found


def open_tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name).click()
    expect(page.get_by_role("tab", name=name)).to_have_attribute("aria-selected", "true")


def until(condition: Callable[[], bool], what: str, seconds: float = 40.0) -> None:
    """Poll until it holds; name what did not happen otherwise."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.1)


def fits(page: Page) -> bool:
    """Whether the page can be read without scrolling sideways."""
    wide: bool = page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    return wide


def live_sockets(backend_url: str, kind: str) -> float:
    """How many of people's sockets the backend has open."""
    text = httpx.get(f"{backend_url}/metrics", trust_env=False).text
    found = re.search(rf'chatops_live_sockets{{kind="{kind}"}} ([0-9.]+)', text)
    return float(found[1]) if found else 0.0
