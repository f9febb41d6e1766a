"""Live messages for code that has no event loop, or has one that is not to be used: `Client.live` and `Client.run`.

Theory: each iterator has a thread with an event loop of its own, in which the asynchronous iterator lives. Asking for
the next message hands that question to the thread and waits, so nothing is read before somebody wants it: a slow reader
gets the newest state from the backend, never a queue of old ones.
"""

import asyncio
import concurrent.futures
import threading
import weakref
from collections.abc import AsyncGenerator
from types import TracebackType
from typing import Any, Generic, Protocol, TypeVar

M = TypeVar("M")
JOIN_WITHIN_S = 10.0


class BlockingSession(Protocol):
    """What a live socket needs of a synchronous client."""

    base_url: str

    def access_token(self) -> str: ...
    def renew_after_refusal(self, access_token: str) -> None: ...


class ThreadedSession:
    """The session of a live socket in a thread of its own: renewals, which block, leave that thread's event loop."""

    def __init__(self, client: BlockingSession) -> None:
        self.base_url = client.base_url
        self._client = client

    async def access_token(self) -> str:
        return await asyncio.to_thread(self._client.access_token)

    async def renew_after_refusal(self, access_token: str) -> None:
        await asyncio.to_thread(self._client.renew_after_refusal, access_token)


class LiveIterator(Generic[M]):
    """Messages as they come, for ``for`` and for ``async for`` alike.

    Over when it is closed, its ``with`` block is left, or nobody holds it any more. Raises what the asynchronous
    iterator raises.
    """

    def __init__(self, messages: AsyncGenerator[M, None]) -> None:
        self._thread = _LoopThread(messages)
        self._pending: concurrent.futures.Future[M] | None = None
        self._stop = weakref.finalize(self, self._thread.stop)

    def __enter__(self) -> "LiveIterator[M]":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection; whoever waits for a message sees the end. A second time, nothing."""
        self._stop()
        self._thread.join()

    def __iter__(self) -> "LiveIterator[M]":
        return self

    def __next__(self) -> M:
        return self.next()

    def next(self, timeout_s: float | None = None) -> M:
        """The next message. `TimeoutError` when none comes within `timeout_s`; the iterator goes on all the same."""
        pending = self._ask()
        if pending is None:
            raise StopIteration
        # Whatever interrupts this wait leaves the question open: the next call gets its answer.
        if not concurrent.futures.wait([pending], timeout_s).done:
            raise TimeoutError(f"no message within {timeout_s} s")
        self._pending = None
        try:
            return pending.result()
        except (StopAsyncIteration, concurrent.futures.CancelledError):
            self.close()
            raise StopIteration from None

    def __aiter__(self) -> "LiveIterator[M]":
        return self

    async def __anext__(self) -> M:
        pending = self._ask()
        if pending is None:
            raise StopAsyncIteration
        answer = asyncio.wrap_future(pending)
        await asyncio.wait({answer})
        self._pending = None
        if answer.cancelled():
            raise StopAsyncIteration
        return answer.result()

    def _ask(self) -> "concurrent.futures.Future[M] | None":
        if self._pending is None:
            self._pending = self._thread.ask()
        return self._pending


class _LoopThread(Generic[M]):
    """An event loop in a thread, until it is stopped. Holds nothing of its iterator, which can be forgotten so."""

    def __init__(self, messages: AsyncGenerator[M, None]) -> None:
        self._messages = messages
        self._loop = asyncio.new_event_loop()
        self._asking: asyncio.Task[Any] | None = None
        self._lock = threading.RLock()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="chatops-live", daemon=True)
        self._thread.start()

    def ask(self) -> "concurrent.futures.Future[M] | None":
        """The next message, when it is there; None when this is stopped."""
        with self._lock:
            return None if self._stopped else asyncio.run_coroutine_threadsafe(self._next(), self._loop)

    async def _next(self) -> M:
        self._asking = asyncio.current_task()
        return await anext(self._messages)

    def stop(self) -> None:
        with self._lock:
            if not self._stopped:
                self._stopped = True
                self._loop.call_soon_threadsafe(self._loop.stop)

    def join(self) -> None:
        if threading.current_thread() is not self._thread:
            self._thread.join(JOIN_WITHIN_S)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            self._loop.run_until_complete(self._end())
            self._loop.close()

    async def _end(self) -> None:
        # In this order: a socket says goodbye by tasks and iterators of its own, which must not be ended before it.
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait({self._asking})
        await self._messages.aclose()
        await self._loop.shutdown_asyncgens()
        await self._loop.shutdown_default_executor()
