"""``/ws/logs/{server_id}``: new lines of one server as they are committed, filtered as the history is."""

from litestar import Router, websocket
from litestar.di import NamedDependency
from litestar.exceptions import WebSocketException
from litestar.params import FromPath

from chatops_backend.accounts.access import allow_person_socket
from chatops_backend.accounts.service import AccountService
from chatops_backend.accounts.sockets import Socket, serve_while_session_lives
from chatops_backend.database.interface import Database
from chatops_backend.database.queries import load_queries
from chatops_backend.live.logs import LineFilter, LogTail
from chatops_backend.live.routes import MAX_SERVER_ID, database_needed, open_sockets, push
from chatops_backend.logs.routes import AtLeast, Search, Source, query_of
from chatops_backend.problems import ProblemError
from chatops_protocol.live_messages import CLOSE_BAD_REQUEST, CLOSE_NOT_FOUND


@websocket("/ws/logs/{server_id:int}", opt=allow_person_socket("viewer"))
async def logs_socket(
    socket: Socket,
    server_id: FromPath[int],
    log_tail: NamedDependency[LogTail],
    database: NamedDependency[Database],
    accounts: NamedDependency[AccountService],
    level: AtLeast = None,
    source: Source = None,
    search: Search = None,
) -> None:
    try:
        wanted = LineFilter(level, source or None, query_of(search))
    except ProblemError as error:
        raise WebSocketException(detail=error.problem.detail, code=CLOSE_BAD_REQUEST) from None
    with database_needed():
        if server_id > MAX_SERVER_ID or not await load_queries("metrics").server_exists(database, server_id=server_id):
            raise WebSocketException(detail="there is no such server", code=CLOSE_NOT_FOUND)
        watcher = await log_tail.watch(server_id, wanted)
    try:
        with open_sockets.labels("logs").track_inprogress():
            await serve_while_session_lives(socket, accounts, push(socket, watcher.messages()))
    finally:
        log_tail.unwatch(watcher)


route_handlers = [Router("/", route_handlers=[logs_socket])]
