"""`Client.run` and `AsyncClient.run`: give a command, follow its output, return how it ended."""

from collections.abc import Callable, Sequence

from chatops_client.command_stream import CommandMessage
from chatops_client.errors import CommandRefusedError
from chatops_protocol.command_resources import CommandResult, RunCommandRequest
from chatops_protocol.live_messages import CommandOutput

OnOutput = Callable[[CommandOutput], None]


def request(
    command: str | Sequence[str], timeout_s: float, expires_s: float, working_directory: str | None
) -> RunCommandRequest:
    """A text is split as a shell would split it; a list is taken literally."""
    text, argv = (command, None) if isinstance(command, str) else (None, list(command))
    return RunCommandRequest(
        argv=argv, command=text, timeout_s=timeout_s, expires_s=expires_s, working_directory=working_directory
    )


def hand_on(message: CommandMessage, on_output: OnOutput | None) -> None:
    if on_output is not None and isinstance(message, CommandOutput):
        on_output(message)


def ended(result: CommandResult) -> CommandResult:
    """The result of what was run; raise `CommandRefusedError` when it was not."""
    if result.state == "expired" or (result.state == "failed" and result.exit_code is None):
        raise CommandRefusedError(result)
    return result
