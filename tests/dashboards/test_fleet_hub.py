"""The fleet's newest state for a session: its spark lines start with what is stored, whoever looked before."""

import asyncio
import time
from typing import Any

import pytest

from chatops_dashboards import live_hub
from chatops_dashboards.fleet_hub import FleetHub, fleet_hub
from chatops_dashboards.session import Session
from tests.reporting import Reporter, readings
from tests.stack import Backend

pytestmark = pytest.mark.anyio


def minutes_with_points(hub: FleetHub, server_id: int, now: float) -> set[int]:
    """How many minutes ago the points of a spark line are."""
    return {int((now - moment) // 60) for moment, value in hub.sparks.get(server_id, ()) if value is not None}


async def until(hub: FleetHub, holds: Any) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await hub.news(hub.version, 0.2)


async def test_spark_lines_hold_what_was_stored_before_and_between_two_looks(
    session: Session, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_hub, "LINGER_S", 0.0)
    server_id, key = backend.add_server(f"sparkling {time.time()}")
    reporter, now = await asyncio.to_thread(Reporter, backend.agents_url, key), time.time()
    early = [(now - 840 + 5 * n, readings(30.0)) for n in range(60)]
    await asyncio.to_thread(reporter.report, early)
    hub, asked = fleet_hub(session), []
    ask = session.client.query_series

    async def counted(*arguments: Any, **options: Any) -> Any:
        asked.append(options["server_ids"])
        return await ask(*arguments, **options)

    monkeypatch.setattr(session.client, "query_series", counted)
    async with hub.subscribed():
        await until(hub, lambda: minutes_with_points(hub, server_id, now) >= {10, 12, 13})
    async with asyncio.timeout(5):
        while hub.running:
            await asyncio.sleep(0.01)
    late = [(now - 480 + 5 * n, readings(60.0)) for n in range(90)]
    await asyncio.to_thread(reporter.report, late)
    async with hub.subscribed():
        await until(hub, lambda: minutes_with_points(hub, server_id, now) >= {1, 3, 5, 7, 10, 12, 13})
    assert len(asked) == 2
    assert all(server_id in servers for servers in asked)
    times = [moment for moment, _ in hub.sparks[server_id]]
    assert times == sorted(times)
    await asyncio.to_thread(reporter.close)


async def test_who_wants_no_spark_lines_asks_for_no_history(session: Session, backend: Backend) -> None:
    server_id, _ = backend.add_server(f"plain {time.time()}")
    async with fleet_hub(session).subscribed(sparks=False) as hub:
        await until(hub, lambda: server_id in hub.entries)
        assert hub.sparks == {}
        async with hub.subscribed():
            await until(hub, lambda: hub.sparks != {})
