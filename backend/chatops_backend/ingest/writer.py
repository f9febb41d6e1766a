"""Stores batches of frames, each with its stream marks in one transaction, and acknowledges after the commit.

The one task that writes samples. Exactly once rests on the marks: a batch's rows are stored if and only if every mark
still stood where this writer last saw it. When one did not (another backend wrote, or a commit succeeded whose answer
was lost), the marks are read again, frames at or below them are dropped, and the rest is tried anew.
"""

import asyncio
import logging
import time
from collections import Counter as Counts
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

import asyncpg
from prometheus_client import Counter, Gauge, Histogram

from chatops_backend.database.interface import Database, DatabaseUnavailableError
from chatops_backend.database.queries import load_queries
from chatops_backend.ingest.frame import Frame
from chatops_backend.ingest.queue import FrameQueue
from chatops_backend.ingest.rows import Row, RowReader, columns_of
from chatops_protocol.log_lines import LOG

log = logging.getLogger(__name__)

BATCH_WINDOW_S = 0.1
# Readings older than this come too late for the rules that watch the moment; rules are replayed over them instead.
LATE_S = 120.0
MAX_BATCH_BYTES = 8 * 1024 * 1024
RETRY_MIN_S, RETRY_MAX_S = 0.1, 2.0
# Of one server. A spool that was damaged, lost or not kept leaves its mark behind: an agent that starts anew each
# minute in a container without a volume would fill the table. Should one come back whose mark was given up, it sends
# again what it still holds, and the acknowledged frames among it, a few hundred at most, are stored twice.
MAX_STREAMS = 64

rows_stored = Counter("chatops_ingest_rows_total", "Rows committed", ["measurement"])
frames_stored = Counter("chatops_ingest_frames_total", "Frames committed")
frames_late = Counter("chatops_ingest_late_frames_total", "Committed frames whose readings came too late for the rules")
frames_repeated = Counter(
    "chatops_ingest_repeated_frames_total", "Frames at or below the mark, acknowledged and dropped"
)
frames_refused = Counter("chatops_ingest_refused_frames_total", "Frames that the database would not take")
batches_retried = Counter("chatops_ingest_batch_retries_total", "Batches tried again", ["reason"])
streams_retired = Counter("chatops_ingest_streams_retired_total", "Marks of spools given up for newer ones")
batch_seconds = Histogram("chatops_ingest_batch_seconds", "Duration of a batch's transaction")
queue_bytes = Gauge("chatops_ingest_queue_bytes", "Bytes of frames waiting to be written")

# The server's own trouble, not the data's: full disk, deadlock, lock or memory shortage, shutdown,
# a standby that is not promoted yet. Waiting helps.
_TRANSIENT = (
    asyncpg.exceptions.InsufficientResourcesError,
    asyncpg.exceptions.TransactionRollbackError,
    asyncpg.exceptions.ObjectNotInPrerequisiteStateError,
    asyncpg.exceptions.OperatorInterventionError,
    asyncpg.exceptions.PostgresSystemError,
    asyncpg.exceptions.ReadOnlySQLTransactionError,
    DatabaseUnavailableError,
)


class TooManyStreamsError(Exception):
    """A server has as many spools open as it may have at all."""


class _MarksMovedError(Exception):
    """Some mark is not where we last saw it."""


class Writer:
    """`put` frames, `run` until cancelled. `on_committed` gets each batch's stored frames and must not wait."""

    def __init__(
        self,
        database: Database,
        on_committed: Callable[[list[Frame]], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._on_committed = on_committed
        self._clock = clock
        self._queue = FrameQueue()
        self._marks: dict[tuple[int, str], int] = {}
        self._queries = load_queries("ingest")
        self._log_queries = load_queries("logs")
        queue_bytes.set_function(lambda: self._queue.bytes)

    async def put(self, frame: Frame) -> None:
        """Queue a frame; waits while the queue is full."""
        await self._queue.put(frame)

    async def open_stream(self, server_id: int, stream: str, also_open: Iterable[str] = ()) -> int:
        """Return the stream's last committed sequence, 0 for a new one.

        A server keeps MAX_STREAMS marks: those it used longest ago are given up for a new one, but never one of
        `also_open`. Raises `TooManyStreamsError` when all are.
        """
        others = {name for name in also_open if name != stream}
        if len(others) >= MAX_STREAMS:
            raise TooManyStreamsError
        opened = await self._queries.open_stream(
            self._database,
            server_id=server_id,
            stream=stream,
            also_open=list(others),
            kept=MAX_STREAMS - 1 - len(others),
        )
        for retired in opened["retired"]:
            self._marks.pop((server_id, retired), None)
            streams_retired.inc()
        mark: int = opened["last_sequence"]
        self._marks[server_id, stream] = max(mark, self._marks.get((server_id, stream), 0))
        return mark

    async def run(self) -> None:
        while True:
            first = await self._queue.take(MAX_BATCH_BYTES)
            if len(first) == 1 and not self._queue:
                # Let the others of this moment arrive: one transaction for many agents.
                await asyncio.sleep(BATCH_WINDOW_S)
                size = MAX_BATCH_BYTES - first[0].size
                first += await self._queue.take(size) if self._queue else []
            await self._store(first)

    async def _store(self, frames: list[Frame]) -> None:
        """Return when every frame is committed, known to be committed before, or refused for good.

        Rows that the database refuses are tried twice: in their batch, then alone. Then only the frame's mark moves.
        """
        wait = RETRY_MIN_S
        marks_moved = False
        refusal: Exception | None = None
        while True:
            try:
                if marks_moved:
                    frames = await self._reread_marks(frames)
                    marks_moved = False
                fresh = self._drop_repeated(frames)
                if not fresh:
                    return
                with batch_seconds.time():
                    await self._commit(fresh, with_rows=refusal is None)
            except _MarksMovedError:
                batches_retried.labels("marks_moved").inc()
                marks_moved = True
            except Exception as error:  # whatever is wrong with these rows must not stop the others
                if isinstance(error, _TRANSIENT) or refusal is not None:
                    if not isinstance(error, DatabaseUnavailableError):
                        # Not even the mark alone is taken: it is not the rows' fault, and they are tried again.
                        refusal = None
                    batches_retried.labels("database").inc()
                    log.warning("%d frames wait for the database: %s", len(frames), error)
                    await asyncio.sleep(wait)
                    wait = min(RETRY_MAX_S, wait * 2)
                elif len(fresh) == 1:
                    refusal = error
                else:
                    batches_retried.labels("refused").inc()
                    for frame in frames:
                        await self._store([frame])
                    return
            else:
                if refusal is None:
                    self._committed(fresh)
                else:
                    self._refused(fresh[0], refusal)
                # What stood in the batch twice came by another connection, which waits for its answer too.
                for frame in frames:
                    frame.origin.acknowledge(self._marks[frame.stream_key])
                return

    def _drop_repeated(self, frames: list[Frame]) -> list[Frame]:
        """Acknowledge and leave out what is stored already; leave out what stands in this batch twice."""
        seen: dict[tuple[int, str], int] = {}
        fresh: list[Frame] = []
        for frame in frames:
            mark = self._marks.get(frame.stream_key, 0)
            if frame.sequence <= mark:
                frame.origin.acknowledge(mark)
                frames_repeated.inc()
            elif frame.sequence > seen.get(frame.stream_key, 0):
                seen[frame.stream_key] = frame.sequence
                fresh.append(frame)
        return fresh

    async def _commit(self, frames: list[Frame], *, with_rows: bool = True) -> None:
        newest = {frame.stream_key: frame.sequence for frame in frames}
        # One order for all writers, so that two never wait for each other's marks.
        keys = sorted(newest)
        async with self._database.transaction() as transaction:
            advanced = await self._queries.advance_marks(
                transaction,
                server_ids=[server_id for server_id, _ in keys],
                streams=[stream for _, stream in keys],
                expected=[self._marks.get(key, 0) for key in keys],
                following=[newest[key] for key in keys],
            )
            if advanced != len(keys):
                raise _MarksMovedError
            for name, (columns, values) in tables_of(frames).items() if with_rows else ():
                await transaction.insert_columns(name, columns, values)
            if with_rows and (lines := lines_of(frames)):
                await self._log_queries.insert_log_lines(transaction, **lines)
            late = late_stretches(frames, self._clock() - LATE_S)
            if late:
                server_ids = list(late)
                oldest, newest_late = zip(*late.values(), strict=True)
                await self._queries.note_late_readings(
                    transaction, server_ids=server_ids, oldest=list(oldest), newest=list(newest_late)
                )
        self._marks.update(newest)

    def _committed(self, frames: list[Frame]) -> None:
        stored: Counts[str] = Counts()
        for frame in frames:
            for name, (_, rows) in frame.rows.items():
                stored[name] += len(rows)
            stored[LOG] += len(frame.lines)
        for name, count in stored.items():
            rows_stored.labels(name).inc(count)
        frames_stored.inc(len(frames))
        limit = datetime.fromtimestamp(self._clock() - LATE_S, UTC)
        frames_late.inc(sum(bool(frame.rows) and frame.time < limit for frame in frames))
        self._on_committed(frames)

    async def _reread_marks(self, frames: list[Frame]) -> list[Frame]:
        """Learn the marks anew; frames whose server was deleted, or whose mark was given up, are dropped."""
        keys = sorted({frame.stream_key for frame in frames})
        marks = {
            (row["server_id"], row["stream"]): row["last_sequence"]
            async for row in self._queries.read_marks(
                self._database, server_ids=[key[0] for key in keys], streams=[key[1] for key in keys]
            )
        }
        for key in keys:
            if key in marks:
                self._marks[key] = marks[key]
            else:
                self._marks.pop(key, None)
        for frame in frames:
            if frame.stream_key not in marks:
                frame.origin.mark_is_gone()
        return [frame for frame in frames if frame.stream_key in marks]

    def _refused(self, frame: Frame, error: Exception) -> None:
        log.error("frame %d of server %d cannot be stored and is refused: %s", frame.sequence, frame.server_id, error)
        frames_refused.inc()
        frame.origin.refuse_frame(frame.sequence, "the database does not take these rows")


def lines_of(frames: list[Frame]) -> dict[str, list[object]]:
    """All frames' log lines as the parameters of `insert_log_lines`; empty without any."""
    lines = [(frame.server_id, line) for frame in frames for line in frame.lines]
    if not lines:
        return {}
    return {
        "times": [line[0] for _, line in lines],
        "server_ids": [server_id for server_id, _ in lines],
        "sources": [line[1] for _, line in lines],
        "levels": [line[2] for _, line in lines],
        "messages": [line[3] for _, line in lines],
    }


def late_stretches(frames: list[Frame], before: float) -> dict[int, tuple[datetime, datetime]]:
    """Per server the oldest and newest reading from before a moment (Unix seconds)."""
    limit = datetime.fromtimestamp(before, UTC)
    stretches: dict[int, tuple[datetime, datetime]] = {}
    for frame in frames:
        if frame.rows and frame.time < limit:
            oldest, newest = stretches.get(frame.server_id, (frame.time, frame.time))
            stretches[frame.server_id] = (min(oldest, frame.time), max(newest, frame.time))
    return stretches


def tables_of(frames: list[Frame]) -> dict[str, tuple[list[str], list[list[object]]]]:
    """Per measurement the column names and the values of all frames' rows."""
    times: dict[str, list[object]] = defaultdict(list)
    server_ids: dict[str, list[object]] = defaultdict(list)
    groups: dict[str, list[tuple[RowReader, list[Row]]]] = defaultdict(list)
    for frame in frames:
        for name, (reader, rows) in frame.rows.items():
            times[name].extend([frame.time] * len(rows))
            server_ids[name].extend([frame.server_id] * len(rows))
            if groups[name] and groups[name][-1][0].offered == reader.offered:
                groups[name][-1][1].extend(rows)
            else:
                groups[name].append((reader, list(rows)))
    return {
        name: (
            ["time", "server_id", *parts[0][0].measurement.columns],
            [times[name], server_ids[name], *columns_of(parts)],
        )
        for name, parts in groups.items()
    }
