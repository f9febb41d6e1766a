"""What a request for a command comes to: the act that is sent, and the line it is shown by. Decides no rights."""

import shlex

from chatops_backend.problems import ProblemError
from chatops_protocol.command_resources import RunCommandRequest, RunCommandsRequest
from chatops_protocol.control_messages import RunCommand

# What an agent reads in one message is 64 KiB, and an envelope is a third longer there.
MAX_BYTES = 32_768
MAX_TITLE = 500


def act_of(request: RunCommandRequest | RunCommandsRequest) -> RunCommand:
    """Raises `ProblemError` 400 for a request that names no command, two, or one that cannot be split."""
    if (request.argv is None) == (request.command is None):
        raise _invalid("argv", "give either `argv` (a list) or `command` (a text), not both")
    argv = request.argv if request.argv is not None else _split(request.command or "")
    if not argv or not argv[0]:
        raise _invalid("command" if request.argv is None else "argv", "names no program")
    if sum(len(argument.encode()) + 1 for argument in argv) > MAX_BYTES:
        raise _invalid("argv", f"has more than {MAX_BYTES} bytes; put what is long into a file on the host")
    return RunCommand(argv, request.timeout_s, request.command, request.working_directory)


def title_of(act: RunCommand) -> str:
    """One line."""
    text = act.command if act.command is not None else shlex.join(act.argv)
    line = " ⏎ ".join(text.splitlines()) or text
    return line if len(line) <= MAX_TITLE else line[: MAX_TITLE - 1] + "…"


def _split(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError as error:
        raise _invalid(
            "command", f"cannot be split ({error}); close what is open, or give the parts as `argv`"
        ) from None


def _invalid(field: str, message: str) -> ProblemError:
    return ProblemError(
        400,
        "The request is not valid",
        f"`{field}`: {message}.",
        extra=[{"message": message, "key": field, "source": "body"}],
    )
