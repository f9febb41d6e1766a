"""Hashes and checks passwords in two threads of its own, with a short queue before them.

Argon2 holds a core for some 50 ms and 32 MiB per password; without a bound a flood of log-ins would take the machine.
Log-in, password changes, the first run and the command line use it.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

T = TypeVar("T")

THREADS = 2
QUEUE = 30

# Above OWASP's second choice (19 MiB, 2 passes); 50 ms on the machine this was written on.
STRONG = PasswordHasher(time_cost=2, memory_cost=32_768, parallelism=1)


class HashingBusyError(Exception):
    """The queue is full; try again in a second."""


class Passwords:
    def __init__(self, hasher: PasswordHasher = STRONG, *, threads: int = THREADS, queue: int = QUEUE) -> None:
        self._hasher = hasher
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="password")
        self._room = threading.BoundedSemaphore(threads + queue)
        self._nobody: str | None = None

    async def hash(self, password: str) -> str:
        return await self._run(lambda: self._hasher.hash(password))

    async def verify(self, password_hash: str | None, password: str) -> bool:
        """Whether the password is right. None stands for nobody: never right, at the same cost."""
        return await self._run(lambda: self._verify(password_hash, password))

    def is_outdated(self, password_hash: str) -> bool:
        """Whether the hash was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(password_hash)

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _verify(self, password_hash: str | None, password: str) -> bool:
        if self._nobody is None:
            self._nobody = self._hasher.hash("nobody has this password")
        try:
            return self._hasher.verify(password_hash or self._nobody, password) and password_hash is not None
        except (VerificationError, InvalidHashError):
            return False

    async def _run(self, work: Callable[[], T]) -> T:
        if not self._room.acquire(blocking=False):
            raise HashingBusyError
        try:
            future: Future[T] = self._pool.submit(work)
        except BaseException:
            self._room.release()
            raise
        # Not when the caller goes away: a hash that runs goes on holding its core.
        future.add_done_callback(lambda _: self._room.release())
        return await asyncio.wrap_future(future)
