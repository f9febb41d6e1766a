"""Routes under ``/commands``. Operators run and cancel; viewers see what was run and what it wrote.

The host decides what is run: its agent refuses whatever its own settings do not allow (docs/commands.md).
"""

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromQuery, JSONBody, QueryParameter

from chatops_backend.accounts.access import allow
from chatops_backend.accounts.principals import Principal
from chatops_backend.accounts.service import Accounts
from chatops_backend.accounts.visibility import Visible
from chatops_backend.audit.actor import RequestActor
from chatops_backend.commands import live, store
from chatops_backend.commands.orders import AddressedServer, Asked, Group, Orders
from chatops_backend.commands.policies import list_policies, may_run_shells
from chatops_backend.commands.requests import act_of, title_of
from chatops_backend.control.channel import AgentChannel
from chatops_backend.database.interface import Database, Executor
from chatops_backend.database.queries import load_queries
from chatops_backend.paging import DEFAULT_LIMIT, Cursor, Id, IdFilter, Limit, page, read_cursor
from chatops_backend.problems import ProblemError, not_found
from chatops_backend.time_range import End, Start, read_overlap
from chatops_protocol.command_resources import (
    ENDED,
    Command,
    CommandGroup,
    CommandKind,
    CommandResult,
    CommandState,
    RunCommandRequest,
    RunCommandsRequest,
)
from chatops_protocol.resources import Page

States = Annotated[
    list[CommandState] | None, QueryParameter(name="state", max_items=9, description="May be given several times")
]
UsernameFilter = Annotated[str | None, QueryParameter(max_length=64, pattern=r"^[^\x00]*$")]
SearchFilter = Annotated[
    str | None, QueryParameter(max_length=200, pattern=r"^[^\x00]*$", description="Text in what was run")
]
PersonRequest = Request[Principal, Any, Any]
ACTION = "command.run"


class _CommandKey(msgspec.Struct, frozen=True, array_like=True):
    id: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


@post("/{server_id:int}", opt=allow("operator"))
async def run_command(
    server_id: Id,
    data: JSONBody[RunCommandRequest],
    request: PersonRequest,
    accounts: Accounts,
    channel: NamedDependency[AgentChannel],
    database: NamedDependency[Database],
    orders: NamedDependency[Orders],
    actor: RequestActor,
) -> Response[CommandResult]:
    """Run a command on one server: 200 with its result when it ends within `wait_s`, otherwise 202."""
    act = act_of(data)
    asked = Asked("command", ACTION, title_of(act), act, data.timeout_s, data.expires_s)
    async with database.transaction() as transaction:
        servers = await _servers(transaction, [server_id], None)
        if not servers:
            raise not_found("server", server_id)
        if may_run_shells(channel, [server_id]):
            await accounts.require_recent_second_factor(transaction, request.user)
        (command_id,) = await orders.give(transaction, actor, servers, asked)
    orders.wake()
    ended = await orders.wait_for_end(command_id, data.wait_s)
    return Response(await store.find_result(database, command_id), status_code=200 if ended else 202)


@post("/", opt=allow("operator"), status_code=202)
async def run_commands(
    data: JSONBody[RunCommandsRequest],
    request: PersonRequest,
    accounts: Accounts,
    channel: NamedDependency[AgentChannel],
    database: NamedDependency[Database],
    orders: NamedDependency[Orders],
    actor: RequestActor,
    visible: Visible,
) -> CommandGroup:
    """Run a command on several servers. Naming none, or a tag that none has, is an error and runs nothing."""
    act = act_of(data)
    if (data.server_ids is None) == (data.tag is None):
        raise ProblemError(400, "No server chosen", "Nothing was run: give either `server_ids` or `tag`.")
    asked = Asked("command", ACTION, title_of(act), act, data.timeout_s, data.expires_s)
    # To stop after a failure, one has to wait for how it goes.
    at_a_time = data.at_a_time or (1 if data.stop_after_failures is not None else None)
    async with database.transaction() as transaction:
        found = await _servers(transaction, data.server_ids, data.tag)
        servers = [server for server in found if visible.sees(server.id)]
        missing = set(data.server_ids or ()) - {server.id for server in servers}
        if missing:
            listed = ", ".join(map(str, sorted(missing)[:10]))
            raise ProblemError(404, "Not found", f"Nothing was run: there is no server {listed}.")
        if may_run_shells(channel, [server.id for server in servers]):
            await accounts.require_recent_second_factor(transaction, request.user)
        group_id = await orders.create_group(transaction, Group(at_a_time, data.stop_after_failures))
        ids = await orders.give(transaction, actor, servers, asked, group_id=group_id, at_a_time=at_a_time)
    orders.wake()
    rows = load_queries("commands").list_commands(database, **{**store.ANY, "group_id": group_id}, count=len(ids))
    return CommandGroup(id=group_id, commands=[store.command_from(row) async for row in rows][::-1])


@get("/", opt=allow("viewer"))
async def list_commands(
    database: NamedDependency[Database],
    visible: Visible,
    states: States = None,
    kind: FromQuery[CommandKind | None] = None,
    server_id: IdFilter = None,
    group_id: IdFilter = None,
    username: UsernameFilter = None,
    search: SearchFilter = None,
    start: Start = None,
    end: End = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Page[Command]:
    """Newest first, without output. `start` and `end`: those that waited or ran in between, or for a part of it."""
    asked = read_overlap(start, end)
    before = read_cursor(cursor, _CommandKey)
    rows = load_queries("commands").list_commands(
        database,
        before=before.id if before is not None else None,
        command_id=None,
        server_id=server_id,
        group_id=group_id,
        states=states or None,
        kind=kind,
        username=username,
        search=search,
        start=asked.start,
        end=asked.end,
        visible=visible.listed,
        count=limit + 1,
    )
    return page([store.command_from(row) async for row in rows], limit, lambda command: _CommandKey(command.id))


@get("/{command_id:int}", opt=allow("viewer"))
async def read_command(command_id: Id, database: NamedDependency[Database], visible: Visible) -> CommandResult:
    """A command with its output so far."""
    return await store.find_result(database, command_id, visible)


@post("/{command_id:int}/cancel", opt=allow("operator"))
async def cancel_command(
    command_id: Id,
    database: NamedDependency[Database],
    orders: NamedDependency[Orders],
    actor: RequestActor,
    visible: Visible,
) -> Response[Command]:
    """End it, with everything it started: TERM, and KILL after 5 s. 200 when it has ended already, otherwise 202."""
    await store.find_command(database, command_id, visible)
    await orders.cancel(actor, command_id)
    await orders.wait_for_end(command_id, 1.0)
    command = await store.find_command(database, command_id)
    return Response(command, status_code=200 if command.state in ENDED else 202)


@post("/groups/{group_id:int}/cancel", opt=allow("operator"), status_code=202)
async def cancel_group(
    group_id: Id,
    database: NamedDependency[Database],
    orders: NamedDependency[Orders],
    actor: RequestActor,
    visible: Visible,
) -> CommandGroup:
    """End all commands of a group that have not ended. Answers the whole group."""
    await orders.cancel_group(actor, group_id, visible)
    wanted = {**store.ANY, "group_id": group_id, "visible": visible.listed}
    rows = load_queries("commands").list_commands(database, **wanted, count=2000)
    return CommandGroup(id=group_id, commands=[store.command_from(row) async for row in rows][::-1])


async def _servers(database: Executor, server_ids: list[int] | None, tag: str | None) -> list[AddressedServer]:
    rows = load_queries("commands").find_servers(database, server_ids=server_ids, tag=tag)
    return [AddressedServer(row["id"], row["name"]) async for row in rows]


handlers: list[Any] = [
    run_command,
    run_commands,
    list_commands,
    list_policies,
    read_command,
    cancel_command,
    cancel_group,
]
route_handlers = [
    Router("/commands", route_handlers=handlers, tags=["commands"]),
    Router("/ws", route_handlers=[live.command_socket]),
]
