"""``/ws/docker/{server_id}/containers/{container_id}/logs``: a container's log, its last lines and what follows."""

import contextlib
import re
from collections.abc import AsyncGenerator
from typing import Annotated

from litestar import websocket
from litestar.di import NamedDependency
from litestar.exceptions import WebSocketException
from litestar.params import FromPath, QueryParameter

from chatops_backend.accounts.access import allow_person_socket
from chatops_backend.accounts.service import AccountService
from chatops_backend.accounts.sockets import Socket, serve_while_session_lives
from chatops_backend.control.channel import AgentChannel
from chatops_backend.database.interface import Database
from chatops_backend.database.queries import load_queries
from chatops_backend.live.routes import MAX_SERVER_ID, database_needed, open_sockets, push
from chatops_backend.problems import ProblemError
from chatops_protocol.container_messages import (
    CONTAINER_PATTERN,
    DEFAULT_TAIL,
    MAX_CONTAINER_LENGTH,
    MAX_TAIL,
    ContainerLogs,
    ReadContainerLogs,
)
from chatops_protocol.live_messages import CLOSE_NO_ANSWER, CLOSE_NOT_FOUND, encode

ANSWER_WITHIN_S = 15.0
CLOSE_NORMAL = 1000
MAX_REASON_BYTES = 123


@websocket("/{server_id:int}/containers/{container_id:str}/logs", opt=allow_person_socket("viewer"))
async def logs_socket(
    socket: Socket,
    server_id: FromPath[int],
    container_id: FromPath[str],
    database: NamedDependency[Database],
    channel: NamedDependency[AgentChannel],
    accounts: NamedDependency[AccountService],
    tail: Annotated[int, QueryParameter(ge=0, le=MAX_TAIL)] = DEFAULT_TAIL,
) -> None:
    if len(container_id) > MAX_CONTAINER_LENGTH or re.match(CONTAINER_PATTERN, container_id) is None:
        raise WebSocketException(detail="this is no name or id of a container", code=CLOSE_NOT_FOUND)
    with database_needed():
        if server_id > MAX_SERVER_ID or not await load_queries("metrics").server_exists(database, server_id=server_id):
            raise WebSocketException(detail="there is no such server", code=CLOSE_NOT_FOUND)
    question = ReadContainerLogs(container_id, tail, follow=True)
    asker = socket.user.user_id
    parts = channel.ask_for_parts(server_id, question, ContainerLogs, ANSWER_WITHIN_S, asker=asker)
    with open_sockets.labels("container logs").track_inprogress():
        async with contextlib.aclosing(parts), contextlib.aclosing(_encoded(parts)) as messages:
            try:
                await serve_while_session_lives(socket, accounts, push(socket, messages))
            except ProblemError as error:
                raise _as_close(error) from None
    with contextlib.suppress(Exception):  # the reader may have left
        await socket.close(CLOSE_NORMAL)


async def _encoded(parts: AsyncGenerator[ContainerLogs, None]) -> AsyncGenerator[bytes, None]:
    async for part in parts:
        yield encode(part)


def _as_close(error: ProblemError) -> WebSocketException:
    code = CLOSE_NOT_FOUND if error.problem.status == 404 else CLOSE_NO_ANSWER
    reason = error.problem.detail.encode()[:MAX_REASON_BYTES].decode(errors="ignore")
    return WebSocketException(detail=reason, code=code)
