"""Lets few replays of rules (or analyses) run at a time, and ends one whose caller has gone. Used by the routes.

A replay reads a server after the other, in statements of a few tenths of a second; on the embedded database's one
connection ingest gets its turn between two of them. More replays at once would make all wait longer and none be
earlier, and one that nobody waits for would do so for nothing.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from litestar import Request
from prometheus_client import Counter

from chatops_backend.database.interface import Database
from chatops_backend.problems import ProblemError

T = TypeVar("T")

MOST_WAITING = 20
RETRY_AFTER_S = 10

abandoned = Counter("chatops_replays_abandoned_total", "Backtests, suggestions and analyses whose caller had gone")


class Replays:
    def __init__(self, database: Database, called: str = "backtests") -> None:
        """`called` is what a refusal says there are too many of."""
        self._called = called
        # A server has connections for two, and processors.
        self._turns = asyncio.Semaphore(2 if database.runs_policies else 1)
        self._waiting = 0

    async def run(self, request: Request[Any, Any, Any], replay: Coroutine[Any, Any, T]) -> T:
        """The result of `replay`, which has not begun. Raises `ProblemError` when too many wait already."""
        if self._waiting >= MOST_WAITING:
            replay.close()
            raise ProblemError(
                503,
                f"Too many {self._called}",
                "Others are being calculated; try again in a few seconds.",
                headers={"Retry-After": str(RETRY_AFTER_S)},
            )
        work = asyncio.create_task(self._in_turn(replay))
        gone = asyncio.create_task(_gone(request))
        try:
            await asyncio.wait((work, gone), return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                abandoned.inc()
                raise ProblemError(499, "Nobody waits", "The connection was closed before the answer was there.")
            return work.result()
        finally:
            for task in (work, gone):
                task.cancel()
            await asyncio.gather(work, gone, return_exceptions=True)

    async def _in_turn(self, replay: Coroutine[Any, Any, T]) -> T:
        self._waiting += 1
        try:
            await self._turns.acquire()
        except BaseException:
            replay.close()
            raise
        finally:
            self._waiting -= 1
        try:
            return await replay
        finally:
            self._turns.release()


async def _gone(request: Request[Any, Any, Any]) -> None:
    """Returns when the caller has closed the connection. The body has been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
