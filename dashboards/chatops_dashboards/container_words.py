"""Containers in words: states with their shapes, what can be done to which, what that does, and why none is shown.
Pure."""

from collections.abc import Sequence
from typing import get_args

from chatops_protocol.container_messages import ContainerEntry, ContainerVerb, DockerPolicy, PublishedPort

VERBS: tuple[ContainerVerb, ...] = get_args(ContainerVerb)

STATE_WORDS = {
    "running": "Running",
    "paused": "Paused",
    "restarting": "Restarting",
    "created": "Created",
    "exited": "Ended",
    "removing": "Being removed",
    "dead": "Dead",
}
# The shape that goes with the word; its colour only where a state asks for attention.
STATE_MARKS = {
    "running": "▶",
    "paused": "‖",
    "restarting": "▲",
    "created": "○",
    "exited": "■",
    "removing": "○",
    "dead": "◆",
}
HEALTH_WORDS = {"healthy": "Healthy", "unhealthy": "Unhealthy", "starting": "Starting"}
HEALTH_MARKS = {"healthy": "✓", "unhealthy": "◆", "starting": "○"}

VERB_WORDS: dict[ContainerVerb, str] = {
    "start": "Start",
    "stop": "Stop",
    "restart": "Restart",
    "pause": "Pause",
    "unpause": "Unpause",
    "kill": "Kill",
}
_OFFERED: dict[str, tuple[ContainerVerb, ...]] = {
    "running": ("restart", "stop", "pause", "kill"),
    "paused": ("unpause", "stop", "kill"),
    "restarting": ("stop", "kill"),
    "created": ("start",),
    "exited": ("start",),
    "removing": (),
    "dead": (),
}
GRACE_S = 10
_CONSEQUENCES: dict[ContainerVerb, str] = {
    "start": "It runs again with the settings it was made with.",
    "stop": f"It is asked to end and killed if it has not ended after {GRACE_S} s. It stays stopped until somebody "
    "starts it.",
    "restart": f"It is asked to end, killed if it has not ended after {GRACE_S} s, and started again. What it serves "
    "is away meanwhile.",
    "pause": "All its processes stand still where they are, and what it serves does not answer, until it is unpaused.",
    "unpause": "Its processes go on where they stood still.",
    "kill": "It ends at once and can save nothing; what it was writing may stay half written. Its restart policy may "
    "start it again.",
}

HOW_TO_READ = """# in the environment of the agent, on the host; then restart it
CHATOPS_ALLOW_DOCKER=read"""
HOW_TO_CONTROL = """# in the environment of the agent, on the host; then restart it
CHATOPS_ALLOW_DOCKER=control"""


def state_word(state: str) -> str:
    """A state of a newer engine keeps the engine's word."""
    return STATE_WORDS.get(state, state or "Unknown")


def state_kind(entry: ContainerEntry) -> str:
    """What colours the state: ``attention`` for one that ended with an error, restarts or is dead."""
    if entry.state == "dead" or (entry.state == "exited" and (entry.exit_code or 0) != 0):
        return "critical"
    return {"running": "ok", "restarting": "warning", "paused": "warning"}.get(entry.state, "quiet")


def state_text(entry: ContainerEntry) -> str:
    """The word, and of one that ended how."""
    if entry.state == "exited" and entry.exit_code is not None:
        return f"{state_word(entry.state)} ({entry.exit_code})"
    return state_word(entry.state)


def verbs_for(state: str) -> tuple[ContainerVerb, ...]:
    """What is offered in a state; all of it in one that is not known. The engine has the last word."""
    return _OFFERED.get(state, VERBS)


def consequence(verb: ContainerVerb) -> str:
    return _CONSEQUENCES[verb]


def ports_text(ports: Sequence[PublishedPort]) -> str:
    """``8080→80/tcp, 443/tcp``, each once: an engine lists IPv4 and IPv6 apart. What only this host reaches says so."""
    shown: list[str] = []
    for port in sorted(ports, key=lambda one: (one.host_port is None, one.host_port or 0, one.container_port)):
        inside = f"{port.container_port}/{port.protocol}"
        local = port.host_address if port.host_address not in ("", "0.0.0.0", "::") else ""  # noqa: S104 - shown only
        outside = f"{local}:{port.host_port}" if local else str(port.host_port)
        shown.append(inside if port.host_port is None else f"{outside}→{inside}")
    return ", ".join(dict.fromkeys(shown))


def policy_words(policy: DockerPolicy, *, may_act: bool) -> str:
    """What stands above the table; nothing where everything is allowed to whoever looks."""
    if not may_act:
        return "Your account looks on; operators start and stop containers."
    return "" if policy == "control" else "This host lets nobody start or stop its containers; they are only shown."
