"""A server's tabs at a moment of the past, over the real backend: what is stored is shown, and what is not is said."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from quart import Quart

from chatops_dashboards.components.command_runs import fetch_runs
from chatops_dashboards.pages.server import history_charts, log_lines, log_view, tab_content
from chatops_dashboards.pages.server.history_query import HistoryQuery
from chatops_dashboards.pages.server.log_query import LogQuery
from chatops_dashboards.pages.server.past.slider import slider
from chatops_dashboards.session import Session
from chatops_dashboards.settings import DashboardSettings
from chatops_protocol.log_lines import LogLine
from chatops_protocol.resources import Page
from tests.client.conftest import Reported
from tests.dashboards.test_fleet_view import text_of
from tests.dashboards.test_pages import ids_of, show
from tests.reporting import Reporter, readings
from tests.stack import Backend

pytestmark = pytest.mark.anyio


def moment_of(reported: Reported) -> datetime:
    """Just after the newest reading of its first minute: other tests report more of the same server."""
    return datetime.fromtimestamp(reported.newest_at, UTC) + timedelta(milliseconds=1)


async def at(session: Session, server_id: int, tab: str, moment: datetime, **query: str) -> Any:
    return await tab_content(session, server_id, tab, query, UTC, moment)


@pytest.mark.parametrize(
    ("tab", "shows"),
    [
        ("live", "22 %"),
        ("filesystems", "/dev/vda1"),
        ("network", "eth0"),
        ("processes", "nginx"),
        ("console", "No command ran at that moment"),
    ],
)
async def test_a_tab_shows_what_is_stored_of_the_moment(
    session: Session, reported: Reported, tab: str, shows: str
) -> None:
    content = await at(session, reported.server_id, tab, moment_of(reported))
    assert shows in text_of(content)
    assert {"then-body", "live-view"} <= ids_of(content)


async def test_charts_mark_the_moment_and_say_the_values_there(session: Session, reported: Reported) -> None:
    moment = moment_of(reported)
    content = await at(session, reported.server_id, "live", moment)
    graphs = [part for part in content._traverse() if str(getattr(part, "id", "")).startswith("then-chart-")]
    assert len(graphs) == 5
    for graph in graphs:
        (line,) = graph.figure["layout"]["shapes"]
        assert line["x0"][:19] == moment.isoformat()[:19]
        first, last = graph.figure["layout"]["xaxis"]["range"]
        assert first < line["x0"] < last
    panels, _ = await history_charts.charts(session, reported.server_id, HistoryQuery(), UTC, datetime.now(UTC), moment)
    assert "At the moment: 22.0 %" in text_of(panels)


@pytest.mark.parametrize("tab", ["live", "filesystems", "network", "processes", "containers"])
async def test_of_a_moment_without_readings_every_tab_says_so(session: Session, reported: Reported, tab: str) -> None:
    long_ago = moment_of(reported) - timedelta(days=30)
    words = text_of(await at(session, reported.server_id, tab, long_ago))
    assert "Nothing stored at that moment" in words
    assert "The agent had not connected yet" in words
    assert "Of that age the 1-minute roll-up is kept" in words


async def test_containers_are_those_that_ran_and_those_that_had_ended(session: Session, backend: Backend) -> None:
    server_id, key = backend.add_server(f"contained {time.time()}")
    moment = datetime.now(UTC) - timedelta(minutes=2)

    def report() -> None:
        reporter = Reporter(backend.agents_url, key)
        web, job = ["aa", "web", "nginx", 12.0, 3e8, 0], ["bb", "job", "busybox", 1.0, 1e6, 0]
        for before_s, rows in ((300, [web, job]), (3, [web])):
            reporter.report([(moment.timestamp() - before_s, readings(10.0) | {"container": rows})])
        reporter.close()

    await asyncio.to_thread(report)
    words = text_of(await at(session, server_id, "containers", moment))
    for part in ("web", "running", "12 %", "job", "ended, last read"):
        assert part in words
    # An agent that was silent says nothing of its containers.
    assert "Nothing stored" in text_of(await at(session, server_id, "containers", moment + timedelta(hours=1)))


async def test_readings_that_are_minutes_apart_hold_until_the_next_is_due(session: Session, backend: Backend) -> None:
    server_id, key = backend.add_server(f"seldom {time.time()}")
    last = datetime.now(UTC) - timedelta(minutes=25)

    def report() -> None:
        reporter = Reporter(backend.agents_url, key)
        reporter.report([(last.timestamp() - 300 * n, readings(10.0)) for n in range(6, -1, -1)])
        reporter.close()

    await asyncio.to_thread(report)
    seen = [
        "Nothing stored" not in text_of(await at(session, server_id, "filesystems", last + timedelta(minutes=later)))
        for later in (1, 5, 9, 20)
    ]
    assert seen == [True, True, False, False]


@pytest.mark.parametrize(("tab", "act"), [("console", "console-run"), ("processes", "signal-ask"), ("containers", "")])
async def test_nothing_is_done_in_the_past_and_the_tab_says_why(
    session: Session, reported: Reported, tab: str, act: str
) -> None:
    content = await at(session, reported.server_id, tab, moment_of(reported))
    assert act not in ids_of(content)
    assert "Go back to live" in text_of(content)


async def test_a_run_that_a_link_names_is_shown_in_the_past(session: Session, reported: Reported) -> None:
    content = await at(session, reported.server_id, "console", moment_of(reported), run="7")
    (view,) = [part.data for part in content._traverse() if getattr(part, "id", "") == "live-view"]
    assert (view["kind"], view["command_id"], view["past"]) == ("server-console", 7, True)


async def test_a_link_leads_to_the_moment_and_a_bad_one_to_now(
    app: Quart, dashboard_settings: DashboardSettings, session: Session, reported: Reported
) -> None:
    path = f"/servers/{reported.server_id}"
    content, _ = await show(app, dashboard_settings, session, path, "?tab=processes&at=2026-11-24T03:12:00Z")
    assert content.className == "server-frame in-past"
    assert "2026-11-24 03:12:00 UTC" in text_of(content)
    for bad in ("2999-01-01T00:00:00Z", "nonsense"):
        content, _ = await show(app, dashboard_settings, session, path, f"?at={bad}")
        assert content.className == "server-frame at-now"


async def test_the_slider_spans_what_is_asked_for_and_stands_at_the_moment(
    session: Session, reported: Reported
) -> None:
    moment, now = moment_of(reported), moment_of(reported) + timedelta(minutes=10)
    _, thumb, store = await slider(session, reported.server_id, "1h", moment, now, UTC)
    assert (thumb.max, thumb.value) == (3600, 3000)
    assert store.data == {"start": (now - timedelta(hours=1)).timestamp(), "at": 3000, "span": "1h", "live": True}


class Lines:
    """A host that logged once a second, from a minute before the moment to a minute after it."""

    def __init__(self, moment: datetime, per_second: int = 1) -> None:
        count = 120 * per_second
        self.lines = [
            LogLine(n, moment + timedelta(seconds=n / per_second - 60), "a.log", None, str(n)) for n in range(count)
        ]
        self.client = self.logs = self

    async def page(self, _server_id: int, *, start: datetime, end: datetime, limit: int, **_: Any) -> Page[LogLine]:
        found = [line for line in self.lines if start <= line.time < end][::-1]
        return Page(found[:limit], "more" if len(found) > limit else None)


@pytest.mark.parametrize("per_second", [1, 50])
async def test_the_lines_next_to_the_moment_are_shown_however_many_there_are(per_second: int) -> None:
    moment = datetime(2026, 11, 24, 3, 12, tzinfo=UTC)
    host: Any = Lines(moment, per_second)
    after, before, more = await log_lines.around(host, 1, LogQuery(), moment)
    assert before[0].time == moment
    assert (len(before), more) == ((61, False) if per_second == 1 else (200, True))
    assert len(after) <= log_lines.LINES_AFTER
    assert after[-1].id == before[0].id + 1
    drawn = log_lines.batch("reset", [*after, *before], UTC)["lines"]
    mark = log_lines.marker(moment, UTC)
    assert sorted([*drawn, mark], key=lambda line: (line["at"], line["id"]), reverse=True).index(mark) == len(after)


async def test_an_empty_stretch_of_the_log_is_said_with_what_was_looked_for() -> None:
    moment = datetime(2026, 11, 24, 3, 12, tzinfo=UTC)
    assert "No lines around this moment" in text_of(log_view.nothing_then(LogQuery(), moment, UTC))
    assert "Nothing matches" in text_of(log_view.nothing_then(LogQuery(search="x"), moment, UTC))


async def test_the_list_of_commands_is_read_for_the_hours_around_it(session: Session, reported: Reported) -> None:
    filters = {"server_id": reported.server_id, "start": "2026-11-24T02:12:00Z", "end": "2026-11-24T04:12:00Z"}
    assert await fetch_runs(session, filters, None, 50, UTC) == ([], None)
