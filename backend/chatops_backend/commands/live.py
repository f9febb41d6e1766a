"""``/ws/commands/{id}``: one command's state and output, from the beginning, as they come.

Everything is read from the database, where another backend may have written it; news of this process only say when to
look. So a slow reader costs nothing, and one that comes late misses nothing.
"""

import contextlib
from collections.abc import AsyncIterator

from litestar import websocket
from litestar.di import NamedDependency
from litestar.exceptions import WebSocketException
from litestar.params import FromPath

from chatops_backend.accounts.access import allow_person_socket
from chatops_backend.accounts.service import AccountService
from chatops_backend.accounts.sockets import Socket, serve_while_session_lives
from chatops_backend.commands import store
from chatops_backend.commands.changes import CommandChanges, wait_for
from chatops_backend.commands.orders import LOOK_EVERY_S
from chatops_backend.commands.output import OutputText
from chatops_backend.database.interface import Database
from chatops_backend.database.queries import load_queries
from chatops_backend.live.routes import database_needed, open_sockets, push
from chatops_backend.problems import ProblemError
from chatops_protocol.command_resources import ENDED, Command
from chatops_protocol.live_messages import CLOSE_NOT_FOUND, CommandChanged, encode

PIECES_AT_ONCE = 32
CLOSE_NORMAL = 1000


@websocket("/commands/{command_id:int}", opt=allow_person_socket("viewer"))
async def command_socket(
    socket: Socket,
    command_id: FromPath[int],
    database: NamedDependency[Database],
    command_changes: NamedDependency[CommandChanges],
    accounts: NamedDependency[AccountService],
) -> None:
    with database_needed():
        try:
            command = (
                await store.find_command(database, command_id, socket.user.servers) if command_id < 2**63 else None
            )
        except ProblemError:
            command = None
    if command is None:
        raise WebSocketException(detail="there is no such command", code=CLOSE_NOT_FOUND)
    with open_sockets.labels("commands").track_inprogress():
        messages = _follow(database, command_changes, command)
        await serve_while_session_lives(socket, accounts, push(socket, messages))
    with contextlib.suppress(Exception):  # the reader may have left
        await socket.close(CLOSE_NORMAL)


async def _follow(database: Database, changes: CommandChanges, command: Command) -> AsyncIterator[bytes]:
    yield encode(CommandChanged(command))
    queries, text, last, shown = load_queries("commands"), OutputText(), 0, command
    with changes.watch(command.id) as changed:
        while True:
            changed.clear()
            # The state first: what is read after a state that has ended is all there is.
            now = await store.find_command(database, command.id)
            rows = None
            while rows is None or len(rows) == PIECES_AT_ONCE:
                found = queries.read_output(
                    database, command_id=command.id, after=last, since=command.created_at, count=PIECES_AT_ONCE
                )
                rows = [row async for row in found]
                for row in rows:
                    last = row["sequence"]
                    yield encode(text.take(row["stream"], row["start"], row["data"]))
            if now.state in ENDED:
                for rest in text.rest():
                    yield encode(rest)
                yield encode(CommandChanged(now))
                # An agent that was silent may yet speak; whoever wants to know asks again.
                return
            if now.state != shown.state:
                yield encode(CommandChanged(now))
                shown = now
            await wait_for(changed, LOOK_EVERY_S)
