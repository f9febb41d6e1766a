"""The logs tab: what its address holds, how lines are read and drawn, and that a stream misses none."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from chatops_dashboards.pages.server import log_lines, log_view, logs
from chatops_dashboards.pages.server.log_query import LogQuery
from chatops_dashboards.pages.server.log_stream import stream
from chatops_dashboards.session import Session
from chatops_protocol.log_lines import LogLine, LogSource
from tests.backend.logs.log_sending import logging_agent
from tests.dashboards.conftest import Recorder
from tests.stack import Backend

pytestmark = pytest.mark.anyio

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "asked",
    [
        LogQuery(),
        LogQuery("warning", "journal:ssh.service", 'a "b c" -d & e=f', "7d"),
        LogQuery(start=NOON, end=NOON + timedelta(hours=1), level="error"),
    ],
)
def test_a_link_restores_the_view(asked: LogQuery) -> None:
    assert LogQuery.from_query(asked.to_query()) == asked


def test_a_link_that_was_edited_falls_back_to_the_defaults() -> None:
    edited = {"tab": "logs", "level": "loud", "range": "1000y", "start": "never", "end": "2026-01-01T00:00:00Z"}
    assert LogQuery.from_query(edited) == LogQuery()
    assert LogQuery.from_query({"tab": "logs", "start": "2026-01-02T00:00:00Z", "end": "2026-01-01T00:00:00Z"}).follows
    assert LogQuery.from_query({"tab": "logs", "search": "x" * 900}).search == "x" * 500


def test_the_address_of_another_tab_says_nothing() -> None:
    assert LogQuery.from_query({"tab": "history", "range": "7d"}) == LogQuery()


def test_a_range_of_its_own_that_ends_before_it_starts_is_none() -> None:
    times = ("2026-11-24 13:00:00", "2026-11-24 12:00:00")
    assert logs.query_from("any", None, "", "custom", *times, BERLIN) is None
    found = logs.query_from("any", None, "", "custom", *times[::-1], BERLIN)
    assert found is not None
    assert found.start == NOON - timedelta(hours=1)
    assert not found.follows


def test_a_line_is_drawn_in_the_persons_zone_and_ordered_by_time() -> None:
    later = log_lines.drawn(LogLine(1, NOON + timedelta(microseconds=10), "a.log", None, "<b>"), BERLIN)
    earlier = log_lines.drawn(LogLine(2, NOON, "chatops", "warning", "agent disconnected"), BERLIN)
    assert (later["time"], later["when"]) == ("2026-11-24 13:00:00", "2026-11-24 13:00:00.000 CET")
    assert earlier["at"] < later["at"]
    assert (earlier["platform"], later["platform"]) == (True, False)
    assert (later["level"], later["message"]) == ("", "<b>")


def test_a_host_that_sends_nothing_is_told_how_by_the_exact_settings() -> None:
    shown = str(log_view.how_to([LogSource("chatops", 3)]))
    assert "CHATOPS_LOG_FILES=/" in shown
    assert "CHATOPS_LOG_JOURNAL=1" in shown
    assert log_view.how_to([LogSource("chatops", 3), LogSource("/var/log/syslog", 1)]) is None


def test_a_source_that_a_link_names_can_be_chosen_though_it_was_silent() -> None:
    names = [choice["value"] for choice in log_view.source_choices([LogSource("b.log", 1)], "a.log")]
    assert names == ["a.log", "b.log", "chatops"]


def test_an_empty_list_says_what_to_do_next() -> None:
    assert "logs-clear" in str(log_view.nothing_found(LogQuery(level="error")))
    assert "do not say their level" in str(log_view.nothing_found(LogQuery(level="error")))
    assert "logs-clear" not in str(log_view.nothing_found(LogQuery()))


async def test_older_lines_join_also_when_many_have_one_time(backend: Backend, session: Session) -> None:
    server_id, key = backend.add_server("older lines")
    now = time.time()
    async with logging_agent(backend, key) as agent:
        await agent.send(*([now - 5, "a.log", None, str(n)] for n in range(500)))
        await agent.send([now - 9, "a.log", None, "the oldest"])
    asked, moment = LogQuery(source="a.log"), datetime.now(UTC)
    lines, more = await log_lines.newest(session, server_id, asked, moment)
    seen = list(lines)
    while more:
        lines, more = await log_lines.older(session, server_id, asked, seen[-1].time, seen[-1].id, moment)
        seen += lines
    assert [line.message for line in seen] == [*(str(n) for n in reversed(range(500))), "the oldest"]


async def test_the_stream_sends_the_newest_page_first_and_then_what_is_new(
    backend: Backend, session: Session, push: Recorder
) -> None:
    server_id, key = backend.add_server("streamed lines")
    view = {"kind": "server-logs", "server_id": server_id, "level": "info", "source": None, "search": None}
    async with logging_agent(backend, key) as agent, asyncio.timeout(20):
        await agent.send([time.time(), "a.log", "info", "before"])
        running = asyncio.create_task(stream(session, view, BERLIN, push))
        while not push.values("logs-news", "data"):
            await asyncio.sleep(0.02)
        await agent.send([time.time(), "a.log", "debug", "not asked for"], [time.time(), "a.log", "error", "new"])
        while len(push.values("logs-news", "data")) < 2:
            await asyncio.sleep(0.02)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    head, news = push.values("logs-news", "data")
    assert isinstance(head, dict)
    assert isinstance(news, dict)
    assert head["kind"] == "head"
    assert head["lines"][0]["message"] == "before"
    assert (news["kind"], news["more"]) == ("news", False)
    assert [line["message"] for line in news["lines"]] == ["new"]
    assert (news["stream"], news["sequence"]) == (head["stream"], head["sequence"] + 1)
    assert push.values("logs-link", "data") == ["live"]
