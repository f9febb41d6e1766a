"""``/commands`` and ``/processes`` of the clients: `client.commands` (`Commands`) and `async_client.commands`
(`AsyncCommands`). What is run is decided by the host; see docs/commands.md."""

from collections.abc import Sequence
from datetime import datetime

from chatops_client import command_calls
from chatops_client.alerts import AsyncSender, Sender
from chatops_protocol.command_resources import (
    Command,
    CommandGroup,
    CommandKind,
    CommandPolicies,
    CommandResult,
    CommandState,
    ProcessList,
    RunCommandRequest,
    RunCommandsRequest,
)
from chatops_protocol.control_messages import SignalName
from chatops_protocol.resources import Page


class Commands:
    def __init__(self, client: Sender) -> None:
        self._client = client

    def run(self, server_id: int, asked: RunCommandRequest) -> CommandResult:
        return self._client.request(command_calls.run(server_id, asked))

    def run_on_several(self, asked: RunCommandsRequest) -> CommandGroup:
        return self._client.request(command_calls.run_on_several(asked))

    def page(
        self,
        *,
        server_id: int | None = None,
        group_id: int | None = None,
        states: Sequence[CommandState] = (),
        kind: CommandKind | None = None,
        username: str | None = None,
        search: str | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page[Command]:
        """Newest first, without output. `start` and `end`: those that waited or ran in between, if only for a part."""
        call = command_calls.commands(server_id, group_id, states, kind, username, search, start, end)
        return self._client.request(call.page(cursor, limit))

    def group(self, group_id: int) -> list[Command]:
        """All commands of a group as they are now, in the order in which they were given."""
        return self._client.all_pages(command_calls.commands(None, group_id, (), None, None, None))[::-1]

    def get(self, command_id: int) -> CommandResult:
        """A command with its output so far."""
        return self._client.request(command_calls.command(command_id))

    def cancel(self, command_id: int) -> Command:
        return self._client.request(command_calls.cancel(command_id))

    def cancel_group(self, group_id: int) -> CommandGroup:
        return self._client.request(command_calls.cancel_group(group_id))

    def policies(self, server_id: int | None = None) -> CommandPolicies:
        """What the hosts allow whose agents are connected."""
        return self._client.request(command_calls.policies(server_id))

    def processes(self, server_id: int) -> ProcessList:
        """The processes of a host now."""
        return self._client.request(command_calls.processes(server_id))

    def signal(self, server_id: int, pid: int, name: SignalName, started_at: float) -> CommandResult:
        """`started_at` as listed: another process that has the number by now is left alone."""
        return self._client.request(command_calls.signal(server_id, pid, name, started_at))


class AsyncCommands:
    def __init__(self, client: AsyncSender) -> None:
        self._client = client

    async def run(self, server_id: int, asked: RunCommandRequest) -> CommandResult:
        return await self._client.request(command_calls.run(server_id, asked))

    async def run_on_several(self, asked: RunCommandsRequest) -> CommandGroup:
        return await self._client.request(command_calls.run_on_several(asked))

    async def page(
        self,
        *,
        server_id: int | None = None,
        group_id: int | None = None,
        states: Sequence[CommandState] = (),
        kind: CommandKind | None = None,
        username: str | None = None,
        search: str | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page[Command]:
        """Newest first, without output. `start` and `end`: those that waited or ran in between, if only for a part."""
        call = command_calls.commands(server_id, group_id, states, kind, username, search, start, end)
        return await self._client.request(call.page(cursor, limit))

    async def group(self, group_id: int) -> list[Command]:
        """All commands of a group as they are now, in the order in which they were given."""
        call = command_calls.commands(None, group_id, (), None, None, None)
        return (await self._client.all_pages(call))[::-1]

    async def get(self, command_id: int) -> CommandResult:
        """A command with its output so far."""
        return await self._client.request(command_calls.command(command_id))

    async def cancel(self, command_id: int) -> Command:
        return await self._client.request(command_calls.cancel(command_id))

    async def cancel_group(self, group_id: int) -> CommandGroup:
        return await self._client.request(command_calls.cancel_group(group_id))

    async def policies(self, server_id: int | None = None) -> CommandPolicies:
        """What the hosts allow whose agents are connected."""
        return await self._client.request(command_calls.policies(server_id))

    async def processes(self, server_id: int) -> ProcessList:
        """The processes of a host now."""
        return await self._client.request(command_calls.processes(server_id))

    async def signal(self, server_id: int, pid: int, name: SignalName, started_at: float) -> CommandResult:
        """`started_at` as listed: another process that has the number by now is left alone."""
        return await self._client.request(command_calls.signal(server_id, pid, name, started_at))
