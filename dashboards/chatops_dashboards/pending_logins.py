"""Who has shown a right password and still owes a code: kept in this process's memory for a few minutes, nowhere else.

So the password need not go to the browser and back. By the hash of the log-in form's cookie, as sessions are by theirs.
"""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field

LASTS_S = 300.0
MOST_CODES = 5
MOST_WAITING = 1000


@dataclass
class Waiting:
    username: str
    password: str = field(repr=False)
    since: float
    tries: int = 0


class PendingLogins:
    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._waiting: dict[bytes, Waiting] = {}

    def keep(self, token: str, username: str, password: str) -> None:
        self._drop_old()
        if len(self._waiting) >= MOST_WAITING:
            del self._waiting[next(iter(self._waiting))]
        self._waiting[_key(token)] = Waiting(username, password, self._clock())

    def next_try(self, token: str) -> Waiting | None:
        """For another code; None when it is over: too late, or too many were wrong."""
        self._drop_old()
        waiting = self._waiting.get(_key(token))
        if waiting is None:
            return None
        waiting.tries += 1
        if waiting.tries > MOST_CODES:
            self.forget(token)
            return None
        return waiting

    def forget(self, token: str) -> None:
        self._waiting.pop(_key(token), None)

    def __len__(self) -> int:
        return len(self._waiting)

    def _drop_old(self) -> None:
        oldest = self._clock() - LASTS_S
        self._waiting = {key: waiting for key, waiting in self._waiting.items() if waiting.since > oldest}


def _key(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
