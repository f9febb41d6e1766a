"""Waits for the first of several hubs that has something new."""

import asyncio
from typing import Protocol


class Hub(Protocol):
    version: int

    async def news(self, version: int, timeout: float) -> bool: ...


async def any_news(*watched: tuple[Hub, int], timeout: float) -> bool:
    """Wait until one of the hubs is newer than its version; False when none was for `timeout` seconds."""
    waiting = [asyncio.create_task(hub.news(version, timeout)) for hub, version in watched]
    try:
        done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        return any(task.result() for task in done)
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
