"""One socket for all tabs of a session: it lives as long as somebody looks, and outlives troubles."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from chatops_client import ApiError, BackendUnreachableError
from chatops_dashboards import live_hub
from chatops_dashboards.live_hub import LiveHub, any_news

pytestmark = pytest.mark.anyio


class Numbers(LiveHub[int]):
    """Brings what is put into `source`; an exception in it is what the socket ends with."""

    def __init__(self) -> None:
        super().__init__(lambda: 1000.0)
        self.source: asyncio.Queue[int | Exception] = asyncio.Queue()
        self.taken: list[int] = []
        self.begun = self.ended = 0

    async def messages(self) -> AsyncIterator[int]:
        self.begun += 1
        try:
            while not isinstance(found := await self.source.get(), Exception):
                self.on_link("connected")
                yield found
            raise found
        finally:
            self.ended += 1

    async def take(self, message: int) -> None:
        self.taken.append(message)
        await self.announce()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not holds():
            await asyncio.sleep(0)


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_hub, "LINGER_S", 0.0)
    monkeypatch.setattr(live_hub, "RETRY_S", 0.0)


async def test_all_who_look_share_one_socket_that_ends_after_the_last() -> None:
    hub = Numbers()
    async with hub.subscribed(), hub.subscribed():
        hub.source.put_nowait(7)
        assert await hub.news(0, 5)
    await until(lambda: hub.ended == 1)
    assert (hub.begun, hub.taken, hub.running) == (1, [7], False)


async def test_who_comes_while_it_ends_gets_a_new_socket() -> None:
    hub = Numbers()
    async with hub.subscribed():
        await until(lambda: hub.begun == 1)
    # Cancelled and not ended yet: the very moment in which the next page opens.
    hub._stop_unless_used()
    async with hub.subscribed():
        hub.source.put_nowait(8)
        assert await hub.news(0, 5)
        assert (hub.begun, hub.taken) == (2, [8])


async def test_a_backend_that_is_away_ends_nothing() -> None:
    hub = Numbers()
    async with hub.subscribed():
        hub.source.put_nowait(BackendUnreachableError("no answer from http://backend"))
        await until(lambda: hub.begun == 2)
        assert hub.down_since == 1000.0
        hub.source.put_nowait(9)
        await until(lambda: hub.taken == [9])
        assert hub.down_since is None


async def test_a_refusal_is_kept_and_told_until_somebody_looks_again() -> None:
    hub = Numbers()
    async with hub.subscribed():
        hub.source.put_nowait(ApiError(401, "over"))
        assert await hub.news(0, 5)
        assert hub.refusal is not None
    async with hub.subscribed():
        assert hub.refusal is None


async def test_news_of_either_hub_wake_who_waits_for_both() -> None:
    one, other = Numbers(), Numbers()
    waiting = asyncio.create_task(any_news((one, 0), (other, 0), timeout=5))
    await asyncio.sleep(0)
    await other.announce()
    assert await waiting
    assert not await any_news((one, 0), (other, other.version), timeout=0.01)
