"""Lets few analyses run at a time, on threads of their own. Used by the routes and the questions.

What an analysis computes keeps a processor busy for up to seconds; on these threads it holds up neither the event loop
nor the threads that passwords and answers need. A caller who goes away frees the turn at once, the thread when it has
ended.
"""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from litestar import Request

from chatops_backend.alerts.replays import Replays
from chatops_backend.database.interface import Database

T = TypeVar("T")

THREADS = 2


class Turns:
    def __init__(self, database: Database) -> None:
        self._replays = Replays(database, "analyses")
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="analysis")

    async def run(self, request: Request[Any, Any, Any], analysis: Coroutine[Any, Any, T]) -> T:
        """The result of `analysis`, which has not begun. Raises `ProblemError` 503 when too many wait already."""
        return await self._replays.run(request, analysis)

    async def compute(self, work: Callable[[], T]) -> T:
        """The result of `work`, computed on one of the threads."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)
