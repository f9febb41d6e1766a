"""Pages over the real backend: what they show, to whom, and that nothing from outside becomes markup."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from dash import dcc, html
from quart import Quart

from chatops_client import AsyncClient
from chatops_dashboards.components import add_server
from chatops_dashboards.fleet_hub import fleet_hub
from chatops_dashboards.pages import PAGES, fleet
from chatops_dashboards.pages.server import (
    filesystems,
    history_charts,
    live,
    network,
    processes,
    settings,
    tab_content,
)
from chatops_dashboards.pages.server.history_query import HistoryQuery
from chatops_dashboards.session import Session
from chatops_dashboards.settings import DashboardSettings
from chatops_dashboards.shell import route
from tests.client.conftest import Reported
from tests.dashboards.conftest import Recorder
from tests.dashboards.test_fleet_view import text_of
from tests.reporting import Reporter, readings
from tests.stack import Backend

pytestmark = pytest.mark.anyio
HOSTILE = "<img src=x onerror=alert(1)>"


def ids_of(component: Any) -> set[str]:
    return {c.id for c in component._traverse() if isinstance(getattr(c, "id", None), str)}


@pytest.fixture
async def viewer(session: Session, backend: Backend) -> AsyncIterator[Session]:
    known = {user.username for user in await session.client.users()}
    if "watcher" not in known:
        await session.client.create_user("watcher", "only watching here", "viewer")
    async with AsyncClient(backend.url) as client:
        user = await client.login("watcher", "only watching here")
        yield Session(user, client, 0.0, 0.0)


async def show(
    app: Quart, settings: DashboardSettings, session: Session, path: str, search: str = ""
) -> tuple[Any, str]:
    async with app.test_request_context("/"):
        content, title, _ = await route(PAGES, settings, session, path, search, "localhost")
    return content, title


async def test_the_fleet_is_rendered_with_its_live_view(session: Session, reported: Reported) -> None:
    top, body, _tags, view = await fleet.render(session, UTC, "", [], "all", "name", "cards")
    assert "reporting" in text_of(body)
    assert "offline" in text_of(top)
    assert reported.server_id in view["shown"]
    _, table, _, view = await fleet.render(session, UTC, "reporting", [], "all", "name", "table")
    assert [row["name"] for row in table.rowData] == ["reporting"]
    assert view["mode"] == "table"


async def test_a_search_without_match_says_so(session: Session, reported: Reported) -> None:
    _, body, _, _ = await fleet.render(session, UTC, "no such server", [], "all", "name", "auto")
    assert "No server matches" in text_of(body)


async def test_a_card_moves_when_a_reading_is_committed(session: Session, backend: Backend, push: Recorder) -> None:
    server_id, key = backend.add_server(f"moving {time.time()}")
    async with fleet_hub(session).subscribed() as hub:
        while server_id not in hub.entries:
            await hub.news(hub.version, 5)
        view = {"kind": "fleet", "mode": "cards", "shown": [server_id], "known": sorted(hub.entries)}
        watching = asyncio.create_task(fleet.stream(session, view, UTC, push))
        reporter = await asyncio.to_thread(Reporter, backend.agents_url, key)
        async with asyncio.timeout(20):
            while not any(
                "CPU66 %" in text_of(v) for v in push.values({"type": "fleet-card", "server": server_id}, "children")
            ):
                await asyncio.to_thread(reporter.report, [(time.time(), readings(66.0))])
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await asyncio.to_thread(reporter.close)


async def test_the_live_charts_start_with_history_and_grow(
    session: Session, backend: Backend, reported: Reported, push: Recorder
) -> None:
    watching = asyncio.create_task(live.stream(session, {"server_id": reported.server_id}, UTC, push))
    reporter = await asyncio.to_thread(Reporter, backend.agents_url, reported.api_key)
    async with asyncio.timeout(20):
        while not push.values("live-chart-cpu", "extendData"):
            await asyncio.to_thread(reporter.report, [(time.time(), readings(88.0))])
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    await asyncio.to_thread(reporter.close)
    figure: Any = push.values("live-chart-cpu", "figure")[0]
    assert 22.0 in figure["data"][0]["y"]
    added: Any = push.values("live-chart-cpu", "extendData")[0]
    assert added[0]["y"][0][-1] == 88.0
    assert "88 %" in push.values("live-now-cpu", "children")


async def test_an_axis_that_is_outgrown_is_drawn_in_another_unit(
    session: Session, backend: Backend, push: Recorder
) -> None:
    server_id, key = backend.add_server(f"growing {time.time()}")
    reporter = await asyncio.to_thread(Reporter, backend.agents_url, key)
    await asyncio.to_thread(reporter.report, [(time.time() - 5, readings(1.0))])
    watching = asyncio.create_task(live.stream(session, {"server_id": server_id}, UTC, push))

    def suffixes() -> list[str]:
        figures: list[Any] = push.values("live-chart-network", "figure")
        return [figure["layout"]["yaxis"]["ticksuffix"] for figure in figures]

    large = readings(1.0)
    large["host"][0][-2] = 3e9
    async with asyncio.timeout(20):
        while not push.values("live-chart-network", "extendData"):
            await asyncio.to_thread(reporter.report, [(time.time(), readings(1.0))])
        while len(suffixes()) < 2:
            await asyncio.to_thread(reporter.report, [(time.time(), large)])
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    await asyncio.to_thread(reporter.close)
    assert suffixes()[:2] == [" MB/s", " GB/s"]


async def test_interfaces_that_come_later_can_be_chosen_and_one_is(
    session: Session, backend: Backend, push: Recorder
) -> None:
    server_id, key = backend.add_server(f"unplugged {time.time()}")
    assert "network-chart" in ids_of(await network.content(session, server_id, {}, UTC))
    watching = asyncio.create_task(network.stream(session, {"server_id": server_id, "interface": None}, UTC, push))
    reporter = await asyncio.to_thread(Reporter, backend.agents_url, key)
    async with asyncio.timeout(20):
        while not push.values("network-interface", "value"):
            await asyncio.to_thread(reporter.report, [(time.time(), readings(1.0))])
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    await asyncio.to_thread(reporter.close)
    assert push.values("network-interface", "value") == ["eth0"]
    assert push.values("network-interface", "data") == [["eth0"]]


def test_the_first_interface_shown_is_one_to_the_outside() -> None:
    rows = [{"interface": "lo", "receive_bytes_per_second": 9e9}, {"interface": "eth0"}, {"interface": "eth1"}]
    rows[2]["receive_bytes_per_second"] = 5.0
    assert network.busiest(rows) == "eth1"
    assert network.busiest(rows[:1]) == "lo"
    assert network.busiest([]) is None


async def test_every_tab_shows_what_was_reported(session: Session, reported: Reported) -> None:
    server_id = reported.server_id
    assert "/dev/vda1" in text_of(await filesystems.content(session, server_id, {}, UTC))
    assert "eth0" in text_of(await network.content(session, server_id, {}, UTC))
    assert "nginx" in text_of(await processes.content(session, server_id, {}, UTC))
    assert "live-chart-network" in ids_of(await live.content(session, server_id, {}, UTC))
    assert "first" not in text_of(await settings.content(session, server_id, {}, UTC)).split("Connections")[1]


async def test_a_metric_that_fails_spoils_no_other_panel(session: Session, reported: Reported) -> None:
    now = datetime.now(UTC)
    asked = HistoryQuery(("host.cpu_percent", "filesystem.used_percent"), start=now - timedelta(hours=1), end=now)
    panels, names = await history_charts.charts(session, reported.server_id, asked, UTC, now)
    assert [text_of(panel).split()[0][:16] for panel in panels] == ["host.cpu_percent", "filesystem.used_"]
    assert names == ["/ · /dev/vda1 · ext4"]
    broken = HistoryQuery(("host.cpu_percent", "no.such"), start=now - timedelta(hours=1), end=now)
    panels, _ = await history_charts.charts(session, reported.server_id, broken, UTC, now)
    assert "could not be loaded" in text_of(panels[1])
    assert "could not be loaded" not in text_of(panels[0])


async def test_a_server_that_never_reported_has_pages_too(
    app: Quart, dashboard_settings: DashboardSettings, session: Session, backend: Backend
) -> None:
    server_id, _ = backend.add_server(f"silent {time.time()}")
    content, title = await show(app, dashboard_settings, session, f"/servers/{server_id}")
    assert "Never reported" in text_of(content)
    assert title.startswith("silent")
    for tab in ("live", "history", "filesystems", "network", "processes", "settings"):
        text = text_of(await tab_content(session, server_id, tab, {}, UTC))
        assert "could not be loaded" not in text, tab
    assert "No data has arrived" in text_of(await tab_content(session, server_id, "live", {}, UTC))


async def test_unknown_places_say_so(app: Quart, dashboard_settings: DashboardSettings, session: Session) -> None:
    for path in ("/nowhere", "/servers/999999", "/servers/abc"):
        content, title = await show(app, dashboard_settings, session, path)
        assert title == "Not found", path
        assert "live-view" in ids_of(content)


async def test_viewers_get_no_controls_of_administrators(
    app: Quart, dashboard_settings: DashboardSettings, viewer: Session, reported: Reported
) -> None:
    content, _ = await show(app, dashboard_settings, viewer, "/users")
    assert "Only administrators" in text_of(content)
    content, _ = await show(app, dashboard_settings, viewer, "/")
    assert "add-server" not in ids_of(content)
    content, _ = await show(app, dashboard_settings, viewer, f"/servers/{reported.server_id}", "?tab=settings")
    assert "Settings" not in text_of(content)
    assert "settings-save" not in ids_of(await tab_content(viewer, reported.server_id, "settings", {}, UTC))


async def test_a_backend_that_is_down_is_said_on_every_page(
    app: Quart, dashboard_settings: DashboardSettings, session: Session
) -> None:
    async with AsyncClient("http://127.0.0.1:9", tokens=session.client.tokens) as client:
        lonely = Session(session.user, client, 0.0, 0.0)
        for path in ("/servers/1", "/users"):
            content, _ = await show(app, dashboard_settings, lonely, path)
            assert "does not answer" in text_of(content), path


async def test_hostile_names_stay_text_on_every_page(
    app: Quart, dashboard_settings: DashboardSettings, session: Session, backend: Backend
) -> None:
    server_id, key = backend.add_server(f"{HOSTILE} {time.time()}")
    reporter = await asyncio.to_thread(Reporter, backend.agents_url, key)
    await asyncio.to_thread(reporter.report, [(time.time(), readings(1.0, process=HOSTILE, mountpoint=HOSTILE))])
    await asyncio.to_thread(reporter.close)
    trees = [(await show(app, dashboard_settings, session, f"/servers/{server_id}"))[0]]
    tabs = ("live", "history", "filesystems", "network", "processes", "settings")
    trees += [await tab_content(session, server_id, tab, {}, UTC) for tab in tabs]
    trees.append((await fleet.render(session, UTC, "", [], "all", "name", "cards"))[1])
    assert any(HOSTILE in text_of(tree) for tree in trees)
    for tree in trees:
        for component in tree._traverse():
            assert not isinstance(component, dcc.Markdown | html.Iframe | html.Script)
            assert not getattr(component, "dangerously_allow_html", False)


async def test_adding_a_server_shows_commands_with_a_key_that_works(
    session: Session, backend: Backend, dashboard_settings: DashboardSettings, push: Recorder
) -> None:
    view, server_id = await add_server.create(
        session, dashboard_settings, "127.0.0.1", f"added {time.time()}", ["new"], ""
    )
    text = text_of(view)
    key = text.split("CHATOPS_API_KEY=")[1].split()[0]
    assert f"pip install {backend.url}/api/v1/agent/wheel/" in text
    assert "works on this machine alone" in text
    waiting = asyncio.create_task(add_server.wait_for_first_data(session, {"server_id": server_id}, UTC, push))
    reporter = await asyncio.to_thread(Reporter, backend.agents_url, key)
    await asyncio.to_thread(reporter.report, [(time.time(), readings(1.0))])
    async with asyncio.timeout(20):
        await waiting
    await asyncio.to_thread(reporter.close)
    assert "Connected" in text_of(push.values("add-server-progress", "children")[0])


@pytest.mark.parametrize(
    ("api_url", "host", "address"),
    [
        ("http://127.0.0.1:8000", "127.0.0.1:8050", "http://127.0.0.1:8000"),
        ("http://127.0.0.1:8000", "monitor.lan:8050", "http://monitor.lan:8000"),
        ("http://localhost:8000", "[fd00::1]:8050", "http://[fd00::1]:8000"),
        ("https://api.example", "monitor.lan", "https://api.example"),
    ],
)
def test_hosts_get_an_address_they_can_reach(api_url: str, host: str, address: str) -> None:
    assert add_server.agent_address(api_url, host) == address


@pytest.mark.parametrize("address", ["http://x;rm -rf ~", "http://$(id)", "http://a`b`", "http://a b", "http://a\nb"])
def test_nothing_a_shell_would_run_gets_into_the_commands(address: str) -> None:
    with pytest.raises(ValueError, match="shell"):
        add_server.commands(address, "chatops_agent_x", None)
