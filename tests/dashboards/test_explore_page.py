"""Explore over the real backend: its five states, whose servers it shows, and that what it hands out is the same."""

import io
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from quart import Quart
from quart.typing import TestClientProtocol as Browser

from chatops_client import ApiError, AsyncClient
from chatops_dashboards.pages.explore.drawing import drawn, share_address
from chatops_dashboards.pages.explore.explain import explanation
from chatops_dashboards.pages.explore.frame import shown_frame
from chatops_dashboards.pages.explore.python_text import python_text
from chatops_dashboards.pages.explore.query import ExploreQuery, SeriesChoice
from chatops_dashboards.pages.explore.reading import read
from chatops_dashboards.pages.explore.saved import keep, read_views
from chatops_dashboards.session import Session
from chatops_dashboards.settings import DashboardSettings
from chatops_protocol.resources import UpdateServerRequest, UpdateUserRequest
from tests.client.conftest import Reported
from tests.conftest import ADMIN_PASSWORD, free_port
from tests.dashboards.test_fleet_view import text_of
from tests.dashboards.test_login import log_in
from tests.dashboards.test_pages import HOSTILE, ids_of, show
from tests.reporting import Reporter, readings
from tests.stack import Backend

pytestmark = pytest.mark.anyio

CPU = ExploreQuery(("host.cpu_percent",), preset="1h")


@dataclass(frozen=True)
class Pair:
    """Two servers with a tag of their own; one has a hostile name. The hour in which they reported, to the second."""

    quiet: int
    hostile: int
    tag: str
    start: datetime
    end: datetime


@pytest.fixture(scope="module")
async def pair(backend: Backend) -> Pair:
    tag, end = f"explored-{time.time_ns()}", datetime.now(UTC).replace(microsecond=0)
    ids = []
    for number, name in enumerate((f"quiet {tag}", f"{HOSTILE} {tag}")):
        server_id, key = backend.add_server(name)
        backend.call("PUT", f"/servers/{server_id}", json={"tags": [tag]}).raise_for_status()
        reporter = Reporter(backend.agents_url, key)
        began = end.timestamp() - 600
        reporter.report([(began + 5 * n, readings(10.0 + 20 * number + n % 7)) for n in range(118)])
        reporter.close()
        ids.append(server_id)
    return Pair(ids[0], ids[1], tag, end - timedelta(minutes=10), end)


def of(pair: Pair, *metrics: str, **changes: Any) -> ExploreQuery:
    return CPU.but(metrics=metrics or CPU.metrics, tag=pair.tag, start=pair.start, end=pair.end, **changes)


async def draw(session: Session, asked: ExploreQuery, shown_at: datetime | None = None) -> Any:
    return await drawn(session, asked, UTC, datetime.now(UTC), "http://127.0.0.1:1", shown_at)


@pytest.fixture
async def limited(session: Session, backend: Backend, pair: Pair) -> AsyncIterator[Session]:
    """Somebody who sees the quiet server only."""
    name = f"limited-{time.time_ns()}"
    user = await session.client.create_user(name, ADMIN_PASSWORD, "viewer")
    await session.client.update_user(user.id, UpdateUserRequest(all_servers=False, server_ids=[pair.quiet]))
    async with AsyncClient(backend.url) as client:
        yield Session(await client.login(name, ADMIN_PASSWORD), client, 0.0, 0.0)


async def test_the_page_is_set_as_the_address_says(
    app: Quart, session: Session, dashboard_settings: DashboardSettings, pair: Pair
) -> None:
    asked = of(pair, aggregate="max", group_by=("server_id",), view="table", forecast=True)
    _, _, search = share_address(asked).partition("?")
    content, title = await show(app, dashboard_settings, session, "/explore", f"?{search}")
    controls = {c.id: c for c in content._traverse() if isinstance(getattr(c, "id", None), str)}
    assert title == "Explore"
    assert controls["explore-metrics"].value == ["host.cpu_percent"]
    assert (controls["explore-tag"].value, controls["explore-view"].value) == (pair.tag, "table")
    assert (controls["explore-aggregate"].value, controls["explore-group"].value) == ("max", ["server_id"])
    assert controls["explore-forecast"].checked is True
    assert len(ids_of(content)) == len([c for c in content._traverse() if isinstance(getattr(c, "id", None), str)])


async def test_without_a_metric_it_says_how_to_begin(session: Session) -> None:
    found = await draw(session, ExploreQuery())
    assert "Choose a metric" in text_of(found.charts)
    assert "Busy processors" in text_of(found.charts)


async def test_charts_have_a_line_per_server_and_names_from_outside_are_text(session: Session, pair: Pair) -> None:
    found = await draw(session, of(pair, "host.cpu_percent", "filesystem.used_percent"))
    assert len(found.charts) == 2
    assert f"{HOSTILE} {pair.tag}" in text_of(found.charts)
    graphs = [c for panel in found.charts for c in panel._traverse() if type(c).__name__ == "Graph"]
    assert len(graphs) == 2
    assert "<img" not in str([trace.get("name") for graph in graphs for trace in graph.figure["data"]])
    assert {one["value"] for one in found.series} >= {SeriesChoice("host.cpu_percent", pair.quiet, ()).text()}
    # The highest is what is explained unless somebody chooses.
    assert found.target == SeriesChoice("host.cpu_percent", pair.hostile, ()).text()


async def test_the_highest_are_shown_and_that_there_are_more_is_said(session: Session, pair: Pair) -> None:
    reading = await read(session, of(pair), datetime.now(UTC))
    assert [one.series.server_id for one in reading.answers[0].series] == [pair.hostile, pair.quiet]
    found = await draw(session, of(pair, "cpu.cpu_percent", "host.load_1m", top=5))
    assert "There are more series" not in text_of(found.charts)


async def test_no_readings_say_what_to_try(session: Session, pair: Pair) -> None:
    asked = of(pair).but(start=pair.start - timedelta(days=3), end=pair.end - timedelta(days=3))
    for view in ("chart", "table", "heat"):
        assert "No readings" in text_of((await draw(session, asked.but(view=view))).charts)


async def test_a_server_that_is_gone_is_said_and_the_others_are_shown(session: Session, pair: Pair) -> None:
    found = await draw(session, of(pair).but(tag="", servers=(pair.quiet, 2_000_000_000)))
    assert "1 of the chosen servers is not there" in text_of(found.note)
    assert f"quiet {pair.tag}" in text_of(found.charts)
    gone = await draw(session, of(pair).but(tag="", servers=(2_000_000_000,)))
    assert "No such server" in text_of(gone.charts)


async def test_a_metric_that_is_refused_takes_no_other_along(session: Session, pair: Pair) -> None:
    found = await draw(session, of(pair, "host.cpu_percent", "cpu.cpu_percent", aggregate="max", group_by=("core",)))
    text = text_of(found.charts)
    assert "host.cpu_percent could not be loaded" in text
    assert "cpu.cpu_percent could not be loaded" not in text.replace("host.cpu_percent could", "")


async def test_a_reversed_range_is_said(session: Session, pair: Pair) -> None:
    found = await draw(session, of(pair).but(start=pair.end, end=pair.start))
    assert "ends before it starts" in text_of(found.charts)


async def test_without_the_backend_it_says_so_and_keeps_what_is_shown(session: Session, pair: Pair) -> None:
    async with AsyncClient(f"http://127.0.0.1:{free_port()}", tokens=session.client.tokens) as client:
        away = Session(session.user, client, 0.0, 0.0)
        first = await draw(away, of(pair))
        assert "could not be loaded" in text_of(first.charts)
        assert "does not answer" in text_of(first.charts)
        later = await draw(away, of(pair), shown_at=pair.end)
        assert later.charts is None
        assert "What is shown was read" in text_of(later.note)
        assert later.read_at == pair.end


async def test_who_is_limited_sees_own_servers_only(limited: Session, pair: Pair) -> None:
    for asked in (of(pair), CPU, of(pair).but(tag="", servers=(pair.quiet, pair.hostile)), of(pair, view="heat")):
        found = await draw(limited, asked)
        assert f"quiet {pair.tag}" in text_of(found.charts)
        assert HOSTILE not in text_of(found.charts)
        assert str(pair.hostile) not in {str(one) for one in [SeriesChoice.read(s["value"]) for s in found.series]}
    table = await draw(limited, of(pair, view="table"))
    grid = next(c for panel in table.charts for c in panel._traverse() if type(c).__name__ == "AgGrid")
    assert {row["series"] for row in grid.rowData} == {f"quiet {pair.tag}"}


async def test_the_heat_map_has_a_row_per_server_and_a_way_to_its_moment(session: Session, pair: Pair) -> None:
    found = await draw(session, of(pair, "cpu.cpu_percent", view="heat"))
    parts = {getattr(c, "id", None): c for panel in found.charts for c in panel._traverse()}
    assert sorted(parts["explore-heat-rows"].data["servers"].values()) == sorted([pair.quiet, pair.hostile])
    assert len(parts["explore-heat"].figure["data"][0]["y"]) == 2
    links = [c.href for panel in found.charts for c in panel._traverse() if type(c).__name__ == "Link"]
    assert links[0].startswith(f"/servers/{pair.hostile}?at=20")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"aggregate": "max", "group_by": ("server_id",)},
        {"metrics": ("host.cpu_percent", "filesystem.used_percent")},
        {"view": "heat", "metrics": ("cpu.cpu_percent",)},
        {"top": 5, "aggregate": "p95"},
        {"top": 5, "top_by": "max", "metrics": ("filesystem.used_percent",)},
    ],
    ids=["plain", "grouped", "several", "heat", "percentile", "maximum"],
)
async def test_the_python_of_a_view_runs_and_gives_what_is_shown(
    session: Session, backend: Backend, pair: Pair, changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = of(pair).but(**changes)
    text = (await drawn(session, asked, UTC, datetime.now(UTC), backend.url)).python
    monkeypatch.setattr("getpass.getpass", lambda: ADMIN_PASSWORD)
    names: dict[str, Any] = {"print": lambda *_: None}
    exec(compile(text, "view.py", "exec"), names)
    names["client"].close()
    reading = await read(session, asked, datetime.now(UTC))
    shown = shown_frame(reading.answers, 500 if asked.view == "heat" else asked.top)
    assert shown.height > 0
    assert sorted(names["frame"]["avg"].drop_nulls()) == sorted(shown["avg"].drop_nulls())


def test_the_python_of_hostile_names_is_their_text() -> None:
    name = "'); raise SystemExit #\n"
    text = python_text(of_all(), [1], datetime.now(UTC), datetime.now(UTC), {}, f"http://x/{name}", name)
    assert compile(text, "view.py", "exec")
    assert repr(name) in text


def of_all() -> ExploreQuery:
    return ExploreQuery(("host.cpu_percent",), servers=(1,))


async def test_a_stretch_is_explained_in_three_parts(session: Session, pair: Pair) -> None:
    target = SeriesChoice("host.cpu_percent", pair.quiet, ())
    parts = await explanation(session, target, pair.start, pair.end, {pair.quiet: HOSTILE}, UTC)
    text = text_of(parts)
    for title in ("Is it unusual?", "What moved with it?", "Who caused it?"):
        assert title in text
    assert f"host.cpu_percent of {HOSTILE}" in text
    everything = await explanation(session, SeriesChoice("host.cpu_percent", None, ()), pair.start, pair.end, {}, UTC)
    assert "joins several servers" in text_of(everything)


async def test_what_the_analyses_refuse_is_said_in_its_own_part(session: Session, pair: Pair) -> None:
    target = SeriesChoice("host.cpu_percent", 2_000_000_000, ())
    text = text_of(await explanation(session, target, pair.start, pair.end, {}, UTC))
    assert text.count("2000000000") >= 3


async def test_a_forecast_is_told_of_the_chosen_series(session: Session, pair: Pair) -> None:
    chosen = SeriesChoice("host.cpu_percent", pair.quiet, ())
    found = await draw(session, of(pair, forecast=True, series=chosen))
    assert found.target == chosen.text()
    assert f"quiet {pair.tag}: " in text_of(found.forecast)


async def test_a_view_is_kept_renamed_and_opened_again(session: Session, limited: Session, pair: Pair) -> None:
    asked = of(pair, top=20)
    view = await keep(session, None, f" mine {pair.tag} ", asked.to_query())
    assert ExploreQuery.from_query(view.query).to_query() == asked.to_query()
    renamed = await keep(session, view.id, f"renamed {pair.tag}", {})
    assert (renamed.name, renamed.query) == (f"renamed {pair.tag}", view.query)
    assert view.id in [one.id for one in await read_views(session) or []]
    assert await read_views(limited) == []
    with pytest.raises(ApiError, match="404"):
        await keep(limited, view.id, "stolen", {})
    await session.client.views.delete(view.id)


async def test_a_view_of_a_server_that_is_no_longer_seen_opens_without_it(
    session: Session, limited: Session, pair: Pair
) -> None:
    view = await keep(limited, None, "both", of(pair).but(tag="", servers=(pair.quiet, pair.hostile)).to_query())
    found = await draw(limited, ExploreQuery.from_query(view.query))
    assert "not for you to see" in text_of(found.note)
    await session.client.update_server(pair.quiet, UpdateServerRequest(tags=[pair.tag]))


async def test_what_is_shown_comes_as_a_file_to_who_is_logged_in(browser: Browser, pair: Pair) -> None:
    address = share_address(of(pair)).replace("/explore?", "/explore/download?")
    assert (await browser.get(address)).status_code == 302
    assert await log_in(browser) in (302, 303)
    tables = {}
    for form in ("csv", "parquet", "arrow"):
        answer = await browser.get(f"{address}&format={form}")
        assert answer.status_code == 200
        assert f".{form}" in answer.headers["Content-Disposition"]
        tables[form] = io.BytesIO(await answer.get_data(as_text=False))
    frame = pl.read_parquet(tables["parquet"])
    assert set(frame["server_id"]) == {pair.quiet, pair.hostile}
    assert pl.read_ipc_stream(tables["arrow"]).equals(frame)
    assert pl.read_csv(tables["csv"]).height == frame.height
    for query, status in (("?metric=host.cpu_percent&format=exe", 400), ("?format=csv", 400)):
        assert (await browser.get(f"/explore/download{query}")).status_code == status


async def test_a_limited_person_downloads_own_servers_only(limited: Session, reported: Reported, pair: Pair) -> None:
    reading = await read(limited, CPU, datetime.now(UTC))
    assert set(shown_frame(reading.answers, 100)["server_id"]) == {pair.quiet}
    assert reported.server_id not in reading.servers
