"""Routes under ``/docker``: everybody may look, operators may act, if the host's own settings allow it.

The agent decides (CHATOPS_ALLOW_DOCKER) and acts on one container that is named in full; here names are only checked.
"""

from collections import deque
from typing import Annotated, Any

from litestar import Request, Response, Router, get, post
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import PathParameter, QueryParameter

from chatops_backend.accounts.access import allow
from chatops_backend.accounts.principals import Principal
from chatops_backend.audit.actor import RequestActor
from chatops_backend.commands import store
from chatops_backend.commands.orders import Asked, Orders, find_server
from chatops_backend.containers import live
from chatops_backend.control.channel import AgentChannel
from chatops_backend.database.interface import Database
from chatops_backend.paging import Id
from chatops_protocol.command_resources import CommandResult
from chatops_protocol.container_messages import (
    CONTAINER_PATTERN,
    DEFAULT_TAIL,
    MAX_CONTAINER_LENGTH,
    MAX_LOG_BYTES,
    MAX_TAIL,
    ContainerInspected,
    ContainerLogLine,
    ContainerLogs,
    ContainersListed,
    ContainerVerb,
    ControlContainer,
    InspectContainer,
    ListContainers,
    ReadContainerLogs,
)
from chatops_protocol.container_resources import ContainerList, ContainerLog

ANSWER_WITHIN_S = 15.0
LOGS_WITHIN_S = 20.0
# Until the agent has begun; then the time the container has to end by itself, and what the engine takes after it.
BEGUN_WITHIN_S = 15.0
ENGINE_S = 30.0
WAIT_AT_MOST_S = 60.0

PersonRequest = Request[Principal, Any, Any]
ContainerId = Annotated[
    str,
    PathParameter(
        min_length=1,
        max_length=MAX_CONTAINER_LENGTH,
        pattern=CONTAINER_PATTERN,
        description="A container's name, or twelve digits of its id or more",
    ),
]
Tail = Annotated[int, QueryParameter(ge=0, le=MAX_TAIL, description="How many lines, the newest")]
Grace = Annotated[
    float,
    QueryParameter(ge=0, le=300, description="Seconds the container has to end by itself; for stop and restart"),
]
Wait = Annotated[
    float | None,
    QueryParameter(ge=0, le=WAIT_AT_MOST_S, description="How long the answer waits for the end; 15 s and `timeout_s`"),
]


@get("/{server_id:int}/containers", opt=allow("viewer"))
async def list_containers(
    server_id: Id,
    request: PersonRequest,
    database: NamedDependency[Database],
    channel: NamedDependency[AgentChannel],
) -> ContainerList:
    """All containers of the host as they are now, running ones first, with the agent's newest readings."""
    await find_server(database, server_id)
    listed = await channel.ask(
        server_id, ListContainers(), ContainersListed, ANSWER_WITHIN_S, asker=request.user.user_id
    )
    return ContainerList(
        server_id=server_id,
        taken_at=listed.taken_at,
        policy=listed.policy,
        total=listed.total,
        containers=listed.containers,
    )


@get("/{server_id:int}/containers/{container_id:str}", opt=allow("viewer"))
async def inspect_container(
    server_id: Id,
    container_id: ContainerId,
    request: PersonRequest,
    database: NamedDependency[Database],
    channel: NamedDependency[AgentChannel],
) -> ContainerInspected:
    """One container in detail. Values of its environment are hidden by the agent; labels are as they are."""
    await find_server(database, server_id)
    question, asker = InspectContainer(container_id), request.user.user_id
    return await channel.ask(server_id, question, ContainerInspected, ANSWER_WITHIN_S, asker=asker)


@get("/{server_id:int}/containers/{container_id:str}/logs", opt=allow("viewer"))
async def read_logs(
    server_id: Id,
    container_id: ContainerId,
    request: PersonRequest,
    database: NamedDependency[Database],
    channel: NamedDependency[AgentChannel],
    tail: Tail = DEFAULT_TAIL,
) -> ContainerLog:
    """The last lines of a container's log, at most 512 KiB. ``/ws/docker/…/logs`` follows it."""
    await find_server(database, server_id)
    lines: deque[ContainerLogLine] = deque(maxlen=MAX_TAIL)
    skipped = size = 0
    question = ReadContainerLogs(container_id, tail)
    asker = request.user.user_id
    async for part in channel.ask_for_parts(server_id, question, ContainerLogs, LOGS_WITHIN_S, asker=asker):
        lines.extend(part.lines)
        skipped += part.skipped
        size += sum(len(line.text) for line in part.lines)
        if size > 2 * MAX_LOG_BYTES:  # no agent of ours sends more than once that
            break
    return ContainerLog(server_id=server_id, container_id=container_id, lines=list(lines), skipped=skipped)


def _act(verb: ContainerVerb, does: str) -> HTTPRouteHandler:
    async def act(
        server_id: Id,
        container_id: ContainerId,
        database: NamedDependency[Database],
        orders: NamedDependency[Orders],
        actor: RequestActor,
        timeout_s: Grace = 10.0,
        wait_s: Wait = None,
    ) -> Response[CommandResult]:
        order = ControlContainer(container_id, verb, timeout_s)
        grace_s = timeout_s if verb in ("stop", "restart") else 0.0
        title = f"{verb} container {container_id}"
        asked = Asked("container", f"container.{verb}", title, order, grace_s + ENGINE_S, BEGUN_WITHIN_S)
        async with database.transaction() as transaction:
            server = await find_server(transaction, server_id)
            (command_id,) = await orders.give(transaction, actor, [server], asked)
        orders.wake()
        usual_s = min(grace_s + BEGUN_WITHIN_S, WAIT_AT_MOST_S)
        ended = await orders.wait_for_end(command_id, usual_s if wait_s is None else wait_s)
        return Response(await store.find_result(database, command_id), status_code=200 if ended else 202)

    act.__name__ = f"{verb}_container"
    act.__doc__ = f"""{does} 200 with what came of it, or 202 when it takes longer; also listed under ``/commands``."""
    path = f"/{{server_id:int}}/containers/{{container_id:str}}/{verb}"
    return post(path, opt=allow("operator"))(act)


handlers: list[Any] = [
    list_containers,
    inspect_container,
    read_logs,
    _act("start", "Start a container."),
    _act("stop", "Stop a container: its stop signal, and KILL after `timeout_s`."),
    _act("restart", "Stop a container and start it again."),
    _act("pause", "Freeze all processes of a container."),
    _act("unpause", "Let a paused container go on."),
    _act("kill", "Kill a container at once."),
]
route_handlers = [
    Router("/docker", route_handlers=handlers, tags=["containers"]),
    Router("/ws/docker", route_handlers=[live.logs_socket]),
]
