"""Every call under ``/commands`` and ``/processes``, one function each: arguments in, `Call` out."""

from collections.abc import Sequence
from datetime import datetime

from chatops_client.wire import Call, query_params, segment
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
    SignalProcessRequest,
)
from chatops_protocol.control_messages import SignalName
from chatops_protocol.resources import Page


def run(server_id: int, asked: RunCommandRequest) -> Call[CommandResult]:
    return Call("POST", f"/commands/{segment(server_id)}", CommandResult, body=asked)


def run_on_several(asked: RunCommandsRequest) -> Call[CommandGroup]:
    return Call("POST", "/commands", CommandGroup, body=asked)


def commands(
    server_id: int | None,
    group_id: int | None,
    states: Sequence[CommandState],
    kind: CommandKind | None,
    username: str | None,
    search: str | None,
    start: datetime | None = None,
    end: datetime | None = None,
) -> Call[Page[Command]]:
    parameters = {
        "server_id": server_id,
        "group_id": group_id,
        "state": list(states),
        "kind": kind,
        "username": username,
        "search": search,
        "start": start,
        "end": end,
    }
    return Call("GET", "/commands", Page[Command], query_params(parameters))


def command(command_id: int) -> Call[CommandResult]:
    return Call("GET", f"/commands/{segment(command_id)}", CommandResult)


def cancel(command_id: int) -> Call[Command]:
    return Call("POST", f"/commands/{segment(command_id)}/cancel", Command)


def cancel_group(group_id: int) -> Call[CommandGroup]:
    return Call("POST", f"/commands/groups/{segment(group_id)}/cancel", CommandGroup)


def policies(server_id: int | None) -> Call[CommandPolicies]:
    return Call("GET", "/commands/policies", CommandPolicies, query_params({"server_id": server_id}))


def processes(server_id: int) -> Call[ProcessList]:
    return Call("GET", f"/processes/{segment(server_id)}", ProcessList)


def signal(server_id: int, pid: int, name: SignalName, started_at: float) -> Call[CommandResult]:
    path = f"/processes/{segment(server_id)}/{segment(pid)}/signal"
    return Call("POST", path, CommandResult, body=SignalProcessRequest(signal=name, started_at=started_at))
