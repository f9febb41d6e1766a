"""A frame on its way through the backend, and who sent it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from msgspec import Struct

from chatops_backend.ingest.rows import Row, RowReader
from chatops_backend.logs.incoming import Line

# What a stored row and its object cost beside the bytes of the message.
ROW_OVERHEAD_BYTES = 400


class Origin(Protocol):
    """The connection a frame came by. Its methods never wait: a slow agent must not hold up the writer."""

    def acknowledge(self, sequence: int) -> None: ...

    def refuse_frame(self, sequence: int, detail: str) -> None: ...

    def mark_is_gone(self) -> None: ...


class Frame(Struct, frozen=True):
    """Checked rows of one collection. `server_id` is from the key, `stream` from the spool."""

    origin: Origin
    server_id: int
    stream: str
    sequence: int
    time: datetime
    rows: dict[str, tuple[RowReader, list[Row]]]
    size: int
    lines: Sequence[Line] = ()

    @property
    def stream_key(self) -> tuple[int, str]:
        return self.server_id, self.stream
