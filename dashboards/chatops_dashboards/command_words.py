"""Commands in words: states, what a host allows, how long it took, how much it wrote. Pure."""

import shlex
from collections.abc import Iterable

from chatops_dashboards.units import UNKNOWN, format_duration, format_value
from chatops_protocol.command_resources import ENDED, Command, CommandState
from chatops_protocol.control_messages import HEAD_BYTES, TAIL_BYTES, CommandPolicy

STATE_WORDS: dict[CommandState, str] = {
    "queued": "Waiting",
    "sent": "Sent",
    "running": "Running",
    "ok": "Done",
    "failed": "Failed",
    "timed_out": "Timed out",
    "cancelled": "Cancelled",
    "expired": "Expired",
    "unknown": "Unknown",
}
# The shape that goes with the word and its colour.
STATE_MARKS: dict[CommandState, str] = {
    "queued": "○",
    "sent": "○",
    "running": "▶",
    "ok": "✓",
    "failed": "◆",
    "timed_out": "◆",
    "cancelled": "■",
    "expired": "■",
    "unknown": "?",
}
POLICY_WORDS: dict[CommandPolicy, str] = {
    "off": "takes no commands",
    "allowlist": "runs what its own list names",
    "shell": "gives what you type to its shell, /bin/sh",
}
MOST_REMEMBERED = 100


def is_over(command: Command) -> bool:
    return command.state in ENDED


def typed(command: Command) -> str:
    """What somebody would type to run it again."""
    return command.command if command.command is not None else shlex.join(command.argv or [])


def remembered(commands: Iterable[Command], first: str = "") -> list[str]:
    """What the up key brings back, newest first, each once."""
    texts = [first, *(typed(command) for command in commands if command.kind == "command")]
    return list(dict.fromkeys(text for text in texts if text and "\n" not in text))[:MOST_REMEMBERED]


def words_of(text: str) -> list[str]:
    """How a command is split, as the backend does it. Raises `ValueError` that says what is open."""
    return shlex.split(text)


def duration_text(command: Command) -> str:
    """Tenths below ten seconds: most commands are quick."""
    seconds = command.duration_s
    if seconds is None:
        return UNKNOWN
    return f"{seconds:.1f} s" if seconds < 10 else format_duration(seconds)


def exit_text(command: Command) -> str:
    return UNKNOWN if command.exit_code is None else str(command.exit_code)


def output_text(command: Command) -> str:
    """How much it wrote, all of it."""
    return format_value(float(command.stdout_bytes + command.stderr_bytes), "bytes")


def left_out_text(command: Command, skipped: int) -> str:
    """What is said when not all of an output is shown."""
    if not skipped:
        return ""
    written = format_value(float(command.stdout_bytes + command.stderr_bytes), "count")
    kept, tail = (format_value(float(size), "bytes") for size in (HEAD_BYTES, TAIL_BYTES))
    return (
        f"It wrote {written} bytes ({output_text(command)}). The first {kept} and the last {tail} are kept; "
        f"{format_value(float(skipped), 'count')} bytes are left out here, where the marks stand."
    )
