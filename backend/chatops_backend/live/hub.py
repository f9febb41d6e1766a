"""Hands committed frames to watchers. Publishing never waits: a slow watcher finds only the newest state."""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from typing import Any

from chatops_backend.ingest.frame import Frame
from chatops_backend.ingest.rows import Row, RowReader
from chatops_protocol.live_messages import ServerSamples, encode


class Watcher:
    """The newest message per measurement of one server that its reader has not taken yet."""

    def __init__(self) -> None:
        self._pending: dict[str, bytes] = {}
        self._there = asyncio.Event()

    def offer(self, key: str, message: bytes) -> None:
        # Taken out first, so that what is newest also comes last.
        self._pending.pop(key, None)
        self._pending[key] = message
        self._there.set()

    async def messages(self) -> AsyncIterator[bytes]:
        while True:
            await self._there.wait()
            self._there.clear()
            pending, self._pending = self._pending, {}
            for message in pending.values():
                yield message


class Hub:
    """`publish` is called by the writer after each commit."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._watchers: dict[int, set[Watcher]] = defaultdict(set)

    def watch(self, server_id: int) -> Watcher:
        watcher = Watcher()
        self._watchers[server_id].add(watcher)
        return watcher

    def unwatch(self, server_id: int, watcher: Watcher) -> None:
        self._watchers[server_id].discard(watcher)
        if not self._watchers[server_id]:
            del self._watchers[server_id]

    def publish(self, frames: list[Frame]) -> None:
        committed_at = self._clock()
        for frame in frames:
            watchers = self._watchers.get(frame.server_id)
            if not watchers or not frame.rows:
                continue
            message = encode(
                ServerSamples(
                    server_id=frame.server_id,
                    collected_at=frame.time.timestamp(),
                    committed_at=committed_at,
                    measurements={name: as_objects(reader, rows) for name, (reader, rows) in frame.rows.items()},
                )
            )
            # Frames with the slower measurements must survive a newer one without them.
            key = ",".join(sorted(frame.rows))
            for watcher in watchers:
                watcher.offer(key, message)


def as_objects(reader: RowReader, rows: list[Row]) -> Any:
    """One object for a measurement without labels, else a list of objects of labels and fields."""
    known = [(name, place) for place, name in enumerate(reader.offered) if name in reader.measurement.columns]
    objects = [{name: row[place] for name, place in known} for row in rows]
    return objects if reader.measurement.labels else objects[-1]
