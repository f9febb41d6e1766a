"""The whole way: a rule made in the browser fires on load that the test makes, tells of it, ends; a replay agrees."""

import contextlib
import json
import os
import queue
import secrets
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Stack, Watched, keep
from tests.browser.steps import log_in, until
from tests.stack import Program

pytestmark = pytest.mark.browser

# Longer than anything is waited for, so that no load is left behind whatever happens.
LOAD_ENDS_AFTER_S = 150
LOAD = f"""
import time
end = time.monotonic() + {LOAD_ENDS_AFTER_S}
while time.monotonic() < end:
    pass
"""
# A loop that gets a fifth of one core is load enough, also on a busy machine.
LEVEL = 10
# From the end of the load: what is left of its minute, the next one, which is the window, an evaluation, the grouping.
OVER_WITHIN_S = 150


class Receiver(ThreadingHTTPServer):
    """Keeps what it is sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.bodies: queue.Queue[dict[str, Any]] = queue.Queue()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/hook"


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        self.server.bodies.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@contextlib.contextmanager
def real_agent(stack: Stack, directory: Path) -> Iterator[int]:
    """This machine, watched by the agent as it is; the server's id."""
    server_id, key = stack.backend.add_server("this machine")
    env = {name: text for name, text in os.environ.items() if not name.startswith("CHATOPS_")} | {
        "CHATOPS_API_URL": stack.backend.url,
        "CHATOPS_API_KEY": key,
        "CHATOPS_INTERVAL": "1",
        "CHATOPS_PROCESS_INTERVAL": "1",
        "CHATOPS_SPOOL_DIR": str(directory / "spool"),
    }
    agent = Program(["agent"], env, directory / "agent.log")
    try:
        until(
            lambda: stack.backend.call("GET", f"/metrics/{server_id}/latest").json()["time"] is not None,
            "the agent's first readings",
        )
        yield server_id
        assert agent.stop() == 0
    finally:
        agent.kill()


@contextlib.contextmanager
def load(program: Path) -> Iterator[None]:
    """One process that computes, under a name of its own."""
    program.symlink_to(Path(sys.executable).resolve())
    process = subprocess.Popen([program, "-S", "-E", "-c", LOAD], stdin=subprocess.DEVNULL)
    try:
        yield
        assert process.poll() is None, "the load ended before the alert came"
    finally:
        process.kill()
        process.wait()


def field(page: Page, name: str, kind: str = "rule-field") -> Locator:
    return page.locator(f'[id*=\'"{name}"\'][id*="{kind}"]').first


def choose(page: Page, name: str, option: str) -> None:
    field(page, name).click()
    page.get_by_role("option", name=option, exact=True).click()


def make_rule(page: Page, stack: Stack, server_id: int, name: str, process: str, channel: str) -> None:
    log_in(page, stack.url, f"/alerts/rules/new?server={server_id}&metric=process.cpu_percent")
    field(page, "name").fill(name)
    field(page, "name", "rule-label").fill(process)
    field(page, "window").fill("1 min")
    field(page, "for").fill("0 s")
    field(page, "critical").fill(str(LEVEL))
    choose(page, "scope", "These servers")
    choose(page, "server_ids", "this machine")
    choose(page, "channel_ids", channel)
    page.keyboard.press("Escape")
    expect(page.locator("#rule-words")).to_contain_text(f"average over 1 min above {LEVEL} %")
    page.get_by_role("button", name="Create rule").click()
    # The embedded database answers one after the other: the save waits for the backtests of what was typed before.
    page.wait_for_url("**/alerts/rules", timeout=60_000)
    expect(page.locator("#rules-table")).to_contain_text(name)


def alerts_of(stack: Stack, rule_id: int) -> list[dict[str, Any]]:
    answer = stack.backend.call("GET", f"/alerts?threshold_id={rule_id}").raise_for_status()
    alerts: list[dict[str, Any]] = answer.json()["items"]
    return alerts


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_a_rule_made_here_fires_on_real_load_tells_of_it_and_ends_and_a_replay_says_the_same(
    watched: Watched, stack: Stack, receiver: Receiver, tmp_path: Path
) -> None:
    unique = secrets.token_hex(3)
    process, name, channel = f"load-{unique}", f"Load {unique}", f"Hook {unique}"
    hook = {"name": channel, "type": "webhook", "url": receiver.url}
    stack.backend.call("POST", "/alerts/channels", json=hook).raise_for_status()
    page = watched.page()
    with real_agent(stack, tmp_path) as server_id:
        make_rule(page, stack, server_id, name, process, channel)
        listed = stack.backend.call("GET", "/alerts/thresholds?limit=200").json()["items"]
        (rule,) = (stored for stored in listed if stored["threshold"]["name"] == name)
        assert rule["threshold"]["labels"] == {"name": process}
        assert rule["threshold"]["server_ids"] == [server_id]
        page.get_by_role("link", name="Alerts").last.click()
        row = page.locator(".alert-row").filter(has_text=name)
        expect(row).to_have_count(0)
        began = datetime.now(UTC)
        with load(tmp_path / process):
            told = receiver.bodies.get(timeout=60)
            expect(row).to_contain_text("Firing", timeout=10_000)
        ended = datetime.now(UTC)
        (alert,) = told["alerts"]
        assert (told["status"], told["receiver"], alert["status"]) == ("firing", channel, "firing")
        assert alert["labels"].items() >= {
            "alertname": name, "server": "this machine", "name": process, "severity": "critical"
        }.items()  # fmt: skip
        assert float(alert["annotations"]["value"]) > LEVEL
        over = receiver.bodies.get(timeout=OVER_WITHIN_S)
        assert (over["status"], over["alerts"][0]["fingerprint"]) == ("resolved", alert["fingerprint"])
        expect(row).to_have_count(0)
    assert receiver.bodies.empty(), "told once when it fires and once when it is over"

    (stored,) = alerts_of(stack, rule["id"])
    fired_at, resolved_at = moment(stored["started_at"]), moment(stored["resolved_at"])
    assert (stored["state"], stored["level"], stored["server_id"]) == ("resolved", "critical", server_id)
    assert began < fired_at < ended < resolved_at < ended + timedelta(seconds=OVER_WITHIN_S)
    asked = {
        "threshold_id": rule["id"],
        "start": (began - timedelta(hours=1)).isoformat(),
        "end": datetime.now(UTC).isoformat(),
    }
    replayed = stack.backend.call("POST", "/alerts/thresholds/backtest", json=asked).raise_for_status().json()
    (firing,) = replayed["firings"]
    step = timedelta(seconds=replayed["step_s"])
    assert step == timedelta(minutes=1)
    assert (firing["server_id"], firing["level"]) == (server_id, "critical")
    assert firing["labels"] == stored["labels"]
    assert abs(moment(firing["started_at"]) - fired_at) <= step
    assert abs(moment(firing["resolved_at"]) - resolved_at) <= step
    assert replayed["notifications"] == 2
    page.goto(f"{stack.url}/alerts/{stored['id']}")
    expect(page.locator("#alert-summary")).to_contain_text("Resolved")
    keep(page, "alert-of-real-load")
