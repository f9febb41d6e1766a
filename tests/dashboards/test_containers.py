"""The containers tab: words, rows, what is offered to whom, and its stream over a real agent and engine."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any, get_args
from zoneinfo import ZoneInfo

import msgspec
import pytest

from chatops_client import ApiError, BackendUnreachableError
from chatops_dashboards import container_words as words
from chatops_dashboards.components.container_details import details, warnings
from chatops_dashboards.components.container_dialogue import act_buttons, dialogue_words, outcome
from chatops_dashboards.components.container_hosts import nothing_shown, policy_notice
from chatops_dashboards.components.container_log import LogText, tail_of
from chatops_dashboards.components.container_table import row_of
from chatops_dashboards.pages.server import containers
from chatops_dashboards.pages.server.chosen_container import Chosen
from chatops_dashboards.pages.server.container_parts import figure_of
from chatops_dashboards.pages.server.container_stream import count_words, draw, head
from chatops_dashboards.session import Session, SessionEndedError
from chatops_protocol.command_resources import CommandResult
from chatops_protocol.container_messages import (
    ContainerEntry,
    ContainerInspected,
    ContainerLogLine,
    ContainerMount,
    ContainerVerb,
    PublishedPort,
)
from chatops_protocol.container_resources import ContainerList
from chatops_protocol.resources import MetricSeries, Series
from tests.dashboards.conftest import Recorder
from tests.engine import TestEngine
from tests.hosts import Host
from tests.stack import Backend

pytestmark = pytest.mark.anyio
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
ID = "ab" * 32


def entry(**values: Any) -> ContainerEntry:
    known = {"id": ID, "name": "web", "image": "nginx:1", "state": "running", "status": "Up 2 hours"}
    return ContainerEntry(**{**known, **values})


def listed(*entries: ContainerEntry, policy: Any = "control", more: int = 0) -> ContainerList:
    return ContainerList(server_id=1, taken_at=NOON, policy=policy, total=len(entries) + more, containers=list(entries))


def result(**values: Any) -> CommandResult:
    known = {
        "id": 1, "server_id": 1, "server_name": "web-01", "kind": "container", "title": "stop container web",
        "state": "ok", "detail": "web (abababababab) was stopped", "username": "admin", "timeout_s": 60,
        "created_at": NOON, "expires_at": NOON, "finished_at": NOON, "stdout": "", "stderr": "", "truncated": False,
        "group_id": None, "argv": None, "command": None, "working_directory": None, "exit_code": 0, "duration_s": 1.0,
        "stdout_bytes": 0, "stderr_bytes": 0, "sent_at": NOON, "started_at": NOON,
    }  # fmt: skip
    return msgspec.convert({**known, **values}, CommandResult)


def test_ports_are_told_once_with_where_they_are_reached() -> None:
    ports = [
        PublishedPort(443, "tcp"),
        PublishedPort(80, "tcp", 8080, "0.0.0.0"),
        PublishedPort(80, "tcp", 8080, "::"),
        PublishedPort(5432, "tcp", 5432, "127.0.0.1"),
    ]
    assert words.ports_text(ports) == "127.0.0.1:5432→5432/tcp, 8080→80/tcp, 443/tcp"
    assert words.ports_text([]) == ""


def test_an_unknown_reading_stays_unknown_in_its_row() -> None:
    row = row_of(entry(disk_read_bytes_per_second=5.0), BERLIN)
    assert (row["cpu"], row["memory"], row["network"], row["restarts"], row["health"]) == (None,) * 5
    assert row["disk"] == 5.0


def test_an_ended_container_says_how_and_when_it_ended() -> None:
    row = row_of(entry(state="exited", exit_code=137, finished_at=NOON, status="Exited (137)"), BERLIN)
    assert (row["word"], row["mark"], row["kind"]) == ("Ended (137)", "■", "critical")
    assert row["status"] == "Exited (137) · 2026-11-24 13:00:00 CET"
    assert row_of(entry(state="exited", exit_code=0), BERLIN)["kind"] == "quiet"


def test_a_state_of_a_newer_engine_keeps_its_word_and_offers_everything() -> None:
    assert row_of(entry(state="hibernating"), BERLIN)["word"] == "hibernating"
    assert words.verbs_for("hibernating") == get_args(ContainerVerb)


@pytest.mark.parametrize(
    ("state", "offered"),
    [("running", {"restart", "stop", "pause", "kill"}), ("paused", {"unpause", "stop", "kill"}), ("exited", {"start"})],
)
def test_only_what_fits_the_state_is_offered(state: str, offered: set[str]) -> None:
    buttons: Any = act_buttons(entry(state=state)).children
    assert {button.id["verb"] for button in buttons} == offered
    assert {button.id["container"] for button in buttons} == {ID}


@pytest.mark.parametrize("verb", get_args(ContainerVerb))
def test_a_dialogue_says_what_is_done_to_which_container_on_which_host(verb: ContainerVerb) -> None:
    shown = str(dialogue_words(verb, "web", ID, "host-1"))
    for part in (words.VERB_WORDS[verb], "'web'", ID[:12], "'host-1'", words.consequence(verb)):
        assert part in shown or repr(part)[1:-1] in shown


def test_buttons_are_only_for_those_who_may_act_where_the_host_allows_it() -> None:
    def offered(policy: str, may_act: bool) -> bool:
        chosen = Chosen("web")
        found = listed(entry(), policy=policy)
        chosen.take(found)
        return "container-act" in str(head(chosen, found, may_act, UTC))

    assert offered("control", may_act=True)
    assert not offered("control", may_act=False)
    assert not offered("read", may_act=True)


def test_a_chosen_container_that_was_removed_is_said_to_be_gone() -> None:
    chosen = Chosen("<gone>")
    found = listed(entry())
    chosen.take(found)
    assert "“<gone>” on this host any more" in str(head(chosen, found, may_act=True, zone=UTC))


def test_what_came_of_it_is_said() -> None:
    assert "was stopped" in str(outcome("stop", "web", "host-1", result()))
    refused = str(outcome("stop", "web", "host-1", result(state="failed", detail="refused: CHATOPS_ALLOW_DOCKER")))
    assert "Not done" in refused
    assert "refused: CHATOPS_ALLOW_DOCKER" in refused
    assert "not done yet" in str(outcome("stop", "web", "h", result(state="running", finished_at=None, detail="")))


def test_each_policy_is_said_with_how_to_change_it() -> None:
    off = ApiError(409, "this host shows no containers (CHATOPS_ALLOW_DOCKER of its agent is off)")
    assert "CHATOPS_ALLOW_DOCKER=read" in str(nothing_shown(off))
    assert "CHATOPS_ALLOW_DOCKER=control" in str(policy_notice("read", may_act=True))
    assert "looks on" in str(policy_notice("control", may_act=False))
    assert policy_notice("control", may_act=True) is None


def test_why_there_is_no_table_is_said_in_the_hosts_words_and_a_dead_session_is_no_state() -> None:
    socket = "the agent's user may not use /var/run/docker.sock: add it to the group docker and restart the agent"
    assert socket[1:].replace("'", "\\'") in str(nothing_shown(ApiError(502, socket))) or socket[1:] in str(
        nothing_shown(ApiError(502, socket))
    )
    assert "does not answer" in str(nothing_shown(BackendUnreachableError("no answer")))
    with pytest.raises(SessionEndedError):
        nothing_shown(ApiError(401, "log in"))


def test_what_does_not_fit_and_what_is_empty_is_said(push: Recorder) -> None:
    assert count_words(listed(entry(), entry(state="exited"), more=3)).startswith("2 containers, 1 of them running; 3")
    assert count_words(listed(entry())) == "1 container, 1 of them running"
    draw(listed(), UTC, push)
    assert "No containers" in str(push.values("containers-state", "children")[-1])


def test_colours_of_a_log_last_over_lines_each_stream_for_itself_and_controls_do_not() -> None:
    text = LogText("of", BERLIN)
    lines = [
        ContainerLogLine(NOON, "stdout", "\x1b[31mred\r"),
        ContainerLogLine(NOON, "stderr", "plain\x1b]0;title"),
        ContainerLogLine(None, "stdout", "still red"),
    ]
    first, second = text.feed(lines, 0), text.feed([], 7)
    assert [line["pieces"] for line in first["lines"]] == [
        [["ansi-fg-1", "red"]],
        [["", "plain"], ["", "]0;title"]],
        [["ansi-fg-1", "still red"]],
    ]
    assert [line["time"] for line in first["lines"]] == ["11-24 13:00:00", "11-24 13:00:00", ""]
    assert "7 lines are left out" in str(second["lines"])
    assert (first["telling"], first["sequence"] + 1) == (second["telling"], second["sequence"])


@pytest.mark.parametrize(("value", "tail"), [(1000, 1000), (7, 200), ("1000", 200), (None, 200)])
def test_a_tail_that_is_not_offered_is_the_default(value: object, tail: int) -> None:
    assert tail_of(value) == tail


def inspected(**values: Any) -> ContainerInspected:
    empty: dict[str, Any] = {
        kind.name: {str: "", bool: False}.get(kind.type, [] if "list" in str(kind.type) else None)
        for kind in msgspec.structs.fields(ContainerInspected)
    }
    known = {"id": ID, "name": "web", "image": "nginx:1", "state": "running", "environment": {}, "labels": {}}
    return ContainerInspected(**{**empty, **known, **values})


def test_details_say_what_is_dangerous_and_never_a_value_of_the_environment() -> None:
    found = inspected(
        privileged=True, out_of_memory=True, added_capabilities=["SYS_ADMIN"], environment={"TOKEN": "canary"},
        mounts=[ContainerMount("bind", "/etc", "/host", read_only=False)], labels={"<b>": "1"},
    )  # fmt: skip
    shown = str(details(found, NOON, UTC))
    for part in ("the whole host", "no memory left", "SYS_ADMIN", "TOKEN", "/host", "read and write", "<b>"):
        assert part in shown
    assert "canary" not in shown
    assert warnings(inspected()) == []


def test_a_chart_keeps_its_zoom_and_reaches_from_zero_to_what_it_needs() -> None:
    hour = NOON - timedelta(hours=1)
    series = Series(1, {"container_id": ID[:12]}, [NOON], [0.2], [0.1], [0.3])
    answer = MetricSeries("container.cpu_percent", "percent", "raw", 15.0, [series])
    layout = figure_of(answer, hour, NOON, BERLIN)["layout"]
    later = figure_of(answer, hour + timedelta(seconds=10), NOON + timedelta(seconds=10), BERLIN)["layout"]
    assert "range" not in layout["yaxis"]
    assert (layout["yaxis"]["rangemode"], layout["showlegend"]) == ("tozero", False)
    assert layout["uirevision"] == later["uirevision"]
    assert layout["xaxis"]["range"] != later["xaxis"]["range"]


async def test_whoever_waits_hears_of_another_life_and_of_nothing_else() -> None:
    chosen = Chosen("web")
    waiting = asyncio.create_task(chosen.changed())
    await asyncio.sleep(0)
    chosen.take(listed(entry()))
    await waiting
    waiting = asyncio.create_task(chosen.changed())
    await asyncio.sleep(0)
    chosen.take(listed(entry(cpu_percent=5.0)))
    await asyncio.sleep(0)
    assert not waiting.done()
    chosen.take(listed(entry(name="other")))
    await waiting
    assert chosen.entry is None


async def test_the_stream_says_that_a_host_shows_nothing(
    backend: Backend, session: Session, push: Recorder, tmp_path_factory: pytest.TempPathFactory
) -> None:
    host = await asyncio.to_thread(Host(backend, tmp_path_factory.mktemp("off")).start)
    try:
        shown = str(await containers.content(session, host.server_id, {"container": "web"}, UTC))
        assert "'container': 'web'" in shown
        running = asyncio.create_task(containers.stream(session, containers.view_of(host.server_id, None), UTC, push))
        async with asyncio.timeout(20):
            while not push.values("containers-state", "children"):
                await asyncio.sleep(0.02)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert "does not show its containers" in str(push.values("containers-state", "children")[0])
    finally:
        await asyncio.to_thread(host.stop)


async def test_the_stream_lists_marks_the_chosen_one_and_says_since_when_all_is_old(
    backend: Backend, session: Session, push: Recorder, engine: TestEngine, tmp_path_factory: pytest.TempPathFactory
) -> None:
    identifier = engine.run("streamed", "echo '<b>'; exec sleep 1000")
    settings = {"CHATOPS_ALLOW_DOCKER": "read", "CHATOPS_DOCKER_SOCKET": str(engine.socket)}
    host = await asyncio.to_thread(Host(backend, tmp_path_factory.mktemp("docker"), **settings).start)
    view = containers.view_of(host.server_id, "streamed")
    running = asyncio.create_task(containers.stream(session, view, UTC, push))
    try:
        async with asyncio.timeout(60):
            while "<b>" not in str(push.values("container-log-feed", "data")):
                await asyncio.sleep(0.02)
            await asyncio.to_thread(host.stop)
            while "What you see is of" not in str(push.values("containers-note", "children")):
                await asyncio.sleep(0.02)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await asyncio.to_thread(host.stop)
        engine.remove(identifier)
    rows: Any = push.values("containers-grid", "rowData")[0]
    assert [(row["name"], row["word"]) for row in rows if row["id"] == identifier] == [("streamed", "Running")]
    assert push.values("containers-grid", "selectedRows") == [{"ids": [identifier]}]
    assert "CHATOPS_ALLOW_DOCKER=control" in str(push.values("containers-policy", "children"))
    assert "container-act" not in str(push.values("container-head", "children"))
