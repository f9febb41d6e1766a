"""Work of which only the newest counts: what a person changed while it ran is begun anew, what ran is given up."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
Running = dict[str, "asyncio.Task[Any]"]


async def newest_only(running: Running, key: str, work: Callable[[], Coroutine[Any, Any, T]]) -> T | None:
    """Run `work` unless another call with this key comes, or `stop`; then None."""
    stop(running, key)
    task: asyncio.Task[T] = asyncio.create_task(work())
    running[key] = task
    try:
        return await task
    except asyncio.CancelledError:
        current = asyncio.current_task()
        if current is not None and current.cancelling():
            task.cancel()
            raise
        return None
    finally:
        if running.get(key) is task:
            del running[key]


def stop(running: Running, key: str) -> bool:
    """Give up what runs under this key; whether there was something."""
    task = running.pop(key, None)
    return task.cancel() if task is not None else False
