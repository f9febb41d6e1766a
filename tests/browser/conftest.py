"""The running product for Chromium: backend and dashboard as processes, a host that reports every second."""

import contextlib
import threading
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from chatops_backend.settings import Settings
from tests.chromium import chromium_path
from tests.conftest import NewSettings
from tests.reporting import Reporter, readings
from tests.stack import Backend, Program, environment, running_backend

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
]
SCREENSHOTS = Path(__file__).parents[2] / "screenshots"
ZONE = "Europe/Berlin"
PATIENCE_MS = 20_000
expect.set_options(timeout=PATIENCE_MS)


class Host(threading.Thread):
    """Reports a reading a second, its CPU wandering, until it is stopped."""

    def __init__(self, backend: Backend, name: str, **names: str) -> None:
        super().__init__(daemon=True)
        self.server_id, self.key = backend.add_server(name)
        self._names = names
        self._reporter = Reporter(backend.agents_url, self.key)
        now = time.time()
        self._reporter.report([(now - 300 + 5 * n, self._reading(n)) for n in range(60)])
        self._stopped = threading.Event()

    def _reading(self, n: int) -> dict[str, list[Any]]:
        return readings(20.0 + n * 7 % 30, **self._names)

    def run(self) -> None:
        n = 0
        while not self._stopped.wait(1.0):
            n += 1
            self._reporter.report([(time.time(), self._reading(n))])

    def stop(self) -> None:
        self._stopped.set()
        self.join(15)
        self._reporter.close()


@dataclass(frozen=True)
class Stack:
    """What runs: the dashboard's address, the backend, the host whose readings arrive."""

    url: str
    backend: Backend
    host: Host


@contextlib.contextmanager
def running_dashboard(settings: Settings, backend: Backend) -> Iterator[str]:
    """`chatops dashboard` of a backend; yields its address."""
    env = environment(settings) | {"CHATOPS_API_URL": backend.url}
    dashboard = Program(["dashboard"], env, settings.data_dir / "dashboard.log")
    try:
        url = f"http://127.0.0.1:{settings.dashboard_port}"
        dashboard.wait_until_answers(f"{url}/ready")
        yield url
        assert dashboard.stop() == 0
        assert "Traceback" not in dashboard.log.read_text()
    finally:
        if dashboard.process.poll() is None:
            dashboard.kill()


@pytest.fixture(scope="session")
async def stack(new_settings: NewSettings) -> AsyncIterator[Stack]:
    settings = replace(await new_settings(), allow_private_targets=True)
    with running_backend(settings) as backend, running_dashboard(settings, backend) as url:
        host = Host(backend, "web-01")
        host.start()
        yield Stack(url, backend, host)
        host.stop()


@pytest.fixture(scope="module")
def chromium(stack: Stack) -> Iterator[Browser]:
    # After the stack and for one module: while Playwright's synchronous API is open, no other event loop can run.
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=ARGUMENTS)
        yield browser
        browser.close()


class Watched:
    """Opens contexts whose pages note what must never happen: scripts that fail or speak, requests to elsewhere."""

    def __init__(self, browser: Browser, url: str) -> None:
        self._browser = browser
        self._url = url
        self.complaints: list[str] = []
        self.contexts: list[BrowserContext] = []

    def context(self, **options: Any) -> BrowserContext:
        context = self._browser.new_context(
            **{"timezone_id": ZONE, "viewport": {"width": 1440, "height": 900}} | options
        )
        context.set_default_timeout(PATIENCE_MS)
        context.on("page", self._watch)
        self.contexts.append(context)
        return context

    def page(self, **options: Any) -> Page:
        return self.context(**options).new_page()

    def _watch(self, page: Page) -> None:
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        page.on("dialog", lambda dialog: (self.complaints.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: self._look(request.url))
        page.on(
            "console",
            lambda message: self.complaints.append(f"console: {message.text}") if message.type == "error" else None,
        )

    def _look(self, url: str) -> None:
        if not url.startswith((self._url, "data:", "blob:")):
            self.complaints.append(f"request to {url}")


@pytest.fixture
def watched(chromium: Browser, stack: Stack) -> Iterator[Watched]:
    opener = Watched(chromium, stack.url)
    yield opener
    for context in opener.contexts:
        context.close()
    assert opener.complaints == []


def keep(page: Page, name: str) -> None:
    """A screenshot for people to look at, in ``screenshots/``."""
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)
    assert (SCREENSHOTS / f"{name}.png").stat().st_size > 5_000
