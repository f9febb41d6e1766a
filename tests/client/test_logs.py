"""Log lines through the clients, against the real backend."""

import asyncio
import time
from contextlib import aclosing

import pytest

from chatops_client import ApiError, AsyncClient, Client
from chatops_protocol.log_lines import LogPolicies
from tests.backend.logs.log_sending import logging_agent
from tests.conftest import ADMIN_PASSWORD
from tests.stack import Backend

pytestmark = pytest.mark.anyio


async def test_lines_are_filtered_paged_and_their_sources_named(backend: Backend, client: Client) -> None:
    server_id, key = backend.add_server("logs of a client")
    now = time.time()
    async with logging_agent(backend, key) as agent:
        await agent.send(*([now - n, "a.log", "info", f"line {n}"] for n in range(5)))
        await agent.send([now, "b.log", "error", "disk is full"])
    assert [line.message for line in client.logs.page(server_id, level="error").items] == ["disk is full"]
    assert [line.message for line in client.logs.page(server_id, search="disk -empty").items] == ["disk is full"]
    first = client.logs.page(server_id, source="a.log", limit=3)
    rest = client.logs.page(server_id, source="a.log", limit=3, cursor=first.next_cursor)
    assert [line.message for line in first.items + rest.items] == [f"line {n}" for n in range(5)]
    assert client.logs.sources(server_id)[0].source == "a.log"


async def test_new_lines_come_after_a_first_message_without_any(backend: Backend) -> None:
    server_id, key = backend.add_server("live logs of a client")
    async with AsyncClient(backend.url) as client, logging_agent(backend, key) as agent, asyncio.timeout(20):
        await client.login("admin", ADMIN_PASSWORD)
        await agent.send("before")
        async with aclosing(client.logs.live(server_id, source="/var/log/app.log", search="a b&c or at")) as live:
            assert (await anext(live)).lines == []
            await agent.send("at once")
            assert [line.message for line in (await anext(live)).lines] == ["at once"]


async def test_a_search_without_a_word_is_refused_and_not_tried_again(backend: Backend) -> None:
    server_id, _ = backend.add_server("searched")
    async with AsyncClient(backend.url) as client, asyncio.timeout(20):
        await client.login("admin", ADMIN_PASSWORD)
        with pytest.raises(ApiError) as caught:
            async for _ in client.logs.live(server_id, search="---"):
                pass
    assert caught.value.status == 400
    assert "needs a word" in caught.value.detail


def test_how_long_lines_are_kept_is_read_and_set(client: Client) -> None:
    before = client.logs.policies()
    assert client.logs.set_policies(LogPolicies(20, 5)) == LogPolicies(20, 5)
    assert client.logs.set_policies(before) == before
