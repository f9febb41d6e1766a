"""What a board shows its watchers: all of it at first, then what changed; of each item the newest, however slowly one
reads. Fleet and alerts are boards. That a person gets only what they may see is held here for both.

Boards read the database again while somebody watches, since another backend may have changed it.
"""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Generic, Protocol, TypeAlias, TypeVar

import asyncpg

from chatops_backend.accounts.visibility import ALL_SERVERS, VisibleServers
from chatops_backend.database.interface import DatabaseUnavailableError

log = logging.getLogger(__name__)


class OfServer(Protocol):
    @property
    def server_id(self) -> int: ...


Item = TypeVar("Item", bound=OfServer)
# From whether it is all there is, and the items.
Encode: TypeAlias = Callable[[bool, list[Item]], bytes]


class Board(ABC, Generic[Item]):
    """`what` it shows, in words for the log; a reader gets a message at most every `at_most_every_s`."""

    def __init__(self, what: str, encode: Encode[Item], *, reread_every_s: float, at_most_every_s: float = 0.0) -> None:
        self._what = what
        self._encode = encode
        self._reread_every_s = reread_every_s
        self._at_most_every_s = at_most_every_s
        self._items: dict[int, Item] = {}
        self._watchers: set[Watcher[Item]] = set()

    async def watch(self, visible: VisibleServers = ALL_SERVERS) -> "Watcher[Item]":
        """A watcher that starts with everything of the servers that its person sees."""
        await self._reread()
        watcher = Watcher(self._items, visible, self._encode, self._at_most_every_s)
        self._watchers.add(watcher)
        return watcher

    def unwatch(self, watcher: "Watcher[Item]") -> None:
        self._watchers.discard(watcher)

    async def run(self) -> None:
        """Look for changes while somebody watches. Runs until cancelled."""
        while True:
            await asyncio.sleep(self._reread_every_s)
            if self._watchers:
                try:
                    await self._reread()
                except (DatabaseUnavailableError, asyncpg.PostgresError) as error:
                    log.warning("%s not read: %s", self._what, error)
                    self._age()

    @abstractmethod
    async def _reread(self) -> None: ...

    def _age(self) -> None:
        """What time alone changes, while nothing can be read."""

    def _put(self, key: int, item: Item) -> None:
        if self._items.get(key) != item:
            self._items[key] = item
            for watcher in self._watchers:
                watcher.offer(key, item)

    def _start_over(self) -> None:
        for watcher in self._watchers:
            watcher.start_over(self._items)


class Watcher(Generic[Item]):
    """The items that changed since its reader took the last message."""

    def __init__(
        self, items: Mapping[int, Item], visible: VisibleServers, encode: Encode[Item], at_most_every_s: float
    ) -> None:
        self._visible = visible
        self._encode = encode
        self._at_most_every_s = at_most_every_s
        self._there = asyncio.Event()
        self.start_over(items)

    def start_over(self, items: Mapping[int, Item]) -> None:
        self._pending = {key: item for key, item in items.items() if self._visible.sees(item.server_id)}
        self._complete = True
        self._there.set()

    def offer(self, key: int, item: Item) -> None:
        if self._visible.sees(item.server_id):
            self._pending[key] = item
            self._there.set()

    async def messages(self) -> AsyncIterator[bytes]:
        while True:
            await self._there.wait()
            self._there.clear()
            message = self._encode(self._complete, list(self._pending.values()))
            self._pending, self._complete = {}, False
            yield message
            await asyncio.sleep(self._at_most_every_s)
