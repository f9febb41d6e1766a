"""``/ws/metrics/{server_id}``, ``/ws/fleet`` and ``/ws/alerts``: the newest state, pushed as it is committed.

The guard has accepted and authenticated the socket; the session is watched while it is open.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

from litestar import Router, websocket
from litestar.di import NamedDependency
from litestar.exceptions import WebSocketDisconnect, WebSocketException
from litestar.params import FromPath
from prometheus_client import Counter, Gauge

from chatops_backend.accounts.access import allow_person_socket
from chatops_backend.accounts.service import AccountService
from chatops_backend.accounts.sockets import Socket, serve_while_session_lives
from chatops_backend.database.interface import Database, DatabaseUnavailableError
from chatops_backend.database.queries import load_queries
from chatops_backend.live.alerts import AlertsBoard
from chatops_backend.live.fleet import FleetBoard
from chatops_backend.live.hub import Hub
from chatops_protocol.live_messages import CLOSE_NOT_FOUND

# A reader that takes nothing for so long is gone, or as good as.
SEND_TIMEOUT_S = 30.0
CLOSE_TOO_SLOW = 4408
CLOSE_TRY_AGAIN_LATER = 1013
# What the database's integer holds.
MAX_SERVER_ID = 2**31 - 1

open_sockets = Gauge("chatops_live_sockets", "People's sockets open", ["kind"])
closed_slow = Counter("chatops_live_slow_sockets_total", "People's sockets closed because they read nothing")


@websocket("/metrics/{server_id:int}", opt=allow_person_socket("viewer"))
async def server_socket(
    socket: Socket,
    server_id: FromPath[int],
    hub: NamedDependency[Hub],
    database: NamedDependency[Database],
    accounts: NamedDependency[AccountService],
) -> None:
    with database_needed():
        known = server_id <= MAX_SERVER_ID and await load_queries("metrics").server_exists(
            database, server_id=server_id
        )
    if not known:
        raise WebSocketException(detail="there is no such server", code=CLOSE_NOT_FOUND)
    watcher = hub.watch(server_id)
    try:
        with open_sockets.labels("metrics").track_inprogress():
            await serve_while_session_lives(socket, accounts, push(socket, watcher.messages()))
    finally:
        hub.unwatch(server_id, watcher)


@websocket("/fleet", opt=allow_person_socket("viewer"))
async def fleet_socket(
    socket: Socket, board: NamedDependency[FleetBoard], accounts: NamedDependency[AccountService]
) -> None:
    with database_needed():
        watcher = await board.watch(socket.user.servers)
    try:
        with open_sockets.labels("fleet").track_inprogress():
            await serve_while_session_lives(socket, accounts, push(socket, watcher.messages()))
    finally:
        board.unwatch(watcher)


@contextlib.contextmanager
def database_needed() -> Iterator[None]:
    try:
        yield
    except DatabaseUnavailableError:
        raise WebSocketException(detail="the database is not available", code=CLOSE_TRY_AGAIN_LATER) from None


@websocket("/alerts", opt=allow_person_socket("viewer"))
async def alerts_socket(
    socket: Socket, alerts_board: NamedDependency[AlertsBoard], accounts: NamedDependency[AccountService]
) -> None:
    with database_needed():
        watcher = await alerts_board.watch(socket.user.servers)
    try:
        with open_sockets.labels("alerts").track_inprogress():
            await serve_while_session_lives(socket, accounts, push(socket, watcher.messages()))
    finally:
        alerts_board.unwatch(watcher)


async def push(socket: Socket, messages: AsyncIterator[bytes]) -> None:
    """Send until the reader leaves or stops reading. What it sends is not looked at, but noticed when it ends."""
    receiving = asyncio.create_task(_until_disconnected(socket))
    sending = asyncio.create_task(_send_all(socket, messages))
    try:
        done, _ = await asyncio.wait({receiving, sending}, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in (receiving, sending):
            task.cancel()
        await asyncio.gather(receiving, sending, return_exceptions=True)


async def _send_all(socket: Socket, messages: AsyncIterator[bytes]) -> None:
    async for message in messages:
        try:
            await asyncio.wait_for(socket.send_data(message, mode="text"), SEND_TIMEOUT_S)
        except TimeoutError:
            closed_slow.inc()
            raise WebSocketException(detail="too slow", code=CLOSE_TOO_SLOW) from None


async def _until_disconnected(socket: Socket) -> None:
    with contextlib.suppress(WebSocketDisconnect):
        while (await socket.receive())["type"] == "websocket.receive":
            pass


route_handlers = [
    Router(
        "/ws",
        route_handlers=[server_socket, fleet_socket, alerts_socket],
    )
]
