"""The asynchronous client's access token is renewed while whoever asked goes away."""

import asyncio

import httpx
import pytest

from chatops_client import AsyncClient
from tests.conftest import ADMIN_PASSWORD
from tests.stack import Backend

pytestmark = pytest.mark.anyio


class HeldRefresh(httpx.AsyncHTTPTransport):
    """Keeps the answer to a refresh back until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.answered, self.let_go = asyncio.Event(), asyncio.Event()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        if request.url.path.endswith("/auth/refresh"):
            self.answered.set()
            await self.let_go.wait()
        return response


async def test_a_caller_that_is_cancelled_during_a_renewal_does_not_cost_the_session(backend: Backend) -> None:
    now, transport = [0.0], HeldRefresh()
    async with (
        httpx.AsyncClient(base_url=backend.url, transport=transport) as http,
        AsyncClient(backend.url, http=http, clock=lambda: now[0]) as client,
    ):
        await client.login("admin", ADMIN_PASSWORD)
        now[0] = 890.0
        leaving = asyncio.create_task(client.me())
        await transport.answered.wait()
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        transport.let_go.set()
        # With the token that is used up already the session would be over.
        assert (await client.me()).username == "admin"
