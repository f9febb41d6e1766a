"""Routes under ``/processes``: everybody may look, operators may signal, if the host's own settings allow it."""

from datetime import UTC, datetime
from typing import Annotated, Any

from litestar import Request, Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter

from chatops_backend.accounts.access import allow
from chatops_backend.accounts.principals import Principal
from chatops_backend.audit.actor import RequestActor
from chatops_backend.commands import store
from chatops_backend.commands.orders import Asked, Orders, find_server
from chatops_backend.control.channel import AgentChannel
from chatops_backend.database.interface import Database
from chatops_backend.paging import Id
from chatops_protocol.command_resources import CommandResult, ProcessList, SignalProcessRequest
from chatops_protocol.control_messages import ListProcesses, ProcessesListed, SignalProcess

ANSWER_WITHIN_S = 10.0
# The signal itself takes no time; the agent may.
SIGNAL_WITHIN_S = 5.0

PersonRequest = Request[Principal, Any, Any]
Pid = Annotated[int, PathParameter(ge=1, le=2**31 - 1)]


@get("/{server_id:int}", opt=allow("viewer"))
async def list_processes(
    server_id: Id,
    request: PersonRequest,
    database: NamedDependency[Database],
    channel: NamedDependency[AgentChannel],
) -> ProcessList:
    """The processes now, with their CPU share over half a second. What looks like a secret is masked by the agent."""
    await find_server(database, server_id)
    listed = await channel.ask(server_id, ListProcesses(), ProcessesListed, ANSWER_WITHIN_S, asker=request.user.user_id)
    return ProcessList(
        server_id=server_id,
        taken_at=datetime.fromtimestamp(listed.taken_at, UTC),
        total=listed.total,
        processes=listed.processes,
    )


@post("/{server_id:int}/{pid:int}/signal", opt=allow("operator"))
async def signal_process(
    server_id: Id,
    pid: Pid,
    data: JSONBody[SignalProcessRequest],
    database: NamedDependency[Database],
    orders: NamedDependency[Orders],
    actor: RequestActor,
) -> Response[CommandResult]:
    """Signal a process that is still the one that was listed. 200 with what came of it, or 202 when that is not known
    within 5 s; it is listed under ``/commands`` as well."""
    act = SignalProcess(pid, data.started_at, data.signal)
    asked = Asked("signal", "process.signal", f"{data.signal} to process {pid}", act, SIGNAL_WITHIN_S, SIGNAL_WITHIN_S)
    async with database.transaction() as transaction:
        server = await find_server(transaction, server_id)
        (command_id,) = await orders.give(transaction, actor, [server], asked)
    orders.wake()
    ended = await orders.wait_for_end(command_id, SIGNAL_WITHIN_S)
    return Response(await store.find_result(database, command_id), status_code=200 if ended else 202)


route_handlers = [Router("/processes", route_handlers=[list_processes, signal_process], tags=["processes"])]
