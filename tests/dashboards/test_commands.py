"""Commands in words, the pieces of a run's output, and the console over the real backend with a real agent."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from chatops_dashboards.command_words import left_out_text, remembered
from chatops_dashboards.components.command_form import policy_notice, read_options, split_words
from chatops_dashboards.components.run_output import run_head, show_run, utf16_length
from chatops_dashboards.pages.server import console
from chatops_dashboards.session import Session
from chatops_protocol.command_resources import Command, RunCommandRequest
from tests.dashboards.conftest import Recorder
from tests.hosts import Host
from tests.stack import Backend

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def command(**values: Any) -> Command:
    known = {
        "id": 1,
        "group_id": None,
        "server_id": 1,
        "server_name": "web-01",
        "kind": "command",
        "title": "ls",
        "argv": ["ls"],
        "command": None,
        "working_directory": None,
        "timeout_s": 60,
        "username": "admin",
        "state": "running",
        "detail": "",
        "exit_code": None,
        "duration_s": None,
        "stdout_bytes": 0,
        "stderr_bytes": 0,
        "created_at": NOW,
        "expires_at": NOW,
        "sent_at": None,
        "started_at": None,
        "finished_at": None,
    }
    return msgspec.convert({**known, **values}, Command)


class Tab(Recorder):
    """Draws what it is fed, as the browser does."""

    def __init__(self) -> None:
        super().__init__()
        self.text, self.telling = "", ""

    async def read(self, component_id: str, prop: str) -> object:
        feed: Any = self.values("run-feed", "data")[-1]
        if feed["telling"] != self.telling:
            self.text, self.telling = "", feed["telling"]
        if feed["start"] == len(self.text):
            self.text += "".join(text for _, _, text in feed["pieces"])
        return {"mark": feed["mark"], "at": len(self.text)}


@pytest.fixture(scope="session")
def host(backend: Backend, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    started = Host(backend, tmp_path_factory.mktemp("host"), CHATOPS_ALLOW_COMMANDS="shell").start()
    yield started
    started.stop()


def test_the_history_holds_each_line_once_the_newest_first() -> None:
    ran = [
        command(command="uptime"),
        command(argv=["echo", "two words"]),
        command(command="uptime"),
        command(command="a\nb"),
    ]
    assert remembered([*ran, command(kind="signal", title="TERM to 1")]) == ["uptime", "echo 'two words'"]
    assert remembered(ran, "df -h")[0] == "df -h"


def test_what_is_typed_is_shown_as_it_will_be_read_unless_a_shell_reads_it() -> None:
    assert "two words" in str(split_words("echo 'two words'", "allowlist"))
    assert "Not complete" in str(split_words("echo 'two", None))
    assert split_words("echo 'two", "shell") is None
    assert split_words("  ", "allowlist") is None


@pytest.mark.parametrize(("timeout", "folder"), [("", ""), (None, ""), (0, ""), (90_000, ""), (5, "var/log")])
def test_options_that_cannot_be_are_refused_in_words(timeout: Any, folder: str) -> None:
    with pytest.raises(ValueError, match=r"\.$"):
        read_options(timeout, folder)


def test_each_policy_is_said_and_how_to_change_it_where_nothing_is_allowed() -> None:
    assert "CHATOPS_ALLOW_COMMANDS=shell" in str(policy_notice("off"))
    assert "list" in str(policy_notice("allowlist"))
    assert "/bin/sh" in str(policy_notice("shell"))
    assert "not connected" in str(policy_notice(None))


def test_only_those_who_may_act_are_offered_to_cancel_and_only_what_runs() -> None:
    def offered(state: str, may_act: bool) -> bool:
        return "run-cancel" in str(run_head(command(state=state), NOW, UTC, may_act=may_act, named=True))

    assert offered("running", may_act=True)
    assert not offered("running", may_act=False)
    assert not offered("ok", may_act=True)


def test_what_is_left_out_is_said_with_the_true_length() -> None:
    text = left_out_text(command(stdout_bytes=104_857_600), 103_809_024)
    assert "104\u202f857\u202f600 bytes" in text
    assert "100 MiB" in text
    assert left_out_text(command(), 0) == ""


def test_lengths_are_counted_as_browsers_count() -> None:
    assert utf16_length("aß€😀") == 5


async def test_a_run_is_told_whole_and_in_order_with_its_end(session: Session, host: Host) -> None:
    script = "printf '\\033[31mred\\033[0m\\n'; seq 1 20000; echo '<b>' "
    asked = RunCommandRequest(command=script)
    tab = Tab()
    async with asyncio.timeout(30):
        started = await session.client.commands.run(host.server_id, asked)
        ended = await show_run(session, started.id, UTC, tab)
    assert ended.state == "ok"
    assert tab.text == "red\n" + "".join(f"{n}\n" for n in range(1, 20_001)) + "<b>\n"
    first: Any = tab.values("run-feed", "data")[0]
    classes = {piece[1] for feed in tab.values("run-feed", "data") for piece in feed["pieces"]}  # type: ignore[index]
    assert classes == {"", "ansi-fg-1"}
    assert first["start"] == 0
    assert "Done" in str(tab.values("run-head", "children")[-1])


async def test_a_tab_that_loses_its_place_is_told_from_the_beginning(session: Session, host: Host) -> None:
    class Forgetful(Tab):
        lost = False

        async def read(self, component_id: str, prop: str) -> object:
            drawn: Any = await super().read(component_id, prop)
            if self.text and not self.lost:
                self.lost = True
                return {**drawn, "at": 0}
            return drawn

    tab = Forgetful()
    async with asyncio.timeout(30):
        started = await session.client.commands.run(host.server_id, RunCommandRequest(argv=["seq", "3"]))
        await show_run(session, started.id, UTC, tab)
    assert tab.lost
    assert tab.text == "1\n2\n3\n"


@pytest.mark.parametrize("past", [False, True])
async def test_who_looks_at_the_past_ends_nothing_there(session: Session, host: Host, past: bool) -> None:
    tab = Tab()
    started = await session.client.commands.run(host.server_id, RunCommandRequest(argv=["sleep", "60"]))
    view = {"server_id": host.server_id, "command_id": started.id, "past": past}
    showing = asyncio.create_task(console.stream(session, view, UTC, tab))
    async with asyncio.timeout(30):
        while not any("Running" in str(head) for head in tab.values("run-head", "children")):
            await asyncio.sleep(0.05)
    await session.client.commands.cancel(started.id)
    showing.cancel()
    await asyncio.gather(showing, return_exceptions=True)
    offered = [head for head in tab.values("run-head", "children") if "'type': 'run-cancel'" in str(head)]
    assert bool(offered) is not past


async def test_the_console_shows_a_viewer_what_was_run_and_no_line(session: Session, host: Host) -> None:
    own = str(await console.content(session, host.server_id, {}, UTC))
    assert "id='console-line'" in own
    assert "id='console-run'" in own
    session.user = msgspec.structs.replace(session.user, role="viewer")
    looked_at = str(await console.content(session, host.server_id, {}, UTC))
    assert "id='console-line'" not in looked_at
    assert "id='console-run'" not in looked_at
    assert console.RUNS in looked_at
