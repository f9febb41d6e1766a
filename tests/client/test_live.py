"""The live iterators against the real backend."""

import asyncio
import time
from contextlib import aclosing

import pytest

from chatops_client import ApiError, AsyncClient
from tests.client.conftest import Reported
from tests.conftest import ADMIN_PASSWORD
from tests.reporting import Reporter, readings
from tests.stack import Backend

pytestmark = pytest.mark.anyio


async def test_a_reading_arrives_as_it_is_committed(backend: Backend) -> None:
    server_id, key = backend.add_server("live one")
    async with AsyncClient(backend.url) as client, asyncio.timeout(20):
        await client.login("admin", ADMIN_PASSWORD)
        connected = asyncio.Event()

        async def first() -> float:
            async with aclosing(client.live_server(server_id, lambda state: connected.set())) as samples:
                async for sample in samples:
                    return float(sample.measurements["host"]["cpu_percent"])
            raise AssertionError

        waiting = asyncio.create_task(first())
        reporter = await asyncio.to_thread(Reporter, backend.agents_url, key)
        while not waiting.done():
            await asyncio.to_thread(reporter.report, [(time.time(), readings(77.0))])
            await asyncio.wait({waiting}, timeout=0.2)
        assert waiting.result() == 77.0
        await asyncio.to_thread(reporter.close)


async def test_the_fleet_comes_complete_first(backend: Backend, reported: Reported) -> None:
    async with AsyncClient(backend.url) as client, asyncio.timeout(20):
        await client.login("admin", ADMIN_PASSWORD)
        async with aclosing(client.live_fleet()) as states:
            state = await anext(states)
    assert state.complete
    assert reported.server_id in {entry.server_id for entry in state.servers}


async def test_an_unknown_server_ends_the_iterator_with_404(backend: Backend) -> None:
    async with AsyncClient(backend.url) as client, asyncio.timeout(20):
        await client.login("admin", ADMIN_PASSWORD)
        with pytest.raises(ApiError) as caught:
            async for _ in client.live_server(999_999):
                pass
        assert caught.value.status == 404


async def test_an_ended_session_ends_the_iterator_with_401(backend: Backend) -> None:
    async with AsyncClient(backend.url) as client, AsyncClient(backend.url) as same, asyncio.timeout(30):
        await client.login("admin", ADMIN_PASSWORD)
        same.tokens = client.tokens
        async with aclosing(client.live_fleet()) as states:
            await anext(states)
            await same.logout()
            with pytest.raises(ApiError) as caught:
                async for _ in states:
                    pass
        assert caught.value.status == 401


async def test_many_tasks_renew_an_expired_token_once(backend: Backend) -> None:
    now = [0.0]
    async with AsyncClient(backend.url, clock=lambda: now[0]) as client:
        await client.login("admin", ADMIN_PASSWORD)
        now[0] = 890.0
        users = await asyncio.gather(*(client.me() for _ in range(8)))
        assert {user.username for user in users} == {"admin"}
