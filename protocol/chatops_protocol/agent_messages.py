"""Messages on ``/api/v1/agents/ws`` between an agent and the backend.

Text frames are JSON, binary frames MessagePack, the same structs in both. The agent speaks first (`Authenticate`), the
backend answers `Welcome` or closes. Then the agent sends `Samples`, the backend `FramesStored` once their rows are
committed, and `RowsRefused` for rows it would not take. Orders and questions are in `control_messages`.
"""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, json, msgpack

from chatops_protocol.control_messages import CommandPolicy, ControlFromAgent, ControlToAgent

# Close codes of the agent socket (private range of RFC 6455).
CLOSE_PROTOCOL_ERROR = 4400
CLOSE_UNAUTHENTICATED = 4401
CLOSE_REPLACED = 4409
CLOSE_MESSAGE_TOO_BIG = 1009
CLOSE_SHUTTING_DOWN = 1012

MAX_FRAME_BYTES = 1_048_576
AUTHENTICATE_WITHIN_S = 5.0

Column = Annotated[str, Meta(min_length=1, max_length=64)]
# measurement → the columns of its rows, in order.
Layout = Annotated[dict[Column, Annotated[list[Column], Meta(max_length=128)]], Meta(max_length=64)]
Sequence = Annotated[int, Meta(ge=1, le=2**63 - 1)]
# What an agent says of itself; U+0000 is not text.
ShortText = Annotated[str, Meta(max_length=200, pattern=r"^[^\x00]*$")]

RefusalReason = Literal[
    "malformed", "unknown_measurement", "unknown_layout", "wrong_type", "not_finite", "too_old", "in_the_future"
]


class Authenticate(Struct, frozen=True, tag="auth"):
    """The first message. `stream` names the spool, `layouts` the column orders of the frames in it, by number.

    The server the agent speaks for follows from the key; there is no field that could name another.
    """

    api_key: str
    stream: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    layouts: Annotated[dict[int, Layout], Meta(min_length=1, max_length=16)]
    agent_version: ShortText = ""
    platform: ShortText = ""
    interval_s: Annotated[float, Meta(ge=0.1, le=3600)] = 5.0
    # What this agent would carry out and answer (`KNOWN_ACTS`, `KNOWN_QUESTIONS`), and what its host allows.
    understands: Annotated[list[Column], Meta(max_length=64)] = []
    command_policy: CommandPolicy = "off"


class Samples(Struct, frozen=True, tag="samples"):
    """One collection at `time` (Unix seconds, UTC). `rows` holds, per measurement, lists in the layout's order.

    `sequence` starts at 1 and grows by one per frame of the stream; it is never used again. Rows stay undecoded here:
    the backend checks each by itself, so that one bad row costs one row.
    """

    sequence: Sequence
    time: float
    layout: int
    rows: dict[str, list[Any]]


class Welcome(Struct, frozen=True, tag="welcome"):
    """The key is good. Resume after `last_sequence`; `ignored` lists offered columns this backend does not know.

    `command_key` is the public key that orders are signed for (32 bytes): the agent keeps the first it is told and
    refuses orders signed by another.
    """

    server_id: int
    last_sequence: int
    ignored: dict[str, list[str]]
    server_time: float
    command_key: bytes | None = None


class FramesStored(Struct, frozen=True, tag="stored"):
    """Every frame up to and including `sequence` is committed (or was before): the agent may forget it."""

    sequence: int


class RowsRefused(Struct, frozen=True, tag="refused"):
    """`count` rows of a frame were not stored; the rest of the frame was. `sequence` is 0 when the frame could not be
    read at all."""

    sequence: int
    measurement: str
    reason: RefusalReason
    count: int
    detail: str = ""


FromAgent = Authenticate | Samples | ControlFromAgent
ToAgent = Welcome | FramesStored | RowsRefused | ControlToAgent

decode_from_agent_json = json.Decoder(FromAgent).decode
decode_from_agent_msgpack = msgpack.Decoder(FromAgent).decode
decode_to_agent_json = json.Decoder(ToAgent).decode
decode_to_agent_msgpack = msgpack.Decoder(ToAgent).decode
encode_json = json.Encoder().encode
encode_msgpack = msgpack.Encoder().encode
