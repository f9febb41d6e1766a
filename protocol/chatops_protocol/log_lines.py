"""Log lines: as rows of a frame from an agent, and as the REST API and ``/ws/logs/{server_id}`` give them."""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

Level = Literal["debug", "info", "notice", "warning", "error", "critical"]
# From the least to the worst; the database's type of this name has the same order.
LEVELS: tuple[Level, ...] = ("debug", "info", "notice", "warning", "error", "critical")

# Lines travel as rows of this name among a frame's rows, announced in the layouts as measurements are.
LOG = "log"
LOG_COLUMNS = ("time", "source", "level", "message")

MAX_MESSAGE_LENGTH = 16_384
MAX_SOURCE_LENGTH = 256
# The source of what the backend itself has to tell about a server.
PLATFORM_SOURCE = "chatops"

Source = Annotated[str, Meta(min_length=1, max_length=MAX_SOURCE_LENGTH, pattern=r"^[^\x00]*$(?!\n)")]
Message = Annotated[str, Meta(max_length=MAX_MESSAGE_LENGTH, pattern=r"^[^\x00]*$(?!\n)")]


class LogLine(Struct, frozen=True):
    """`level` is None when the line does not say. `id` grows in the order of storing, and orders lines of one time."""

    id: int
    time: datetime
    source: str
    level: Level | None
    message: str


class LogSource(Struct, frozen=True):
    """`lines`: how many of those that were looked at are of it."""

    source: str
    lines: int


class LogSources(Struct, frozen=True):
    """Who wrote a server's newest lines, most first."""

    sources: list[LogSource]


class LogPolicies(Struct, frozen=True, forbid_unknown_fields=True):
    """For how many days lines are kept, and after how many they go into the columnstore: smaller, slower to search."""

    keep_days: Annotated[int, Meta(ge=2, le=3650)]
    compress_after_days: Annotated[int, Meta(ge=1, le=3650)] = 7
