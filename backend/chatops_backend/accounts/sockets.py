"""WebSockets of people: the origin before accepting, the access token in the first message, the end with the session.

The guard calls `authenticate_socket` before a handler runs; handlers wrap what they do in `serve_while_session_lives`.
"""

import asyncio
import contextlib
from collections.abc import Awaitable
from typing import Any

import msgspec
from litestar import WebSocket
from litestar.exceptions import WebSocketException

from chatops_backend.accounts.principals import Principal
from chatops_backend.accounts.service import AccountService
from chatops_backend.database.interface import DatabaseUnavailableError
from chatops_protocol.live_messages import (
    AUTHENTICATE_WITHIN_S,
    CLOSE_FORBIDDEN,
    CLOSE_MESSAGE_TOO_BIG,
    CLOSE_UNAUTHENTICATED,
    MAX_MESSAGE_BYTES,
    decode_from_person,
)
from chatops_protocol.resources import Role

# Each costs the database up to two questions a second. A dashboard needs about three for each page that is open.
MOST_SOCKETS = 200
CLOSE_START_ANEW = 1012
CLOSE_TRY_AGAIN_LATER = 1013

Socket = WebSocket[Any, Any, Any]

# Parameters in which other systems carry tokens. Addresses end up in logs, so a token in one is refused, good or not.
_SECRET_PARAMETERS = frozenset({"access_token", "token", "auth", "authorization", "api_key", "key", "jwt", "password"})


def check_handshake(socket: Socket, origins: frozenset[str]) -> None:
    """Refuse, before accepting (HTTP 403), pages of other origins and secrets in the address.

    Programs other than browsers send no Origin and are let through to authenticate.
    """
    sent = socket.headers.getall("origin", [])
    if len(sent) > 1 or (sent and sent[0] not in origins):
        raise WebSocketException(detail="this origin may not connect", code=CLOSE_FORBIDDEN)
    for name, value in socket.query_params.multi_items():
        if name.lower() in _SECRET_PARAMETERS or str(value).startswith(("eyJ", "chatops_")):
            raise WebSocketException(detail="no secret belongs into an address", code=CLOSE_FORBIDDEN)


async def authenticate_socket(socket: Socket, accounts: AccountService, minimum: Role) -> Principal:
    """Accept the socket and return who it is; raise `WebSocketException`, which closes it, otherwise."""
    check_handshake(socket, accounts.origins)
    await socket.accept()
    try:
        async with asyncio.timeout(AUTHENTICATE_WITHIN_S):
            text = await _first_text(socket)
    except TimeoutError:
        raise _unauthenticated(f"the first message must come within {AUTHENTICATE_WITHIN_S:g} s") from None
    try:
        token = decode_from_person(text).access_token
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise _unauthenticated('the first message must be {"type": "auth", "access_token": …}') from None
    try:
        principal = await accounts.authenticate(token)
    except DatabaseUnavailableError:
        raise WebSocketException(detail="the database does not answer", code=CLOSE_TRY_AGAIN_LATER) from None
    if principal is None:
        raise _unauthenticated("the access token is not valid")
    if not principal.may(minimum):
        raise WebSocketException(detail=f"this needs the role {minimum}", code=CLOSE_FORBIDDEN)
    return principal


async def serve_while_session_lives(
    socket: Socket, accounts: AccountService, serve: Awaitable[None], minimum: Role = "viewer"
) -> None:
    """Run `serve` until it is done; cancel it and close the socket when the session of `socket.user` ends (4401), or
    when they may see other servers than they did (1012). One person has at most `MOST_SOCKETS` (1013)."""
    if accounts.principals.sockets_of(socket.user.user_id) >= MOST_SOCKETS:
        if asyncio.iscoroutine(serve):
            serve.close()
        raise WebSocketException(
            detail=f"you have {MOST_SOCKETS} live connections open; close some", code=CLOSE_TRY_AGAIN_LATER
        )
    serving = asyncio.ensure_future(serve)
    ended = asyncio.create_task(accounts.principals.wait_until_ended(socket.user, minimum))
    try:
        await asyncio.wait({serving, ended}, return_when=asyncio.FIRST_COMPLETED)
        if not serving.done():
            if ended.result():
                raise _unauthenticated("the session has ended")
            raise WebSocketException(detail="what you may see has changed; connect again", code=CLOSE_START_ANEW)
        serving.result()
    finally:
        for task in (serving, ended):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task


async def _first_text(socket: Socket) -> str:
    message: Any = await socket.receive()
    if message["type"] != "websocket.receive":
        raise _unauthenticated("closed before it said who it is")
    text = message.get("text")
    if text is None:
        raise _unauthenticated("the first message must be text")
    if len(text.encode()) > MAX_MESSAGE_BYTES:
        raise WebSocketException(detail="the message is too big", code=CLOSE_MESSAGE_TOO_BIG)
    return str(text)


def _unauthenticated(detail: str) -> WebSocketException:
    return WebSocketException(detail=detail, code=CLOSE_UNAUTHENTICATED)
