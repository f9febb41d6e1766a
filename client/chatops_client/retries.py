"""When a call is sent again. Pure: used by both clients' sessions, which wait and send.

Only what changes nothing (GET), or nothing the second time (an import of rows), is sent again: of anything else nobody
knows whether the lost answer was a yes. An answer that takes too long is not asked for again either, since the backend
would work on both.
"""

import random
from collections.abc import Callable
from typing import Any

import httpx

from chatops_client.errors import ApiError, BackendUnreachableError
from chatops_client.wire import Call

RETRIES = 3
FIRST_PAUSE_S = 0.25
# A backend that asks for more patience than this is a matter for whoever called.
LONGEST_PAUSE_S = 10.0
BUSY = (429, 503)
LOST = (httpx.NetworkError, httpx.RemoteProtocolError, httpx.ConnectTimeout, httpx.PoolTimeout)


def pause_before_retry(
    call: Call[Any],
    sent: int,
    retries: int,
    error: ApiError | BackendUnreachableError,
    jitter: Callable[[], float] = random.random,
) -> float | None:
    """Seconds until the call, which was `sent` times and failed with `error`, is sent again; None: give up.

    0.25 s, 0.5 s, 1 s, each up to half longer, or what the backend asks for in ``Retry-After``.
    """
    if not (call.method == "GET" or call.repeatable) or sent > retries:
        return None
    pause = FIRST_PAUSE_S * float(2 ** (sent - 1))
    if isinstance(error, ApiError):
        if error.status not in BUSY:
            return None
        pause = max(pause, error.retry_after_s or 0.0)
    elif not error.lost:
        return None
    return pause * (1 + jitter() / 2) if pause <= LONGEST_PAUSE_S else None


def unanswered(base_url: str, error: httpx.HTTPError) -> BackendUnreachableError:
    return BackendUnreachableError(f"no answer from {base_url}: {type(error).__name__}", lost=isinstance(error, LOST))
