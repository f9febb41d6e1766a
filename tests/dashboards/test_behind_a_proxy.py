"""Whose address counts at a log-in when reverse proxies stand in front: real processes, and this test as the proxy."""

import contextlib
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from tests.conftest import ADMIN_PASSWORD, NewSettings, free_port
from tests.stack import Backend, Program, environment, running_backend

PROXY = "127.0.0.1"
WRONG = ["not the password at all"] * 5


@pytest.fixture(scope="module")
async def behind_proxy(new_settings: NewSettings) -> AsyncIterator[Backend]:
    with running_backend(replace(await new_settings(), trusted_proxies=(PROXY,))) as backend:
        yield backend


@contextlib.contextmanager
def dashboard(backend: Backend, trusted: str, folder: Path) -> Iterator[str]:
    url = f"http://127.0.0.1:{(port := free_port())}"
    env = environment(backend.settings) | {
        "CHATOPS_API_URL": backend.url,
        "CHATOPS_DASHBOARD_PORT": str(port),
        "CHATOPS_TRUSTED_PROXIES": trusted,
    }
    program = Program(["dashboard"], env, folder / "dashboard.log")
    try:
        program.wait_until_answers(f"{url}/ready")
        yield url
    finally:
        program.stop()


def log_in(url: str, username: str, forwarded_for: str, *passwords: str) -> list[int]:
    """The status of each attempt at the dashboard."""
    found = []
    headers = {"Origin": url, "X-Forwarded-For": forwarded_for}
    for password in passwords:
        with httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=30) as browser:
            token = re.search(r'name="csrf" value="([^"]+)"', browser.get("/login").text)
            assert token is not None
            form = {"username": username, "password": password, "csrf": token[1], "next": "/"}
            found.append(browser.post("/login", data=form).status_code)
    return found


def test_the_dashboard_believes_its_proxy_who_guesses(behind_proxy: Backend, tmp_path: Path) -> None:
    with dashboard(behind_proxy, PROXY, tmp_path) as url:
        assert log_in(url, "admin", "203.0.113.1", *WRONG, ADMIN_PASSWORD) == [401] * 5 + [429]
        assert log_in(url, "admin", "203.0.113.2", ADMIN_PASSWORD) == [303]
        # What the browser claimed itself stands before what the proxy added.
        assert log_in(url, "admin", "203.0.113.2, 203.0.113.1", ADMIN_PASSWORD) == [429]


def test_whoever_is_no_trusted_proxy_cannot_name_an_address(behind_proxy: Backend, tmp_path: Path) -> None:
    with dashboard(behind_proxy, "192.0.2.1, 10.0.0.0/8", tmp_path) as url:
        guesses = [log_in(url, "nobody", f"203.0.113.{number}", WRONG[0]) for number in range(10, 16)]
    assert guesses == [[401]] * 5 + [[429]]


def test_the_backend_believes_its_proxy_who_calls(behind_proxy: Backend) -> None:
    def call(forwarded_for: str, password: str) -> int:
        login = {"username": "admin", "password": password}
        url = f"{behind_proxy.url}/api/v1/auth/login"
        return httpx.post(url, json=login, headers={"X-Forwarded-For": forwarded_for}, trust_env=False).status_code

    assert [call("203.0.113.31", password) for password in [*WRONG, ADMIN_PASSWORD]] == [401] * 5 + [429]
    assert call("203.0.113.32", ADMIN_PASSWORD) == 200
