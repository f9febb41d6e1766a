"""One live WebSocket as an endless iterator: authenticate, yield, and after a fault reconnect with full jitter.

Theory: the server sends its newest state at once after every connect, so a reconnect needs no resume position; what was
missed meanwhile is in the history.
"""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable
from typing import Literal, Protocol, TypeVar

import msgspec
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from chatops_client.errors import BackendUnreachableError, refusal
from chatops_client.wire import PREFIX
from chatops_protocol.live_messages import (
    CLOSE_BAD_REQUEST,
    CLOSE_FORBIDDEN,
    CLOSE_NO_ANSWER,
    CLOSE_NOT_FOUND,
    CLOSE_UNAUTHENTICATED,
    AuthenticatePerson,
    ToPerson,
    decode_to_person,
    encode,
)

LinkState = Literal["connected", "disconnected"]
FIRST_DELAY_S = 0.5
LONGEST_DELAY_S = 15.0
# A backend that hangs or is cut off sends no more and closes nothing: pings find it within a quarter of a minute.
PING_EVERY_S = 5.0
PONG_WITHIN_S = 10.0
# A fleet of thousands comes as one message.
LARGEST_MESSAGE_BYTES = 64 * 1024 * 1024
CLOSE_NORMAL = 1000

M = TypeVar("M", bound=msgspec.Struct)


class LiveSession(Protocol):
    """What a live socket needs of its client."""

    base_url: str

    async def access_token(self) -> str: ...
    async def renew_after_refusal(self, access_token: str) -> None: ...


async def live_messages(
    session: LiveSession,
    path: str,
    kind: type[M] | tuple[type[M], ...],
    on_state: Callable[[LinkState], None] | None = None,
    *,
    ends: bool = False,
    what: str = "server",
) -> AsyncGenerator[M, None]:
    """Yield messages until the caller stops iterating; `on_state` hears of every connect and disconnect. `ends`: the
    backend closes the socket when it has said all.

    Raises `ApiError` when what is asked for cannot be (400), the session has ended (401) or may not (403), what is
    watched does not exist (404), or a host that was asked for it does not give it (502, with its reason).
    """
    report = on_state or (lambda state: None)
    delay = FIRST_DELAY_S
    while True:
        token, code, connected, closed_because = "", None, False, ""
        try:
            token = await session.access_token()
            async with connect(
                _address(session.base_url, path),
                max_size=LARGEST_MESSAGE_BYTES,
                proxy=None,
                ping_interval=PING_EVERY_S,
                ping_timeout=PONG_WITHIN_S,
            ) as socket:
                await socket.send(encode(AuthenticatePerson(token)).decode())
                async for text in socket:
                    if not connected:
                        connected, delay = True, FIRST_DELAY_S
                        report("connected")
                    message = _decode(text)
                    if isinstance(message, kind):
                        yield message
                code, closed_because = socket.close_code, socket.close_reason or ""
        except ConnectionClosed as closed:
            code, closed_because = (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else (None, "")
        except (OSError, InvalidHandshake, BackendUnreachableError):
            code = None
        if ends and code == CLOSE_NORMAL:
            return
        report("disconnected")
        if code == CLOSE_BAD_REQUEST:
            raise refusal(400, closed_because or "the backend does not understand what is asked for")
        if code == CLOSE_FORBIDDEN:
            raise refusal(403, "this account may not watch it")
        if code == CLOSE_NOT_FOUND:
            raise refusal(404, f"there is no such {what}")
        if code == CLOSE_NO_ANSWER:
            raise refusal(502, closed_because or "the host does not answer")
        if code == CLOSE_UNAUTHENTICATED:
            # Expired in between, or revoked: a renewal tells which, and raises 401 when the session is over.
            await session.renew_after_refusal(token)
        await asyncio.sleep(random.uniform(0, delay))  # noqa: S311 - jitter, not a secret
        delay = min(delay * 2, LONGEST_DELAY_S)


def _decode(text: str | bytes) -> ToPerson | None:
    # A newer backend may send kinds of messages this client does not know; they are not for it.
    try:
        message: ToPerson = decode_to_person(text)
    except msgspec.DecodeError:
        return None
    return message


def _address(base_url: str, path: str) -> str:
    scheme, _, rest = base_url.partition("://")
    return f"{'wss' if scheme == 'https' else 'ws'}://{rest}{PREFIX}{path}"
