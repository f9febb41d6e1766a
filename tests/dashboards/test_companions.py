"""What runs beside every page's own stream: on idle pages too, and ended with them."""

import asyncio
from datetime import UTC

import pytest

from chatops_dashboards.live import LiveViews
from chatops_dashboards.session import Session
from tests.dashboards.test_live import Running, Socket

pytestmark = pytest.mark.anyio


async def test_a_companion_runs_beside_a_view_and_on_pages_without_one(session: Session) -> None:
    views, companion, stream = LiveViews(), Running(), Running()
    views.add_companion(companion)
    views.add("view", stream)
    one = asyncio.create_task(views.serve(session, {"kind": "view"}, UTC, "tab", Socket()))
    await stream.started.wait()
    assert (companion.now, stream.now) == (1, 1)
    socket = Socket()
    two = asyncio.create_task(views.serve(session, {"kind": "idle"}, UTC, "tab", socket))
    async with asyncio.timeout(5):
        await one
        while not socket.values("live-heartbeat"):
            await asyncio.sleep(0)
    assert (companion.now, stream.now, views.active) == (1, 0, 1)
    session.ended.set()
    async with asyncio.timeout(5):
        await two
    assert (companion.now, views.active) == (0, 0)
