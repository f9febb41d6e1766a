"""Pages about alerts over the real backend: what they show, to whom, and that they move when something fires."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from dash import dcc, html
from msgspec.structs import replace
from quart import Quart

from chatops_client import AsyncClient
from chatops_dashboards.alert_hub import AlertHub, alert_hub
from chatops_dashboards.components.alert_actions import carry_out, silence_of
from chatops_dashboards.components.alert_navigation import count_badge, stream_count
from chatops_dashboards.components.alert_table import open_table, select
from chatops_dashboards.newest_only import Running, newest_only, stop
from chatops_dashboards.pages import PAGES
from chatops_dashboards.pages.alerts import detail, overview, rule_chart_panel
from chatops_dashboards.pages.alerts.channels import draw_channels
from chatops_dashboards.pages.alerts.rule_trial import summary_words
from chatops_dashboards.pages.alerts.rules import draw_rules
from chatops_dashboards.pages.alerts.silence_form import clock_of, form_of, save, silence_from
from chatops_dashboards.pages.alerts.silences import draw_silences, ending_words
from chatops_dashboards.session import Session
from chatops_dashboards.settings import DashboardSettings
from chatops_dashboards.shell import route
from chatops_protocol.alert_resources import (
    Alert,
    Backtest,
    Silence,
    StoredChannel,
    StoredSilence,
    StoredThreshold,
    Threshold,
)
from chatops_protocol.live_messages import AlertsState
from tests.client.conftest import Reported
from tests.dashboards.conftest import Recorder
from tests.dashboards.test_alert_figures import alert
from tests.dashboards.test_fleet_view import text_of
from tests.reporting import Reporter, readings
from tests.stack import Backend

pytestmark = pytest.mark.anyio
HOSTILE = "<img src=x onerror=alert(1)>"
NOW = datetime(2026, 3, 2, tzinfo=UTC)
PATHS = ("/alerts", "/alerts/history", "/alerts/rules", "/alerts/rules/new", "/alerts/silences", "/alerts/channels")


@pytest.fixture
async def viewer(session: Session, backend: Backend) -> AsyncIterator[Session]:
    name = f"looks-{time.time_ns()}"
    await session.client.create_user(name, "only watching here", "viewer")
    async with AsyncClient(backend.url) as client:
        user = await client.login(name, "only watching here")
        yield Session(user, client, 0.0, 0.0)


async def show(app: Quart, settings: DashboardSettings, session: Session, path: str) -> Any:
    async with app.test_request_context("/"):
        return (await route(PAGES, settings, session, path, "", "localhost"))[0]


def ids(tree: Any) -> set[str]:
    return {component.id for component in tree._traverse() if isinstance(getattr(component, "id", None), str)}


def actions(tree: Any) -> set[str]:
    found = [component.id for component in tree._traverse() if isinstance(getattr(component, "id", None), dict)]
    return {name["action"] for name in found if name["type"] == "alert-action"}


@pytest.fixture
async def firing(session: Session, backend: Backend) -> AsyncIterator[Alert]:
    """An alert that fires now, by a rule of its own, on a server whose name would like to be markup."""
    server_id, key = backend.add_server(f"{HOSTILE} {time.time_ns()}")
    rule = await session.client.alerts.create_threshold(
        Threshold(
            name=f"{HOSTILE} {time.time_ns()}",
            metric="host.cpu_percent",
            server_ids=[server_id],
            window_s=60,
            warning=50.0,
            critical=90.0,
            runbook_url="https://example.org/runbook",
        )
    )
    reporter = await asyncio.to_thread(Reporter, backend.agents_url, key)
    async with asyncio.timeout(60):
        while not (found := await session.client.alerts.list(states=["firing"], threshold_id=rule.id)):
            await asyncio.to_thread(reporter.report, [(time.time(), readings(95.0))])
            await asyncio.sleep(0.5)
    yield found[0]
    await asyncio.to_thread(reporter.close)
    await session.client.alerts.delete_threshold(rule.id)


async def test_what_fires_is_shown_explained_and_acknowledged(
    app: Quart, dashboard_settings: DashboardSettings, session: Session, firing: Alert, push: Recorder
) -> None:
    shown = html.Div(await overview.body(session, {"server": str(firing.server_id)}, UTC))
    assert "1 firing" in text_of(shown)
    assert firing.threshold_name in text_of(shown)
    assert actions(shown) == {"acknowledge", "silence", "resolve"}
    counting = asyncio.create_task(stream_count(session, {}, UTC, push))
    view = {"filters": {"server": str(firing.server_id)}, "version": alert_hub(session).version}
    watching = asyncio.create_task(overview.stream(session, view, UTC, push))
    done = await carry_out(session, "acknowledge", firing.id, "on my way", "both", "3600", "", NOW)
    assert "You look after" in done
    async with asyncio.timeout(20):
        while "Acknowledged" not in "".join(text_of(v) for v in push.values("alerts-body", "children")):
            await asyncio.sleep(0.05)
        while not push.values("nav-alerts-count", "children"):
            await asyncio.sleep(0.05)
    for task in (counting, watching):
        task.cancel()
    await asyncio.gather(counting, watching, return_exceptions=True)
    page = await show(app, dashboard_settings, session, f"/alerts/{firing.id}")
    assert "on my way" in text_of(page)
    assert "average over 1 min" in text_of(page)
    assert [link.href for link in page._traverse() if isinstance(link, html.A)] == ["https://example.org/runbook"]
    panel = await detail.chart(session, firing, UTC)
    (graph,) = [component for component in panel._traverse() if isinstance(component, dcc.Graph)]
    assert {shape["name"] for shape in graph.figure["layout"]["shapes"]} == {
        "warning",
        "critical",
        "the window that decided",
    }
    for tree in (page, shown):
        for component in tree._traverse():
            assert not isinstance(component, dcc.Markdown | html.Iframe | html.Script)


async def test_every_page_is_there_for_viewers_without_what_they_may_not_do(
    app: Quart, dashboard_settings: DashboardSettings, viewer: Session, firing: Alert
) -> None:
    trees = {path: await show(app, dashboard_settings, viewer, path) for path in PATHS}
    forbidden = {
        "rule-save",
        "silences-add",
        "silences-dialogue",
        "channels-add",
        "channels-dialogue",
        "alert-dialogue",
    }
    for path, tree in trees.items():
        assert "could not be loaded" not in text_of(tree), path
        assert not ids(tree) & forbidden, path
    assert "operators" in text_of(trees["/alerts"])
    assert "Administrators change channels" in text_of(trees["/alerts/channels"])
    shown = html.Div(await overview.body(viewer, {}, UTC))
    assert firing.threshold_name in text_of(shown)
    assert actions(shown) == set()


async def test_an_administrator_gets_every_control(
    app: Quart, dashboard_settings: DashboardSettings, session: Session
) -> None:
    controls = {
        "/alerts": "alert-dialogue",
        "/alerts/rules/new": "rule-save",
        "/alerts/silences": "silences-add",
        "/alerts/channels": "channels-add",
    }
    for path, control in controls.items():
        assert control in ids(await show(app, dashboard_settings, session, path)), path
    missing = await show(app, dashboard_settings, session, "/alerts/999999")
    assert "Not found" in text_of(missing)


async def test_a_backend_that_is_down_is_said(
    app: Quart, dashboard_settings: DashboardSettings, session: Session
) -> None:
    async with AsyncClient("http://127.0.0.1:9", tokens=session.client.tokens) as client:
        lonely = Session(session.user, client, 0.0, 0.0)
        for path in PATHS:
            assert "does not answer" in text_of(await show(app, dashboard_settings, lonely, path)), path


async def test_the_editor_tries_a_rule_that_has_no_name_yet(session: Session, reported: Reported) -> None:
    now = datetime.fromtimestamp(reported.newest_at, UTC)
    rule = Threshold(name="", metric="host.cpu_percent", server_ids=[reported.server_id], window_s=60, critical=99.0)
    found = await rule_chart_panel.try_rule(session, rule, "1d", now, {reported.server_id: "reporting"})
    assert found["summary"] == "Would not have fired in the last day."
    figure, drawn, _ = await rule_chart_panel.draw(session, rule, reported.server_id, "1d", found, [], False, now, UTC)
    assert drawn["lines"] == {"critical": 99.0}
    assert rule_chart_panel.moved_fields({"shapes[0].y0": 12.34, "shapes[0].y1": 12.34}, drawn) == {"critical": "12.3"}
    assert figure["layout"]["shapes"][0]["y0"] == 99.0


async def test_only_the_newest_work_counts_and_a_stop_ends_it() -> None:
    running: Running = {}
    never = asyncio.Event()

    async def slow() -> str:
        await never.wait()
        return "slow"

    async def quick() -> str:
        return "quick"

    first = asyncio.create_task(newest_only(running, "tab", slow))
    while not running:
        await asyncio.sleep(0)
    assert await newest_only(running, "tab", quick) == "quick"
    assert await first is None
    second = asyncio.create_task(newest_only(running, "tab", slow))
    while not running:
        await asyncio.sleep(0)
    assert stop(running, "tab")
    assert await second is None
    assert not stop(running, "tab")


async def test_the_hub_follows_what_opens_changes_and_ends(session: Session) -> None:
    hub = AlertHub(session.client)
    await hub.take(AlertsState(True, [alert(), alert(id=2, state="pending", level="warning")]))
    assert (hub.firing(), hub.firing("critical"), hub.resolved) == (1, 1, 0)
    assert hub.of_server(1) == {(1, "critical")}
    await hub.take(AlertsState(False, [alert(id=2, level="warning"), alert(state="resolved")]))
    assert (set(hub.open), hub.firing(), hub.resolved) == ({2}, 1, 1)
    await hub.take(AlertsState(True, []))
    assert (hub.open, hub.resolved, hub.version) == ({}, 2, 3)


async def test_a_count_from_before_the_link_was_lost_says_so(session: Session) -> None:
    hub = AlertHub(session.client)
    await hub.take(AlertsState(True, [alert()]))
    assert "last heard" not in text_of(count_badge(hub))
    hub.on_link("disconnected")
    badge = count_badge(hub)
    assert "1 firing, 1 of them critical when the backend was last heard" in text_of(badge)
    assert "nav-count-stale" in badge.className


def test_the_most_urgent_come_first_and_filters_narrow() -> None:
    later = NOW + timedelta(minutes=1)
    alerts = [
        alert(id=1, level="warning", started_at=NOW),
        alert(id=2, started_at=later),
        alert(id=3, started_at=NOW),
        alert(id=4, state="acknowledged", started_at=NOW),
        alert(id=5, state="pending", started_at=None),
    ]
    assert [found.id for found in select(alerts, {})] == [3, 2, 1, 4, 5]
    assert [found.id for found in select(alerts, {"level": "warning"})] == [1]
    assert [found.id for found in select(alerts, {"state": "firing", "server": "1"})] == [3, 2, 1]
    assert select(alerts, {"server": "7"}) == []


def test_a_row_says_level_value_age_and_why_nobody_is_told() -> None:
    held = alert(held_back_by=9, silenced=True, learned_at=NOW, labels={"mountpoint": HOSTILE})
    table = open_table([held], NOW, UTC, may_act=False, caption="x")
    text = text_of(table)
    for part in ("Critical", "96.0 % · bound 90 %", "ago", "Firing", "silenced", "held back", "learned late", HOSTILE):
        assert part in text
    assert actions(table) == set()


def test_more_rows_than_help_are_counted() -> None:
    alerts = [alert(id=n) for n in range(230)]
    assert "30 more" in text_of(open_table(alerts, NOW, UTC, may_act=True, caption="x"))


def test_a_broken_rule_says_why_in_the_list() -> None:
    rule = Threshold(name=HOSTILE, metric="host.cpu_percent", all_servers=True, warning=80.0, channel_ids=[1, 2])
    table = draw_rules(
        [StoredThreshold(id=1, threshold=rule, created_at=NOW, updated_at=NOW, broken="no such tier")],
        {},
        {1: "hook"},
        may_act=False,
    )
    text = text_of(table)
    assert "Cannot be evaluated: no such tier" in text
    assert "hook, channel 2" in text
    assert "▲ Warning" in text


def test_silences_say_what_and_when_and_which_hold() -> None:
    def stored(number: int, active: bool, **values: Any) -> StoredSilence:
        span = {"starts_at": NOW - timedelta(hours=2), "ends_at": NOW - timedelta(hours=1)}
        return StoredSilence(
            id=number, silence=Silence(**span | values), created_by="ann", created_at=NOW, active=active
        )

    silences = [
        stored(1, False, server_id=1),
        stored(2, True, threshold_id=5, tag="prod", recurrence="weekly", timezone="Europe/Berlin"),
    ]
    text = text_of(draw_silences(silences, {5: "CPU"}, {1: "web-01"}, NOW, UTC, may_act=True))
    assert text.index("“CPU” on servers tagged prod") < text.index("Everything on web-01")
    assert "every week Sun 23:00 to Mon 00:00 (Europe/Berlin)" in text
    assert "Holds now" in text
    assert "Ended" in text


def test_an_empty_silence_is_refused_before_it_is_sent() -> None:
    with pytest.raises(ValueError, match="silences nothing"):
        silence_from({"start": "2026-03-01 10:00:00", "end": "2026-03-01 11:00:00"}, UTC)
    made = silence_from({"server": "3", "start": "2026-03-01 10:00:00", "end": "2026-03-01 11:00:00"}, UTC)
    assert (made.server_id, made.ends_at - made.starts_at) == (3, timedelta(hours=1))


def test_a_silence_comes_back_from_its_form_as_it_was() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    once = Silence(server_id=3, tag="prod", comment="why", starts_at=NOW, ends_at=NOW + timedelta(hours=1))
    assert silence_from(form_of(once, berlin), berlin) == replace(once, timezone="Europe/Berlin")
    weekly = replace(once, recurrence="weekly", timezone="America/New_York")
    clock = clock_of(weekly, berlin)
    assert form_of(weekly, clock)["start"] == "2026-03-01 19:00:00"
    assert silence_from(form_of(weekly, clock), clock) == weekly


async def test_a_silence_is_changed_and_keeps_who_made_it(session: Session, backend: Backend) -> None:
    server_id, _ = backend.add_server(f"quiet {time.time_ns()}")
    now = datetime.now(UTC).replace(microsecond=0)
    made = await session.client.alerts.create_silence(
        Silence(server_id=server_id, comment="move", starts_at=now, ends_at=now + timedelta(hours=1))
    )
    form = form_of(made.silence, UTC) | {"comment": "move and repair", "end": f"{now + timedelta(hours=5):%F %T}"}
    assert (
        await save(session, {"id": made.id, "zone": "UTC"}, form, ZoneInfo("Asia/Tokyo")) == "The silence is changed."
    )
    kept = next(stored for stored in await session.client.alerts.silences() if stored.id == made.id)
    assert (kept.silence.comment, kept.silence.ends_at, kept.created_by) == (
        "move and repair",
        now + timedelta(hours=5),
        made.created_by,
    )
    await session.client.alerts.delete_silence(made.id)


def test_ending_a_silence_says_what_ends() -> None:
    def stored(**values: Any) -> StoredSilence:
        silence = Silence(server_id=1, starts_at=NOW, ends_at=NOW + timedelta(hours=1), **values)
        return StoredSilence(id=1, silence=silence, created_by="ann", created_at=NOW, active=True)

    assert "with all its repetitions" in ending_words(stored(recurrence="daily"), "everything on web-01")
    assert "repetitions" not in ending_words(stored(), "everything on web-01")
    assert "everything on web-01" in ending_words(stored(), "everything on web-01")


@pytest.mark.parametrize(("scope", "named"), [("both", (1, 1)), ("server", (None, 1)), ("rule", (1, None))])
def test_a_silence_of_an_alert_names_what_was_chosen(scope: str, named: tuple[int | None, int | None]) -> None:
    made = silence_of(alert(), scope, 3600, "why", NOW)
    assert (made.threshold_id, made.server_id) == named


def test_a_channel_in_trouble_says_so() -> None:
    stored = StoredChannel(
        id=1,
        name=HOSTILE,
        type="webhook",
        shown_url="https://h/…",
        enabled=True,
        created_at=NOW,
        last_error="the receiver refused it",
        waiting=3,
        given_up=1,
    )
    text = text_of(draw_channels([stored], NOW, UTC, admin=True))
    for part in ("the receiver refused it", "3 waiting", "1 never delivered", "Send a test"):
        assert part in text
    assert "Send a test" not in text_of(draw_channels([stored], NOW, UTC, admin=False))


def test_the_sentence_of_a_backtest_counts_what_happened() -> None:
    found = Backtest(
        firings=[],
        firing_seconds=2520.0,
        notifications=6,
        per_server={1: 2, 2: 1, 3: 0},
        tier="1m",
        step_s=60.0,
        evaluated=9,
    )
    assert summary_words(found, "7d") == (
        "Would have fired 3 times on 2 servers in 7 days, 42 min in all, 6 notifications."
    )


@pytest.mark.parametrize("url", ["", "javascript:alert(1)", "data:text/html,x", "//elsewhere"])
def test_only_a_web_address_becomes_the_link_to_a_runbook(url: str) -> None:
    assert detail.runbook_link(url) == []


@pytest.mark.parametrize("path", [*PATHS, "/users", "/"])
async def test_no_page_uses_an_id_twice(
    app: Quart, dashboard_settings: DashboardSettings, session: Session, path: str
) -> None:
    page = await show(app, dashboard_settings, session, path)
    found = [str(component.id) for component in page._traverse() if getattr(component, "id", None) is not None]
    assert sorted(found) == sorted(set(found))
