"""The spool: every frame is on disk, under a sequence number that is never used again, before it is sent.

One thread calls it (the runner's worker); only `acknowledge` and `mark_sent` may come from another. One agent per
directory. When it is full the oldest frames are dropped, and counted.
"""

import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from chatops_agent import spool_file
from chatops_agent.collection import Rows
from chatops_agent.counters import Counters
from chatops_agent.frames import Frame, encode_frames
from chatops_agent.spool_directory import SpoolError, find_spool, lock_directory
from chatops_agent.spool_file import Mark, SpoolDamagedError, checksum_of, layout_number
from chatops_agent.spool_losses import Dropped, Losses, collected_at
from chatops_agent.spool_recovery import make_first, replace_damaged
from chatops_protocol.agent_messages import Layout

log = logging.getLogger("chatops_agent")
DELETE_AT_ONCE = 500
VACUUM_FROM_FREE_PAGES = 2048  # 8 MiB


class Spool:
    """`stream` and `layouts` are what `Authenticate` announces; `generation` changes when they did."""

    def __init__(
        self,
        directory: Path,
        max_bytes: int,
        layout: Layout,
        counters: Counters,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """Open the spool in `directory`, or make one. Raise `SpoolError`; a damaged spool is no error."""
        self._directory, self._max_bytes, self._layout = directory, max_bytes, layout
        self._counters, self._wall_clock = counters, wall_clock
        self._losses = Losses(counters)
        self._failing = False
        self.generation = 0
        self.closed = False
        self._lock = lock_directory(directory)
        try:
            self._use(find_spool(directory) or make_first(directory))
        except (OSError, sqlite3.Error, SpoolDamagedError) as error:
            os.close(self._lock)
            raise SpoolError(f"the spool in {directory} cannot be used ({error}); set CHATOPS_SPOOL_DIR") from error

    def _use(self, path: Path) -> None:
        try:
            connection = spool_file.open_spool_file(path)
        except SpoolDamagedError as damage:
            path = replace_damaged(path, str(damage), self._layout, self._wall_clock())
            connection = spool_file.open_spool_file(path)
        self._connection, self._path = connection, path
        self.stream = spool_file.stream_of(path)
        self._register_layout()
        self._next = spool_file.begin_use(connection)
        self._counters.spool_frames, self._counters.spool_bytes, lowest = connection.execute(
            "SELECT count(*), coalesce(sum(length(frame)), 0), coalesce(min(sequence), 1) FROM frames"
        ).fetchone()
        # `_settled`: counted as delivered, though maybe still in the file.
        self._acknowledged = self._settled = self._sent = lowest - 1
        self._deletable = 0
        self.generation += 1

    def _register_layout(self) -> None:
        """Keep the layouts of stored frames, and this version's."""
        self._layout_number = layout_number(self._layout)
        with self._transaction():
            self._connection.execute("DELETE FROM layouts WHERE number NOT IN (SELECT layout FROM frames)")
            self._connection.execute(
                "INSERT OR REPLACE INTO layouts VALUES (?, ?)",
                (self._layout_number, spool_file.encode_layout(self._layout)),
            )
        self.layouts = spool_file.read_layouts(self._connection)

    # -- writing -------------------------------------------------------------------------------------------------

    def append(self, rows: Rows, time: float) -> int:
        """Store one collection, taken at `time`. Return its number of frames: 0 when it was lost, which is counted."""
        stored = self._try_to_store(rows, time, {})
        if stored is None:
            self._counters.dropped_frames += 1
        return stored or 0

    def append_lines(self, rows: Rows, time: float, positions: Mapping[str, bytes | None]) -> bool:
        """Store log lines, and where to go on after them, both or neither. False: not now, the caller keeps them."""
        return self._try_to_store(rows, time, positions) is not None

    def positions(self) -> dict[str, bytes]:
        """What `append_lines` stored last, by what is followed."""
        try:
            return spool_file.read_positions(self._connection)
        except sqlite3.Error as error:
            self._recover_or_raise(error)
            return spool_file.read_positions(self._connection)

    def _try_to_store(self, rows: Rows, time: float, positions: Mapping[str, bytes | None]) -> int | None:
        try:
            return self._store(rows, time, positions)
        except sqlite3.Error as error:
            if spool_file.is_damage(error):
                self._recover_or_raise(error)
                return self._store(rows, time, positions)
            if not self._failing:
                log.warning("cannot write the spool (%s): collections are dropped and counted until it works", error)
            self._failing = True
            return None

    def _store(self, rows: Rows, time: float, positions: Mapping[str, bytes | None]) -> int:
        self.settle()
        frames: list[Frame] = []
        too_large = 0
        if rows or not positions:
            frames, too_large = encode_frames(rows, time, self._layout_number, self._next)
        size = sum(len(frame.data) for frame in frames)
        dropped = self._oldest(self._counters.spool_bytes + size - self._max_bytes)
        with self._transaction():
            self._connection.execute(
                "DELETE FROM frames WHERE sequence <= ?", (dropped[-1].sequence if dropped else self._settled,)
            )
            self._connection.executemany(
                "INSERT INTO frames VALUES (?, ?, ?, ?)",
                [(s, self._layout_number, checksum_of(s, self._layout_number, data), data) for s, data in frames],
            )
            spool_file.write_mark(self._connection, Mark(self._next + len(frames) - 1, closed=False))
            spool_file.write_positions(self._connection, positions)
        self._next += len(frames)
        self._deletable = 0
        self._forget(len(dropped) - len(frames), sum(frame.size for frame in dropped) - size)
        self._losses.spool_was_full(dropped, self._sent)
        self._counters.dropped_frames += too_large
        if self._failing:
            self._failing = False
            log.info("the spool can be written again")
        return len(frames)

    def _oldest(self, excess: int) -> list[Dropped]:
        """The oldest frames that hold `excess` bytes together."""
        dropped: list[Dropped] = []
        if excess > 0:
            for sequence, frame in self._connection.execute(
                "SELECT sequence, frame FROM frames WHERE sequence > ? ORDER BY sequence", (self._settled,)
            ):
                dropped.append(Dropped(sequence, len(frame), collected_at(frame)))
                excess -= len(frame)
                if excess <= 0:
                    break
        return dropped

    # -- sending -------------------------------------------------------------------------------------------------

    def read(self, after: int, max_frames: int, max_bytes: int) -> list[Frame]:
        """The stored frames after sequence `after`, in order: within the limits, but at least one if there is any.

        A frame whose checksum is wrong is dropped and counted. A damaged file is replaced, and `generation` grows.
        """
        try:
            self.settle()
            return self._read(after, max_frames, max_bytes)
        except sqlite3.Error as error:
            self._recover_or_raise(error)
            return []

    def _read(self, after: int, max_frames: int, max_bytes: int) -> list[Frame]:
        frames: list[Frame] = []
        broken: list[tuple[int, int]] = []
        for sequence, layout, checksum, data in self._connection.execute(
            "SELECT sequence, layout, checksum, frame FROM frames WHERE sequence > ? ORDER BY sequence LIMIT ?",
            (after, max_frames),
        ):
            if layout not in self.layouts or checksum != checksum_of(sequence, layout, data):
                broken.append((sequence, len(data)))
                continue
            max_bytes -= len(data)
            if frames and max_bytes < 0:
                break
            frames.append(Frame(sequence, data))
        if broken:
            self._drop_broken(broken)
            return frames or self._read(broken[-1][0], max_frames, max_bytes)
        return frames

    def _drop_broken(self, broken: list[tuple[int, int]]) -> None:
        with self._transaction():
            self._connection.executemany(
                "DELETE FROM frames WHERE sequence = ?", [(sequence,) for sequence, _ in broken]
            )
        self._forget(len(broken), sum(size for _, size in broken))
        self._counters.dropped_frames += len(broken)
        log.error("dropped %d frames of the spool whose content was damaged", len(broken))

    def mark_sent(self, sequence: int) -> None:
        self._sent = max(self._sent, sequence)

    def acknowledge(self, sequence: int) -> None:
        """Frames up to `sequence` are stored by the backend; they leave the disk with the next write."""
        self._acknowledged = max(self._acknowledged, min(sequence, self._sent))

    def resume(self, last_sequence: int) -> None:
        """A connection begins; the backend has this stream up to `last_sequence`. Like `read`, may replace the file."""
        try:
            self._resume(last_sequence)
        except sqlite3.Error as error:
            self._recover_or_raise(error)

    def _resume(self, last_sequence: int) -> None:
        if last_sequence >= self._next:
            log.warning("the spool was set back (restored from a copy?): what it holds was sent before, or is lost")
            self._counters.dropped_frames += self._counters.spool_frames
            self._next = last_sequence + 1
        self._losses.backend_has(last_sequence)
        self._sent = last_sequence
        self.acknowledge(last_sequence)
        self.settle()

    def settle(self) -> None:
        """Count what was acknowledged as gone; delete it when it is much."""
        acknowledged = self._acknowledged
        if acknowledged <= self._settled:
            return
        frames, size = self._connection.execute(
            "SELECT count(*), coalesce(sum(length(frame)), 0) FROM frames WHERE sequence > ? AND sequence <= ?",
            (self._settled, acknowledged),
        ).fetchone()
        self._settled = acknowledged
        self._forget(frames, size)
        self._deletable += frames
        if self._deletable >= DELETE_AT_ONCE:
            try:
                self._delete_settled()
                self._give_space_back()
            except sqlite3.OperationalError as error:
                # A full disk must not stop the sending; `append` says that it is full, and deletes when it is not.
                if spool_file.is_damage(error):
                    raise

    def _forget(self, frames: int, size: int) -> None:
        self._counters.spool_frames -= frames
        self._counters.spool_bytes -= size

    # -- keeping the file sound ----------------------------------------------------------------------------------

    def _delete_settled(self) -> None:
        with self._transaction():
            self._connection.execute("DELETE FROM frames WHERE sequence <= ?", (self._settled,))
        self._deletable = 0

    def _give_space_back(self) -> None:
        """After a long backlog the file is all free pages; rewriting the little that is left takes milliseconds."""
        free = self._connection.execute("PRAGMA freelist_count").fetchone()[0]
        if self._counters.spool_frames <= DELETE_AT_ONCE and free >= VACUUM_FROM_FREE_PAGES:
            self._connection.execute("VACUUM")

    def _recover_or_raise(self, error: sqlite3.Error) -> None:
        """If the file turned out to be damaged while in use, save what can be read and go on with a sound one."""
        if not spool_file.is_damage(error):
            raise error
        before, following = self._counters.spool_frames, self._next
        self._connection.close()
        try:
            self._use(replace_damaged(self._path, str(error), self._layout, self._wall_clock()))
        except (OSError, sqlite3.Error, SpoolDamagedError) as again:
            raise SpoolError(f"the spool in {self._directory} broke and cannot be replaced ({again})") from again
        # Even in a new stream: an acknowledgement still under way must not be taken for one of a new frame.
        self._next = max(self._next, following)
        self._counters.dropped_frames += max(0, before - self._counters.spool_frames)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def close(self) -> None:
        """Close in peace: the next start goes on with the next sequence."""
        try:
            self.settle()
            self._delete_settled()
            spool_file.write_mark(self._connection, Mark(self._next - 1, closed=True))
        except sqlite3.Error as error:
            log.warning("cannot close the spool in peace (%s); the next start will check it", error)
        finally:
            self.closed = True
            self._connection.close()
            os.close(self._lock)
