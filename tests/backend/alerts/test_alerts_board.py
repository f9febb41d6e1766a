"""What ``/ws/alerts`` sends: all open alerts first, then each change, also the end of one."""

import asyncio

import pytest

from chatops_backend.live.alerts import AlertsBoard
from chatops_protocol.live_messages import AlertsState, decode_to_person
from tests.backend.alerts.fleet import Fleet

pytestmark = pytest.mark.anyio


async def test_watchers_get_all_open_alerts_and_then_what_changes(fleet: Fleet) -> None:
    first, second = await fleet.server(), await fleet.server()
    await fleet.rule(all_servers=True, warning=80.0, window_s=60)
    await fleet.cpu(first, 90.0)
    await fleet.evaluate()
    board = AlertsBoard(fleet.database)
    watcher = await board.watch()
    running = asyncio.create_task(board.run())
    messages = watcher.messages()

    async def following() -> AlertsState:
        async with asyncio.timeout(20):
            state = decode_to_person(await anext(messages))
        assert isinstance(state, AlertsState)
        return state

    try:
        state = await following()
        assert state.complete
        assert [(alert.server_id, alert.state) for alert in state.alerts] == [(first, "firing")]
        await fleet.cpu(second, 95.0)
        await fleet.evaluate()
        state = await following()
        assert not state.complete
        assert [(alert.server_id, alert.state, alert.value) for alert in state.alerts] == [(second, "firing", 95.0)]
        for server_id in (first, second):
            await fleet.cpu(server_id, 5.0, minutes_ago=0)
        await fleet.evaluate(after_minutes=1)
        ended = {alert.server_id: alert.state for alert in (await following()).alerts}
        while len(ended) < 2:
            ended |= {alert.server_id: alert.state for alert in (await following()).alerts}
        assert ended == {first: "resolved", second: "resolved"}
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await messages.aclose()
