"""``/docker`` of the clients: `client.containers` (`Containers`) and `async_client.containers` (`AsyncContainers`).

A container is named by its name or by its id. What may be done is decided by the host; see docs/containers.md.
"""

from collections.abc import AsyncGenerator, Callable

from chatops_client.alerts import Sender
from chatops_client.live import LinkState, live_messages
from chatops_client.logs import LiveSender
from chatops_client.wire import Call, query_params, segment
from chatops_protocol.command_resources import CommandResult
from chatops_protocol.container_messages import DEFAULT_TAIL, ContainerInspected, ContainerLogs, ContainerVerb
from chatops_protocol.container_resources import ContainerList, ContainerLog

DEFAULT_GRACE_S = 10.0
# The backend waits for the end of an act, up to a minute; who gives up before it does not learn what came of it.
ACTS_WITHIN_S = 75.0


def _path(server_id: int, container: str = "", more: str = "") -> str:
    return f"/docker/{segment(server_id)}/containers" + (f"/{segment(container)}{more}" if container else "")


def listed(server_id: int) -> Call[ContainerList]:
    return Call("GET", _path(server_id), ContainerList)


def inspected(server_id: int, container: str) -> Call[ContainerInspected]:
    return Call("GET", _path(server_id, container), ContainerInspected)


def log(server_id: int, container: str, tail: int) -> Call[ContainerLog]:
    return Call("GET", _path(server_id, container, "/logs"), ContainerLog, query_params({"tail": tail}))


def act(server_id: int, container: str, verb: ContainerVerb, timeout_s: float) -> Call[CommandResult]:
    path, parameters = _path(server_id, container, f"/{verb}"), query_params({"timeout_s": timeout_s})
    return Call("POST", path, CommandResult, parameters, timeout_s=ACTS_WITHIN_S)


class Containers:
    def __init__(self, client: Sender) -> None:
        self._client = client

    def list(self, server_id: int) -> ContainerList:
        """All containers of the host as they are now, running ones first."""
        return self._client.request(listed(server_id))

    def inspect(self, server_id: int, container: str) -> ContainerInspected:
        """One container in detail; of its environment only the names."""
        return self._client.request(inspected(server_id, container))

    def log(self, server_id: int, container: str, tail: int = DEFAULT_TAIL) -> ContainerLog:
        """The last lines, oldest first."""
        return self._client.request(log(server_id, container, tail))

    def act(
        self, server_id: int, container: str, verb: ContainerVerb, timeout_s: float = DEFAULT_GRACE_S
    ) -> CommandResult:
        """`timeout_s`: how long ``stop`` and ``restart`` wait before they kill. Its `state` says what came of it."""
        return self._client.request(act(server_id, container, verb, timeout_s))


class AsyncContainers:
    def __init__(self, client: LiveSender) -> None:
        self._client = client

    async def list(self, server_id: int) -> ContainerList:
        """All containers of the host as they are now, running ones first."""
        return await self._client.request(listed(server_id))

    async def inspect(self, server_id: int, container: str) -> ContainerInspected:
        """One container in detail; of its environment only the names."""
        return await self._client.request(inspected(server_id, container))

    async def log(self, server_id: int, container: str, tail: int = DEFAULT_TAIL) -> ContainerLog:
        """The last lines, oldest first."""
        return await self._client.request(log(server_id, container, tail))

    async def act(
        self, server_id: int, container: str, verb: ContainerVerb, timeout_s: float = DEFAULT_GRACE_S
    ) -> CommandResult:
        """`timeout_s`: how long ``stop`` and ``restart`` wait before they kill. Its `state` says what came of it."""
        return await self._client.request(act(server_id, container, verb, timeout_s))

    def follow(
        self,
        server_id: int,
        container: str,
        tail: int = DEFAULT_TAIL,
        on_state: Callable[[LinkState], None] | None = None,
    ) -> AsyncGenerator[ContainerLogs, None]:
        """The last lines, then what is written, until the container ends. Reconnects to the backend by itself, and then
        begins again with the last lines. Raises `ApiError` 502 in the host's words when it cannot be read there."""
        path = f"/ws{_path(server_id, container, '/logs')}?tail={tail}"
        return live_messages(self._client, path, ContainerLogs, on_state, ends=True, what="container")
