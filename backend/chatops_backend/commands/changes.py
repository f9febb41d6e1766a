"""Tells whoever waits for a command in this process that something about it changed; what, is in the database."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Iterator


class CommandChanges:
    def __init__(self) -> None:
        self._waiting: defaultdict[int, set[asyncio.Event]] = defaultdict(set)

    def announce(self, command_id: int) -> None:
        for event in self._waiting.get(command_id, ()):
            event.set()

    @contextlib.contextmanager
    def watch(self, command_id: int) -> Iterator[asyncio.Event]:
        """An event that is set at each change; the watcher clears it before it looks."""
        event = asyncio.Event()
        self._waiting[command_id].add(event)
        try:
            yield event
        finally:
            self._waiting[command_id].discard(event)
            if not self._waiting[command_id]:
                del self._waiting[command_id]


async def wait_for(event: asyncio.Event, seconds: float) -> None:
    """Until the event is set, or so long: another process may have made the change."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
