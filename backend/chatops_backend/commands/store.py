"""Commands as they are stored, read for people."""

from typing import Any

import msgspec
from asyncpg import Record

from chatops_backend.accounts.visibility import ALL_SERVERS, VisibleServers
from chatops_backend.commands.output import assemble
from chatops_backend.database.interface import Executor
from chatops_backend.database.queries import load_queries
from chatops_backend.problems import not_found
from chatops_protocol.command_resources import Command, CommandResult
from chatops_protocol.control_messages import Act, RunCommand

# `list_commands` without a filter.
ANY: dict[str, Any] = dict.fromkeys(
    ("before", "command_id", "server_id", "group_id", "states", "kind", "username", "search", "visible", "start", "end")
)
# More pieces than two times half a MiB come to, unless they are tiny.
MOST_PIECES = 100_000


async def find_command(database: Executor, command_id: int, visible: VisibleServers = ALL_SERVERS) -> Command:
    """Raises `ProblemError` 404."""
    wanted = {**ANY, "command_id": command_id, "visible": visible.listed}
    rows = load_queries("commands").list_commands(database, **wanted, count=1)
    found = [command_from(row) async for row in rows]
    if not found:
        raise not_found("command", command_id)
    return found[0]


async def find_result(database: Executor, command_id: int, visible: VisibleServers = ALL_SERVERS) -> CommandResult:
    """A command with its output so far. Raises `ProblemError` 404."""
    command = await find_command(database, command_id, visible)
    rows = load_queries("commands").read_output(
        database, command_id=command_id, after=0, since=command.created_at, count=MOST_PIECES
    )
    output = assemble([(row["stream"], row["start"], row["data"]) async for row in rows])
    return CommandResult(
        **msgspec.structs.asdict(command), stdout=output.stdout, stderr=output.stderr, truncated=output.truncated
    )


def command_from(row: Record) -> Command:
    act: Act = msgspec.json.decode(row["act"], type=Act)
    run = act if isinstance(act, RunCommand) else None
    return Command(
        id=row["id"],
        group_id=row["group_id"],
        server_id=row["server_id"],
        server_name=row["server_name"],
        kind=row["kind"],
        title=row["title"],
        argv=run.argv if run else None,
        command=run.command if run else None,
        working_directory=run.working_directory if run else None,
        timeout_s=row["timeout_s"],
        username=row["username"],
        state=row["state"],
        detail=row["detail"],
        exit_code=row["exit_code"],
        duration_s=row["duration_s"],
        stdout_bytes=row["stdout_bytes"],
        stderr_bytes=row["stderr_bytes"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        sent_at=row["sent_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
    )
