"""What a session's live views share: one backend socket, however many tabs look at what it brings.

Runs while somebody is subscribed and a moment longer, so that a change of page does not reconnect. A hub says what it
makes of a message (`take`); this module knows nothing of what is in it.
"""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Generic, Self, TypeVar

from chatops_client import ApiError, BackendUnreachableError
from chatops_client.live import LinkState

LINGER_S = 10.0
RETRY_S = 3.0

Message = TypeVar("Message")


class LiveHub(ABC, Generic[Message]):
    """`version` grows with all that is new; `down_since`: when the link was lost; `refusal`: why for good."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self.down_since: float | None = None
        self.refusal: ApiError | None = None
        self.version = 0
        self._news = asyncio.Condition()
        self._users = 0
        self._task: asyncio.Task[None] | None = None
        self._telling: set[asyncio.Task[None]] = set()

    @abstractmethod
    def messages(self) -> AsyncIterator[Message]:
        """Those of the socket, for ever; reports to `on_link`."""

    @abstractmethod
    async def take(self, message: Message) -> None:
        """Bring in one message, and `announce` what is new."""

    def started(self) -> None:
        """Called before a new socket is opened for the first subscriber."""

    def stopped(self) -> None:
        """Called when nobody has been subscribed for a while."""

    @asynccontextmanager
    async def subscribed(self) -> AsyncIterator[Self]:
        """Keep the hub running inside the block."""
        self._users += 1
        if not self.running:
            self.refusal = None
            self.started()
            self._task = asyncio.create_task(self._run())
        try:
            yield self
        finally:
            self._users -= 1
            if self._users == 0:
                asyncio.get_running_loop().call_later(LINGER_S, self._stop_unless_used)

    @property
    def running(self) -> bool:
        return self._task is not None and not self._task.done()

    async def news(self, version: int, timeout: float) -> bool:
        """Wait until something is newer than `version`; False when nothing was for `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout), self._news:
                await self._news.wait_for(lambda: self.version > version)
        except TimeoutError:
            return False
        return True

    async def announce(self) -> None:
        """Wake who waits for news."""
        async with self._news:
            self.version += 1
            self._news.notify_all()

    def on_link(self, state: LinkState) -> None:
        if state == "connected":
            self.down_since = None
        elif self.down_since is None:
            self.down_since = self._clock()
            telling = asyncio.get_running_loop().create_task(self.announce())
            self._telling.add(telling)
            telling.add_done_callback(self._telling.discard)

    def _stop_unless_used(self) -> None:
        if self._users == 0 and self._task is not None:
            self._task.cancel()
            # Whoever comes before it has ended starts another.
            self._task = None
            self.stopped()

    async def _run(self) -> None:
        while True:
            try:
                async for message in self.messages():
                    await self.take(message)
            except ApiError as error:
                self.refusal = error
                self.down_since = self.down_since or self._clock()
                await self.announce()
                return
            except BackendUnreachableError:
                # Tokens could not be renewed just then; the socket itself tries again by itself.
                self.on_link("disconnected")
            await asyncio.sleep(RETRY_S)


async def any_news(*watched: tuple[LiveHub[Any], int], timeout: float) -> bool:
    """Wait until one of the hubs is newer than its version; False when none was for `timeout` seconds."""
    waiting = [asyncio.create_task(hub.news(version, timeout)) for hub, version in watched]
    try:
        done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        return any(task.result() for task in done)
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
