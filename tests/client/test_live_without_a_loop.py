"""`Client.live` without an event loop and inside one: against the real backend, and against invented streams."""

import asyncio
import gc
import threading
import time
from collections.abc import AsyncGenerator

import pytest

from chatops_client import Client, LiveIterator, NotFoundError
from tests.client.conftest import Reported
from tests.conftest import ADMIN_PASSWORD
from tests.reporting import Reporter, readings
from tests.stack import Backend

pytestmark = pytest.mark.anyio


def threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "chatops-live"}


def gone(started: set[threading.Thread]) -> bool:
    for thread in started:
        thread.join(20)
    return not any(thread.is_alive() for thread in started)


async def counting(until: int | None = None) -> AsyncGenerator[int, None]:
    number = 0
    while until is None or number < until:
        yield number
        number += 1
        await asyncio.sleep(0)


async def stuck() -> AsyncGenerator[int, None]:
    yield 0
    await asyncio.Event().wait()


def test_the_fleet_and_a_servers_readings_come_in_a_plain_loop(
    client: Client, backend: Backend, reported: Reported
) -> None:
    with client.live() as fleet:
        state = fleet.next(30)
        assert state.complete
        assert reported.server_id in {entry.server_id for entry in state.servers}
    server_id, key = backend.add_server("live without a loop")
    reporter = Reporter(backend.agents_url, key)
    with client.live(server_id) as samples:
        deadline = time.monotonic() + 30
        while True:
            reporter.report([(time.time(), readings(66.0))])
            try:
                sample = samples.next(0.2)
                break
            except TimeoutError:
                assert time.monotonic() < deadline
    reporter.close()
    assert sample.measurements["host"]["cpu_percent"] == 66.0


def test_what_cannot_be_watched_raises_in_the_loop(client: Client) -> None:
    with pytest.raises(NotFoundError):
        for _ in client.live(999_999):
            pass


def test_closing_the_client_ends_its_iterators(backend: Backend, reported: Reported) -> None:
    before = threads()
    with Client(backend.url, username="admin", password=ADMIN_PASSWORD) as client:
        fleet = client.live()
        fleet.next(30)
        started = threads() - before
        assert len(started) == 1
    assert gone(started)
    assert list(fleet) == []


async def test_the_same_iterator_serves_an_event_loop(client: Client) -> None:
    async with asyncio.timeout(30):
        async for state in client.live():
            assert state.complete
            break


def test_an_iterator_that_nobody_holds_ends_its_thread() -> None:
    before = threads()
    for number in LiveIterator(counting()):
        if number == 2:
            started = threads() - before
            break
    gc.collect()
    assert len(started) == 1
    assert gone(started)


def test_a_stream_that_ends_ends_the_loop_and_its_thread() -> None:
    before = threads()
    live = LiveIterator(counting(3))
    started = threads() - before
    assert list(live) == [0, 1, 2]
    assert list(live) == []
    assert gone(started)


def test_a_wait_that_ran_out_loses_nothing_and_closing_ends_whoever_waits() -> None:
    live = LiveIterator(stuck())
    assert live.next() == 0
    with pytest.raises(TimeoutError):
        live.next(0.01)
    rest: list[list[int]] = []
    waiting = threading.Thread(target=lambda: rest.append(list(live)))
    waiting.start()
    live.close()
    waiting.join(20)
    assert rest == [[]]
    live.close()


async def test_a_cancelled_wait_loses_no_message() -> None:
    with LiveIterator(counting()) as live:
        assert await anext(live) == 0
        waiting = asyncio.create_task(anext(live))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert await anext(live) == 1
