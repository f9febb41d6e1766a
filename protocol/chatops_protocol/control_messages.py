"""What the backend wants of an agent beside readings, and what the agent answers. Same socket as `agent_messages`.

Two ways, for two kinds of thing. **Orders** change something on the host: each is signed by the backend, recorded by
the agent on disk before it is carried out, and carried out at most once. **Questions** only look: they are asked with a
time limit, answered once or in parts, and forgotten. A new act is a struct in `Act`, a new question one in `Question`
with its answer in `Answer`; agents say in their first message which of them they know (`KNOWN_ACTS`,
`KNOWN_QUESTIONS`), and others are not sent to them.
"""

from typing import Annotated, Literal, get_args

from msgspec import Meta, Struct, json

from chatops_protocol.container_messages import ContainerAnswer, ContainerQuestion, ControlContainer

OrderId = Annotated[int, Meta(ge=1, le=2**63 - 1)]
Nonce = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}$(?!\n)")]
QuestionId = Annotated[int, Meta(ge=1, le=2**53)]
Stream = Literal["stdout", "stderr"]
CommandPolicy = Literal["off", "allowlist", "shell"]
SignalName = Literal["TERM", "KILL", "INT", "QUIT", "HUP", "USR1", "USR2", "STOP", "CONT"]
# How an order ended. `unknown`: the agent died while carrying it out.
EndState = Literal["ok", "failed", "timed_out", "cancelled", "expired", "unknown"]

# U+0000 is not text for the database.
Words = Annotated[str, Meta(max_length=2000, pattern=r"^[^\x00]*$")]
Count = Annotated[int, Meta(ge=0, le=2**53)]
Time = Annotated[float, Meta(ge=0, le=1e11)]
Seconds = Annotated[float, Meta(ge=0, le=1e9)]
# What one message carries of an output, at most.
MAX_CHUNK_BYTES = 32_768
Chunk = Annotated[bytes, Meta(min_length=1, max_length=MAX_CHUNK_BYTES)]
# Of each command the first and the last half MiB are kept, stdout and stderr together.
HEAD_BYTES = TAIL_BYTES = 512 * 1024
# How much output an agent sends ahead of `OutputStored`.
OUTPUT_WINDOW_BYTES = 256 * 1024

# -- orders ------------------------------------------------------------------------------------------------------


class RunCommand(Struct, frozen=True, tag="run_command"):
    """Run a program. `command` is the text `argv` was split from; only an agent whose policy is ``shell`` gives it to
    a shell. For an agent with an allowlist `argv` is the name of a template and its arguments."""

    argv: list[str]
    timeout_s: float
    command: str | None = None
    working_directory: str | None = None


class SignalProcess(Struct, frozen=True, tag="signal_process"):
    """Send a signal to the process `pid` if it is still the one that began at `started_at` (as `ProcessEntry` says)."""

    pid: int
    started_at: float
    signal: SignalName


Act = RunCommand | SignalProcess | ControlContainer


class Order(Struct, frozen=True, forbid_unknown_fields=True):
    """What is signed. Good for one server, until `expires_at`, once: `nonce` is what the agent remembers."""

    id: OrderId
    server_id: int
    nonce: Nonce
    issued_at: float
    expires_at: float
    act: Act


class CarryOut(Struct, frozen=True, tag="carry_out"):
    """`envelope` is an encoded `Order`, `signature` the Ed25519 signature of its `signed_bytes`. `id` and `nonce` stand
    outside as well, so that a refusal can name what it refuses."""

    id: OrderId
    nonce: Nonce
    envelope: bytes
    signature: bytes


class CancelOrder(Struct, frozen=True, tag="cancel_order"):
    """End what this order started: TERM to its whole process group, KILL after 5 s."""

    id: OrderId
    nonce: Nonce
    reason: Words = ""


class OutputStored(Struct, frozen=True, tag="output_stored"):
    """Output of this order up to and including `sequence` is committed."""

    nonce: Nonce
    sequence: int


class OutcomeStored(Struct, frozen=True, tag="outcome_stored"):
    """`OrderFinished` of this order is committed (or nobody wants it): the agent need not say it again."""

    nonce: Nonce


class OrderStarted(Struct, frozen=True, tag="order_started"):
    """The order is on the agent's disk and under way."""

    id: OrderId
    nonce: Nonce
    started_at: Time


class OrderOutput(Struct, frozen=True, tag="order_output"):
    """Bytes that were written to `stream` at `offset` of it. `sequence` starts at 1 and orders both streams; where
    offsets jump, output was left out because more came than is sent."""

    id: OrderId
    nonce: Nonce
    sequence: Annotated[int, Meta(ge=1, le=2**53)]
    stream: Stream
    offset: Count
    data: Chunk


class OrderFinished(Struct, frozen=True, tag="order_finished"):
    """The end of an order, after all its output. `detail` says why, where the exit code does not."""

    id: OrderId
    nonce: Nonce
    state: EndState
    exit_code: Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)] | None = None
    detail: Words = ""
    duration_s: Seconds | None = None
    stdout_bytes: Count = 0
    stderr_bytes: Count = 0


# -- questions ---------------------------------------------------------------------------------------------------


class ListProcesses(Struct, frozen=True, tag="list_processes"):
    """The processes of the host now."""


class ProcessEntry(Struct, frozen=True):
    """One process. `cpu_percent` is the share of one core over the half second of the reading; None: it is too new.
    `started_at` tells it from a later process of the same `pid`. Secrets in `command_line` are masked."""

    pid: int
    parent_pid: int
    started_at: float
    name: str
    user: str
    state: str
    cpu_percent: float | None
    memory_resident_bytes: int
    thread_count: int
    command_line: str


class ProcessesListed(Struct, frozen=True, tag="processes_listed"):
    """Of more than fit into an answer, those with the most CPU time and memory; `total` counts all."""

    taken_at: Time
    total: int
    processes: list[ProcessEntry]


Question = ListProcesses | ContainerQuestion
Answer = ProcessesListed | ContainerAnswer


class Ask(Struct, frozen=True, tag="ask"):
    """Answer within `within_s`; later nobody listens. `id` is the backend's, unique on this connection."""

    id: QuestionId
    within_s: float
    question: Question


class StopAsking(Struct, frozen=True, tag="stop_asking"):
    """Nobody wants (more of) the answer."""

    id: QuestionId


class Answered(Struct, frozen=True, tag="answered"):
    """An answer, or a part of one: `last` is false when more follow. The last may carry nothing."""

    id: QuestionId
    answer: Answer | None
    last: bool = True


class AnswerFailed(Struct, frozen=True, tag="answer_failed"):
    """There is no (more) answer: `refused` by the host's settings, what was asked about is `missing`, or it `failed`.
    `detail` is for people."""

    id: QuestionId
    reason: Literal["refused", "missing", "failed"]
    detail: Words = ""


ControlFromAgent = OrderStarted | OrderOutput | OrderFinished | Answered | AnswerFailed
ControlToAgent = CarryOut | CancelOrder | OutputStored | OutcomeStored | Ask | StopAsking

# Before what is signed, so that no other signature of the same key could pass for an order's.
_SIGNED_FOR = b"chatops order, first version\n"


def signed_bytes(envelope: bytes) -> bytes:
    return _SIGNED_FOR + envelope


encode_order = json.Encoder().encode
decode_order = json.Decoder(Order).decode


def _tags(union: object) -> tuple[str, ...]:
    return tuple(str(one.__struct_config__.tag) for one in get_args(union) or (union,))


KNOWN_ACTS = _tags(Act)
KNOWN_QUESTIONS = _tags(Question)
