"""Messages on the WebSockets for people: ``/ws/metrics/{server_id}``, ``/ws/fleet``, ``/ws/alerts``,
``/ws/commands/{id}`` and ``/ws/docker/{server_id}/containers/{container_id}/logs``. Text, JSON.

The person's client speaks first (`AuthenticatePerson`), within 5 s. The fleet's and the alerts' sockets then send the
whole state at once and what changes after it, a server's socket each collection as it is committed. A reader that is
too slow gets the newest state, never a queue of old ones.
"""

from typing import Any

from msgspec import Struct, json

from chatops_protocol.alert_resources import Alert
from chatops_protocol.command_resources import Command
from chatops_protocol.container_messages import ContainerLogs
from chatops_protocol.control_messages import Stream
from chatops_protocol.log_lines import LogLine
from chatops_protocol.resources import ServerStatus

CLOSE_BAD_REQUEST = 4400
CLOSE_UNAUTHENTICATED = 4401
CLOSE_FORBIDDEN = 4403
CLOSE_NOT_FOUND = 4404
# The agent has no (more) answer; the reason of the close says why.
CLOSE_NO_ANSWER = 4502
CLOSE_MESSAGE_TOO_BIG = 1009
MAX_MESSAGE_BYTES = 65_536
AUTHENTICATE_WITHIN_S = 5.0


class AuthenticatePerson(Struct, frozen=True, tag="auth"):
    access_token: str


class ServerSamples(Struct, frozen=True, tag="samples"):
    """One collection of one server, in the shape of ``GET /metrics/{server_id}/latest``.

    `measurements` maps ``host`` to one object of fields and every other measurement to a list of objects of labels and
    fields. `collected_at` and `committed_at` are Unix seconds: the agent's clock and the backend's.
    """

    server_id: int
    collected_at: float
    committed_at: float
    measurements: dict[str, Any]


class FleetEntry(Struct, frozen=True):
    """The newest state of one server, for a card or a row. None is "not known", never zero.

    `age_on_arrival_s`: how old its newest reading was by the backend's clock when it was committed; below zero where
    the host's clock is ahead. Kept by the backend that received it.
    """

    server_id: int
    name: str
    status: ServerStatus
    tags: list[str]
    last_seen: float | None = None
    cpu_percent: float | None = None
    memory_used_percent: float | None = None
    fullest_mountpoint: str | None = None
    fullest_used_percent: float | None = None
    network_receive_bytes_per_second: float | None = None
    network_transmit_bytes_per_second: float | None = None
    age_on_arrival_s: float | None = None


class FleetState(Struct, frozen=True, tag="fleet"):
    """`complete`: this is every server (the first message, and after servers were added or removed);
    otherwise only those that changed."""

    complete: bool
    servers: list[FleetEntry]


class AlertsState(Struct, frozen=True, tag="alerts"):
    """Alerts that are not resolved, on ``/ws/alerts``. `complete`: these are all; otherwise those that changed, with
    those that were resolved just now."""

    complete: bool
    alerts: list[Alert]


class CommandChanged(Struct, frozen=True, tag="command"):
    """The first message on ``/ws/commands/{id}``, and again whenever the state changes. After its end the socket is
    closed (1000)."""

    command: Command


class CommandOutput(Struct, frozen=True, tag="output"):
    """What the command wrote next, from its beginning. `offset` counts the bytes of `stream` before `text`; `skipped`
    of them, just before it, are left out."""

    stream: Stream
    offset: int
    text: str
    skipped: int = 0


class LogLines(Struct, frozen=True, tag="log_lines"):
    """New log lines of a server, oldest first. `incomplete`: more came before these than were sent. The first message
    has none: from it on no line is missed."""

    server_id: int
    lines: list[LogLine]
    incomplete: bool


ToPerson = ServerSamples | FleetState | AlertsState | CommandChanged | CommandOutput | LogLines | ContainerLogs

decode_from_person = json.Decoder(AuthenticatePerson).decode
decode_to_person = json.Decoder(ToPerson).decode
encode = json.Encoder().encode
