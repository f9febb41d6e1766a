"""The processes of now: rows that keep who they are, and an agent that does not answer."""

import asyncio
from datetime import UTC
from typing import Any

import pytest

from chatops_dashboards.pages.server import process_now, processes
from chatops_dashboards.session import Session
from chatops_protocol.control_messages import ProcessEntry
from tests.client.conftest import Reported
from tests.dashboards.conftest import Recorder
from tests.dashboards.test_pages import text_of

pytestmark = pytest.mark.anyio


def entry(**values: Any) -> ProcessEntry:
    known = {
        "pid": 7,
        "parent_pid": 1,
        "started_at": 5.5,
        "name": "nginx",
        "user": "www",
        "state": "S",
        "cpu_percent": None,
    }
    more = {"memory_resident_bytes": 1, "thread_count": 1, "command_line": "nginx: worker"}
    return ProcessEntry(**{**known, **more, **values})


def test_a_later_process_of_the_same_number_is_another_row() -> None:
    rows = process_now.rows_of([entry(), entry(started_at=6.5, command_line="")])
    assert len({row["id"] for row in rows}) == 2
    assert rows[0]["cpu"] is None
    assert rows[1]["command"] == "[nginx]"


def test_the_question_says_what_is_sent_to_what() -> None:
    words = str(process_now.consequence("KILL", process_now.rows_of([entry()])[0], "web-01"))
    for part in ("KILL", "7", "www", "web-01", "nginx: worker"):
        assert part in words


async def test_an_agent_that_does_not_answer_is_said_and_asked_again(
    session: Session, reported: Reported, push: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_now, "ASK_EVERY_S", 0.01)
    asking = asyncio.create_task(process_now.stream(session, {"server_id": reported.server_id}, UTC, push))
    async with asyncio.timeout(10):
        while len(push.values("processes-note", "children")) < 2:
            await asyncio.sleep(0.01)
    asking.cancel()
    assert "not connected" in text_of(push.values("processes-note", "children")[-1])
    assert push.values("processes-grid", "rowData") == []


@pytest.mark.parametrize("view", ["now", "nonsense"])
async def test_every_view_of_the_tab_can_be_linked_to(session: Session, reported: Reported, view: str) -> None:
    content = await processes.content(session, reported.server_id, {"view": view}, UTC)
    words = text_of(content)
    assert {"now": "Asking the agent", "nonsense": "nginx"}[view] in words
