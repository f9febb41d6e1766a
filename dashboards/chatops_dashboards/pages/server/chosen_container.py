"""The container that a tab has chosen, as it was last listed; what is drawn of it waits here for its changes."""

import asyncio
from typing import Any

from chatops_protocol.container_messages import ContainerEntry
from chatops_protocol.container_resources import ContainerList


class Chosen:
    """By name: one that is made anew under its name is still the chosen one. Without a name there is none."""

    def __init__(self, name: str | None) -> None:
        self.name = name
        self.entry: ContainerEntry | None = None
        self._news = asyncio.Event()

    @property
    def life(self) -> tuple[Any, ...]:
        """Another one when the container is another, or lives differently."""
        return () if self.entry is None else (self.entry.id, self.entry.state, self.entry.started_at)

    def take(self, found: ContainerList) -> None:
        before = self.life
        self.entry = next((entry for entry in found.containers if self.name and entry.name == self.name), None)
        if self.life != before:
            news, self._news = self._news, asyncio.Event()
            news.set()

    async def changed(self) -> None:
        await self._news.wait()
