"""Control from end to end in Chromium: an operator acts on a host with a real engine, a viewer cannot, and the audit
log holds all of it and shows when somebody changed one row."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from playwright.sync_api import Page, expect

from chatops_backend.database.open import open_database
from chatops_backend.settings import Settings
from tests.backend.audit.tampering import edited
from tests.browser.conftest import Stack, Watched, keep, running_dashboard
from tests.browser.steps import log_in, until
from tests.conftest import ADMIN_PASSWORD, NewSettings
from tests.engine import TestEngine
from tests.hosts import Host
from tests.stack import environment, running_backend

pytestmark = pytest.mark.browser
PATIENCE_S = 60
PATIENCE_MS = PATIENCE_S * 1000


@pytest.fixture(scope="module")
async def stack(new_settings: NewSettings) -> AsyncIterator[Stack]:
    """One of its own: the test breaks its audit log."""
    settings = await new_settings()
    with running_backend(settings) as backend, running_dashboard(settings, backend) as url:
        yield Stack(url, backend, None)  # type: ignore[arg-type]  # no host but its own


@pytest.fixture(scope="module")
def host(stack: Stack, engine: TestEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    settings = {
        "CHATOPS_ALLOW_COMMANDS": "shell",
        "CHATOPS_ALLOW_DOCKER": "control",
        "CHATOPS_DOCKER_SOCKET": str(engine.socket),
    }
    started = Host(stack.backend, tmp_path_factory.mktemp("control"), **settings).start()
    yield started
    started.stop()


def add_user(stack: Stack, role: str) -> str:
    user = {"username": f"the-{role}", "password": ADMIN_PASSWORD, "role": role}
    stack.backend.call("POST", "/users", json=user).raise_for_status()
    return user["username"]


def output(page: Page) -> str:
    text: str = page.evaluate("document.getElementById('run-output')?.textContent || ''")
    return text


def log_lines(page: Page) -> list[str]:
    return page.locator(".container-line-of-log:visible .container-log-text").all_text_contents()


def run_and_watch(page: Page, host: Host) -> None:
    """A command that goes on only after its first output was seen."""
    expect(page.locator("#console-policy")).not_to_be_empty()
    page.locator("#console-line").fill("echo on $HOME; while [ ! -e go ]; do sleep 0.1; done; echo 'went on'; exit 3")
    page.locator("#console-line").press("Enter")
    until(lambda: output(page) == f"on {host.directory}\n", "the first line, while it runs", PATIENCE_S)
    expect(page.locator("#run-head")).to_contain_text("Running", timeout=PATIENCE_MS)
    (host.directory / "go").touch()
    until(lambda: output(page) == f"on {host.directory}\nwent on\n", "the rest", PATIENCE_S)
    expect(page.locator("#run-head")).to_contain_text("exit code 3", timeout=PATIENCE_MS)
    keep(page, "control-console")


def restart_and_follow(page: Page, host: Host, engine: TestEngine, identifier: str) -> None:
    def started_at() -> str:
        at: str = engine.client.inspect_container(identifier)["State"]["StartedAt"]
        return at

    until(lambda: log_lines(page).count("begun") == 1 and "tick 1" in log_lines(page), "its log", PATIENCE_S)
    before = started_at()
    page.get_by_role("button", name="Restart worker…").click(timeout=PATIENCE_MS)
    dialogue = page.get_by_role("dialog")
    expect(dialogue).to_contain_text(f"Restart the container worker ({identifier[:12]}) on the host {host.name}.")
    assert started_at() == before
    dialogue.get_by_role("button", name="Restart", exact=True).click()
    expect(page.locator("#container-message")).to_contain_text("Done", timeout=PATIENCE_MS)
    assert started_at() > before
    # Both runs in one log, and it goes on.
    until(lambda: log_lines(page).count("begun") == 2, "the log of the second run", PATIENCE_S)
    until(lambda: log_lines(page).count("tick 1") == 2, "what the second run wrote later", PATIENCE_S)
    keep(page, "control-container")


def refused_as(stack: Stack, host: Host, identifier: str, username: str) -> None:
    """Whatever the browser shows, the API refuses."""
    login = {"username": username, "password": ADMIN_PASSWORD}
    with httpx.Client(base_url=f"{stack.backend.url}/api/v1", trust_env=False, timeout=PATIENCE_S) as api:
        token = api.post("/auth/login", json=login).raise_for_status().json()["access_token"]
        api.headers["Authorization"] = f"Bearer {token}"
        asked = {"argv": ["touch", str(host.directory / "touched")]}
        assert api.post(f"/commands/{host.server_id}", json=asked).status_code == 403
        assert api.post("/commands", json=asked | {"server_ids": [host.server_id]}).status_code == 403
        for verb in ("start", "stop", "restart", "pause", "unpause", "kill"):
            assert api.post(f"/docker/{host.server_id}/containers/{identifier}/{verb}").status_code == 403
        assert api.get("/audit/verify").status_code == 403


def cli_verify(settings: Settings) -> subprocess.CompletedProcess[str]:
    """`chatops audit verify`."""
    command = [sys.executable, "-m", "chatops_cli", "audit", "verify"]
    return subprocess.run(command, env=environment(settings), capture_output=True, text=True, check=False)


def edit_one_row(settings: Settings, statement: str) -> None:
    """As whoever owns the database can."""

    async def edit() -> None:
        async with open_database(settings) as database:
            await edited(database, statement)

    # In a thread: Playwright's event loop runs in this one.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, edit()).result()


def test_an_operator_acts_a_viewer_cannot_and_the_audit_log_tells(
    watched: Watched, stack: Stack, host: Host, engine: TestEngine
) -> None:
    identifier = engine.run(
        "worker", "trap exit TERM; echo begun; n=0; while true; do n=$((n+1)); echo tick $n; sleep 1; done"
    )
    operator, viewer = add_user(stack, "operator"), add_user(stack, "viewer")

    page = watched.page()
    page.set_default_timeout(PATIENCE_MS)
    log_in(page, stack.url, f"/servers/{host.server_id}?tab=console", operator)
    run_and_watch(page, host)
    page.goto(f"{stack.url}/servers/{host.server_id}?tab=containers&container=worker")
    restart_and_follow(page, host, engine, identifier)

    looking = watched.page()
    looking.set_default_timeout(PATIENCE_MS)
    log_in(looking, stack.url, f"/servers/{host.server_id}?tab=console", viewer)
    expect(looking.get_by_text("Your account looks on")).to_be_visible(timeout=PATIENCE_MS)
    expect(looking.locator("#console-runs .ag-row", has_text="echo on")).to_be_visible(timeout=PATIENCE_MS)
    expect(looking.locator("#console-line, #console-run")).to_have_count(0)
    looking.goto(f"{stack.url}/servers/{host.server_id}?tab=containers&container=worker")
    expect(looking.locator("#container-head")).to_contain_text("Running", timeout=PATIENCE_MS)
    expect(looking.locator(".container-acts, #container-head button")).to_have_count(0)
    refused_as(stack, host, identifier, viewer)
    assert not (host.directory / "touched").exists()
    engine.remove(identifier)

    for context in watched.contexts:
        context.close()
    entries = stack.backend.call("GET", "/audit", params={"actor": operator}).raise_for_status().json()["items"]
    told = [(entry["action"], entry["result"]) for entry in reversed(entries) if entry["server_id"] == host.server_id]
    assert told == [
        ("command.run", "intended"),
        ("command.run", "failed"),
        ("container.restart", "intended"),
        ("container.restart", "ok"),
    ]
    whole = stack.backend.call("GET", "/audit/verify").raise_for_status().json()
    assert whole["valid"]

    # The embedded database takes one client.
    host.stop()
    assert stack.backend.stop() == 0
    verified = cli_verify(stack.backend.settings)
    assert (verified.returncode, "the audit log is whole" in verified.stdout) == (0, True), verified
    edited_id = next(entry["id"] for entry in entries if entry["action"] == "container.restart")
    edit_one_row(stack.backend.settings, f"UPDATE chatops.audit_log SET username = 'eve' WHERE id = {edited_id}")
    verified = cli_verify(stack.backend.settings)
    assert verified.returncode == 1
    assert f"broken at entry {edited_id}: this entry was changed" in verified.stderr
    stack.backend.start()
    broken = stack.backend.call("GET", "/audit/verify").raise_for_status().json()
    assert (broken["valid"], broken["first_bad"]) == (False, edited_id)

    page = watched.page()
    page.set_default_timeout(PATIENCE_MS)
    log_in(page, stack.url, "/audit")
    page.locator("#audit-verify").click()
    expect(page.locator("#audit-verified")).to_contain_text(str(edited_id), timeout=PATIENCE_MS)
    expect(page.locator("#audit-verified")).not_to_contain_text("The chain is whole")
    keep(page, "control-audit-broken")
