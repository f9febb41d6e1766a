"""One agent's socket after its key was accepted: reads frames, checks them, and answers.

Answers are kept as the newest acknowledgement and a bounded list of refusals, sent by a task of their own, so that
neither the writer nor other agents ever wait for this one.
"""

import asyncio
import contextlib
import logging
import math
import time
from collections import Counter, deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

import msgspec
from litestar.exceptions import WebSocketDisconnect
from prometheus_client import Counter as Metric

from chatops_backend.accounts.sockets import Socket
from chatops_backend.ingest.frame import ROW_OVERHEAD_BYTES, Frame
from chatops_backend.ingest.rows import Refusals, Row, RowReader, decode_rows
from chatops_backend.ingest.writer import Writer
from chatops_backend.logs.incoming import Line, LineReader
from chatops_protocol.agent_messages import (
    CLOSE_PROTOCOL_ERROR,
    Authenticate,
    FramesStored,
    RefusalReason,
    RowsRefused,
    Sequence,
    ToAgent,
    encode_json,
    encode_msgpack,
)
from chatops_protocol.control_messages import CommandPolicy, ControlFromAgent, ControlToAgent
from chatops_protocol.log_lines import LOG

log = logging.getLogger(__name__)

# An hour inside what `metrics.set_policies` refreshes: an older row would be in no roll-up, and soon dropped.
OLDEST_S = 6 * 86_400.0 - 3_600.0
NEWEST_S = 300.0
MAX_PENDING_REFUSALS = 100
MAX_OUTBOX = 1_000
TRY_AGAIN_LATER = 1013
SEND_TIMEOUT_S = 30.0

# What msgspec raises for bytes that are no message: beside its own errors, for bad UTF-8 and for bottomless nesting.
UNDECODABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

rows_refused = Metric("chatops_ingest_refused_rows_total", "Rows that were not stored", ["reason"])


class _ReceivedSamples(msgspec.Struct, frozen=True, tag="samples"):
    """`Samples` as they come, each measurement's rows still encoded: they are decoded once, by their `RowReader`."""

    sequence: Sequence
    time: float
    layout: int
    rows: dict[str, msgspec.Raw]


_FromAgent = Authenticate | _ReceivedSamples | ControlFromAgent
_decode_json = msgspec.json.Decoder(_FromAgent).decode
_decode_msgpack = msgspec.msgpack.Decoder(_FromAgent).decode


class ControlListener(Protocol):
    """Hears of agents that come, go, and say something that is not readings. Its methods return at once."""

    def opened(self, connection: "AgentConnection") -> None: ...

    def closed(self, connection: "AgentConnection") -> None: ...

    def received(self, connection: "AgentConnection", message: ControlFromAgent) -> None: ...


class AgentConnection:
    """`server_id` and `key_id` are from the key. `run` until either side closes.

    `understands` and `command_policy` are what the agent says of itself, for people and to save it what it cannot read.
    """

    def __init__(
        self,
        socket: Socket,
        *,
        binary: bool,
        server_id: int,
        key_id: int,
        stream: str,
        readers: dict[int, dict[str, RowReader]],
        line_readers: dict[int, LineReader],
        writer: Writer,
        clock: Callable[[], float] = time.time,
        control: ControlListener | None = None,
        understands: frozenset[str] = frozenset(),
        command_policy: CommandPolicy = "off",
    ) -> None:
        self.server_id = server_id
        self.key_id = key_id
        self.understands = understands
        self.command_policy = command_policy
        self.closed_because = ""
        self._control = control
        self._outbox: deque[ControlToAgent] = deque()
        self._socket = socket
        self._binary = binary
        self.stream = stream
        self._readers = readers
        self._line_readers = line_readers
        self._writer = writer
        self._clock = clock
        self._acknowledged = 0
        self._refusals: deque[RowsRefused] = deque(maxlen=MAX_PENDING_REFUSALS)
        self._answer_due = asyncio.Event()
        self._close: tuple[int, str] | None = None

    async def run(self) -> None:
        """Serve the socket; returns when it is closed, whoever closed it."""
        receiver = asyncio.create_task(self._receive())
        sender = asyncio.create_task(self._send_answers())
        try:
            await asyncio.wait((receiver, sender), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (receiver, sender):
                task.cancel()
            await asyncio.gather(receiver, sender, return_exceptions=True)
        if self._close is not None:
            code, reason = self._close
            self.closed_because = self.closed_because or reason
            with contextlib.suppress(Exception):  # the peer may be gone already
                await asyncio.wait_for(self._socket.close(code, reason), SEND_TIMEOUT_S)
        for task in (receiver, sender):
            error = None if task.cancelled() else task.exception()
            if error is not None and not isinstance(error, WebSocketDisconnect | TimeoutError):
                raise error

    def close(self, code: int, reason: str) -> None:
        """Ask the connection to end; returns at once."""
        self._close = self._close or (code, reason)
        self._answer_due.set()

    @property
    def closing(self) -> bool:
        return self._close is not None

    def offer(self, message: ControlToAgent) -> None:
        """Send an order, a question or what belongs to them, after what waits already; returns at once."""
        if len(self._outbox) >= MAX_OUTBOX:
            self.close(CLOSE_PROTOCOL_ERROR, "the agent does not read")
        else:
            self._outbox.append(message)
            self._answer_due.set()

    def acknowledge(self, sequence: int) -> None:
        self._acknowledged = max(self._acknowledged, sequence)
        self._answer_due.set()

    def refuse_frame(self, sequence: int, detail: str) -> None:
        self._refuse(sequence, "", Counter({"malformed": 1}), detail)

    def mark_is_gone(self) -> None:
        """The agent connects again and learns where it stands: refused with its server, or at its spool's beginning."""
        self.close(TRY_AGAIN_LATER, "the server was deleted, or this spool was given up for newer ones")

    async def send(self, message: ToAgent) -> None:
        encoded = encode_msgpack(message) if self._binary else encode_json(message)
        await asyncio.wait_for(
            self._socket.send_data(encoded, mode="binary" if self._binary else "text"), SEND_TIMEOUT_S
        )

    async def _receive(self) -> None:
        while True:
            event = await self._socket.receive()
            if event["type"] != "websocket.receive":
                self.closed_because = f"closed by the agent ({event.get('code', 1005)})"
                return
            text, data = event.get("text"), event.get("bytes")
            message: bytes | str = data if data is not None else text or ""
            try:
                decoded = _decode_json(message) if isinstance(message, str) else _decode_msgpack(message)
                frame = self._read(decoded, message) if isinstance(decoded, _ReceivedSamples) else None
            except UNDECODABLE as error:
                self._refuse(0, "", Counter({"malformed": 1}), str(error)[:200])
                continue
            if frame is not None:
                await self._writer.put(frame)
            elif isinstance(decoded, Authenticate) or self._control is None:
                self.close(CLOSE_PROTOCOL_ERROR, "there is only one first message")
                return
            else:
                self._control.received(self, decoded)

    def _read(self, samples: _ReceivedSamples, message: bytes | str) -> Frame:
        binary = not isinstance(message, str)
        rows: dict[str, tuple[RowReader, list[Row]]] = {}
        reason = self._refusal_of(samples)
        readers = self._readers.get(samples.layout, {})
        lines: list[Line] = []
        line_reader = self._line_readers.get(samples.layout)
        stored = 0
        for name, encoded in samples.rows.items():
            if name == LOG and line_reader is not None:
                # Whatever the frame's time: each line has its own.
                lines, refused = line_reader.read(encoded, self._clock(), binary=binary)
                if refused:
                    self._refuse(samples.sequence, name, refused)
                continue
            reader = readers.get(name)
            if reason is not None or reader is None:
                count = len(decode_rows(encoded, binary=binary))
                self._refuse(samples.sequence, name, Counter({reason or "unknown_measurement": count}))
                continue
            good, refused = reader.read(encoded, binary=binary)
            if refused:
                self._refuse(samples.sequence, name, refused)
            if good:
                rows[name] = (reader, good)
                stored += len(good)
        return Frame(
            origin=self,
            server_id=self.server_id,
            stream=self.stream,
            sequence=samples.sequence,
            time=datetime.fromtimestamp(samples.time if rows else 0, UTC),
            rows=rows,
            size=len(message) + (stored + len(lines)) * ROW_OVERHEAD_BYTES,
            lines=lines,
        )

    def _refusal_of(self, samples: _ReceivedSamples) -> RefusalReason | None:
        """Why a whole frame's rows cannot be taken, if so. A frame's mark moves on all the same."""
        age = self._clock() - samples.time
        if not math.isfinite(age):
            return "not_finite"
        if age > OLDEST_S:
            return "too_old"
        if age < -NEWEST_S:
            return "in_the_future"
        if samples.layout not in self._readers:
            return "unknown_layout"
        return None

    def _refuse(self, sequence: int, measurement: str, refused: Refusals, detail: str = "") -> None:
        for reason, count in refused.items():
            rows_refused.labels(reason).inc(count)
            self._refusals.append(RowsRefused(sequence, measurement[:64], reason, count, detail))
        self._answer_due.set()

    async def _send_answers(self) -> None:
        sent = 0
        while self._close is None:
            await self._answer_due.wait()
            self._answer_due.clear()
            while self._refusals:
                await self.send(self._refusals.popleft())
            if self._acknowledged > sent:
                sent = self._acknowledged
                await self.send(FramesStored(sent))
            while self._outbox and self._close is None:
                await self.send(self._outbox.popleft())
