"""Resources of ``/commands`` and ``/processes``. JSON on the wire."""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

from chatops_protocol.control_messages import CommandPolicy, ProcessEntry, SignalName
from chatops_protocol.resources import Id, Tag

# `queued`: waits for its agent (or its turn). `sent`: handed to the agent. `unknown`: nobody can say whether it ran,
# or how it ended; it is never run again.
CommandState = Literal["queued", "sent", "running", "ok", "failed", "timed_out", "cancelled", "expired", "unknown"]
ENDED: tuple[CommandState, ...] = ("ok", "failed", "timed_out", "cancelled", "expired", "unknown")
CommandKind = Literal["command", "signal", "container"]

Argument = Annotated[str, Meta(max_length=8192, pattern=r"^[^\x00]*$")]
Argv = Annotated[list[Argument], Meta(min_length=1, max_length=256)]
CommandText = Annotated[str, Meta(min_length=1, max_length=16_384, pattern=r"^[^\x00]*$")]
Folder = Annotated[str, Meta(min_length=1, max_length=4096, pattern=r"^/[^\x00]*$")]
TimeoutSeconds = Annotated[float, Meta(gt=0, le=86_400)]
WaitSeconds = Annotated[float, Meta(ge=0, le=60)]


class RunCommandRequest(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Exactly one of `argv` and `command`. `command` is split as a shell would split it, without being one: only a host
    whose own policy is ``shell`` gives it to its shell. A program runs at most `timeout_s`, and has to have begun
    within `expires_s`. With `wait_s` the answer waits so long for the end."""

    argv: Argv | None = None
    command: CommandText | None = None
    working_directory: Folder | None = None
    timeout_s: TimeoutSeconds = 60.0
    expires_s: TimeoutSeconds = 60.0
    wait_s: WaitSeconds = 0.0


class RunCommandsRequest(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The same on several servers: exactly one of `server_ids` and `tag`. No more than `at_a_time` run at once; after
    `stop_after_failures` that did not end well the rest is cancelled."""

    server_ids: Annotated[list[Id], Meta(max_length=2000)] | None = None
    tag: Tag | None = None
    at_a_time: Annotated[int, Meta(ge=1, le=2000)] | None = None
    stop_after_failures: Annotated[int, Meta(ge=1, le=2000)] | None = None
    argv: Argv | None = None
    command: CommandText | None = None
    working_directory: Folder | None = None
    timeout_s: TimeoutSeconds = 60.0
    expires_s: TimeoutSeconds = 60.0


class Command(Struct, frozen=True, kw_only=True):
    """One act on one server, without its output. `title` says what in one line; `detail` why it ended so, where the
    exit code does not. `stdout_bytes` and `stderr_bytes` are what it wrote, all of it."""

    id: int
    group_id: int | None
    server_id: int
    server_name: str
    kind: CommandKind
    title: str
    argv: list[str] | None
    command: str | None
    working_directory: str | None
    timeout_s: float
    username: str
    state: CommandState
    detail: str
    exit_code: int | None
    duration_s: float | None
    stdout_bytes: int
    stderr_bytes: int
    created_at: datetime
    expires_at: datetime
    sent_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None


class CommandResult(Command, frozen=True, kw_only=True):
    """With its output: the first and the last 512 KiB. `truncated`: the middle is left out, a line says how much."""

    stdout: str
    stderr: str
    truncated: bool


class CommandGroup(Struct, frozen=True, kw_only=True):
    """Several commands that were asked for at once; `GET /commands?group_id=` says how they are doing."""

    id: int
    commands: list[Command]


class HostPolicy(Struct, frozen=True):
    """What an agent says its host allows; ``off`` too where it runs as root and was not told that it may."""

    server_id: int
    command_policy: CommandPolicy


class CommandPolicies(Struct, frozen=True):
    """Of the agents that are connected."""

    policies: list[HostPolicy]


class ProcessList(Struct, frozen=True, kw_only=True):
    """The processes of one server as they were at `taken_at`. `total` counts those left out too."""

    server_id: int
    taken_at: datetime
    total: int
    processes: list[ProcessEntry]


class SignalProcessRequest(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`started_at` is that of the process list: a later process of the same number is left alone."""

    signal: SignalName
    started_at: Annotated[float, Meta(ge=0, le=1e11)]
