"""Makes a sound spool file: the first one of a directory, or one with what a damaged one still gives."""

import contextlib
import logging
import os
import secrets
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from chatops_agent import spool_file
from chatops_agent.spool_file import Mark, SpoolDamagedError, checksum_of, encode_layout, layout_number, spool_path
from chatops_protocol.agent_messages import Layout

log = logging.getLogger("chatops_agent")
# The agent must be collecting within 5 s of its start, whatever the spool looks like.
COPY_FOR_S = 2.5
KEPT_ASIDE = 3

StoredFrame = tuple[int, int, int, bytes]  # sequence, layout, checksum, frame


class Saved(NamedTuple):
    """`highest`: the highest sequence that was seen; None when none could be read."""

    frames: int
    highest: int | None


def make_first(directory: Path) -> Path:
    """Return the path of a new, empty spool of a new stream."""
    building = directory / spool_file.BUILDING
    _remove(building)
    spool_file.create_spool_file(building).close()
    return spool_file.put_in_place(building, spool_path(directory, secrets.token_hex(16)))


def replace_damaged(
    damaged: Path, reason: str, layout: Layout, now: float, monotonic: Callable[[], float] = time.monotonic
) -> Path:
    """Return the path of a sound spool in the same directory that holds the frames that could be saved.

    It keeps the stream if any sequence is known, so that the backend recognises what it has; else the stream is new.
    The damaged file is renamed, not changed. Raise OSError when the directory cannot be written.
    """
    building = damaged.with_name(spool_file.BUILDING)
    _remove(building)
    new = spool_file.create_spool_file(building)
    try:
        new.execute("BEGIN")
        deadline = monotonic() + COPY_FOR_S
        saved = _copy(damaged, new, layout, lambda: monotonic() > deadline)
        if saved.highest is not None:
            spool_file.write_mark(new, Mark(saved.highest, closed=False))
        new.execute("COMMIT")
    finally:
        new.close()
    stream = secrets.token_hex(16) if saved.highest is None else spool_file.stream_of(damaged)
    quarantine = _put_aside(damaged, f"damaged-{int(now)}-{secrets.token_hex(2)}")
    sound = spool_file.put_in_place(building, spool_path(damaged.parent, stream))
    log.error("the spool was damaged (%s): kept %d frames of it, put it aside as %s", reason, saved.frames, quarantine)
    return sound


def _copy(damaged: Path, new: sqlite3.Connection, layout: Layout, is_late: Callable[[], bool]) -> Saved:
    if not stat.S_ISREG(damaged.lstat().st_mode):  # opening a FIFO would block for ever
        return Saved(0, None)
    try:
        old = sqlite3.connect(f"{damaged.as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=spool_file.BUSY_S)
    except sqlite3.Error:
        return Saved(0, None)
    with contextlib.closing(old):
        old.text_factory = bytes
        # Without it SQLite reads nothing of a file that is shorter than its header says.
        old.execute("PRAGMA writable_schema=ON")
        return _copy_rows(old, new, layout, is_late)


def _copy_rows(old: sqlite3.Connection, new: sqlite3.Connection, layout: Layout, is_late: Callable[[], bool]) -> Saved:
    layouts = {layout_number(layout): layout}
    with contextlib.suppress(sqlite3.Error):
        layouts |= spool_file.read_layouts(old)
    for number, columns in layouts.items():
        new.execute("INSERT INTO layouts VALUES (?, ?)", (number, encode_layout(columns)))
    with contextlib.suppress(sqlite3.Error):
        positions = spool_file.read_positions(old)
        new.execute(spool_file.POSITIONS)
        spool_file.write_positions(new, positions)
    highest = None
    with contextlib.suppress(sqlite3.Error, SpoolDamagedError):
        highest = spool_file.read_mark(old).highest
    frames = 0
    for stored in _readable(old):
        if is_late():
            log.warning("copying the spool takes too long: its newer frames stay in the file that is put aside")
            break
        sequence, number, checksum, frame = stored
        if isinstance(frame, bytes) and number in layouts and checksum == checksum_of(sequence, number, frame):
            frames += new.execute("INSERT OR IGNORE INTO frames VALUES (?, ?, ?, ?)", stored).rowcount
            highest = max(highest or 0, sequence)
    return Saved(frames, highest)


def _readable(old: sqlite3.Connection) -> Iterator[StoredFrame]:
    """From the front to the damage, then from the back to it; some frames may come twice."""
    for statement in (
        "SELECT sequence, layout, checksum, frame FROM frames ORDER BY sequence",
        "SELECT sequence, layout, checksum, frame FROM frames ORDER BY sequence DESC",
    ):
        try:
            yield from old.execute(statement)
        except sqlite3.Error:
            continue
        else:
            return


def _put_aside(damaged: Path, suffix: str) -> str:
    """The write-ahead log goes first: left beside a new file it would be replayed into it."""
    target = damaged.with_name(f"{damaged.name}.{suffix}")
    for companion in (*spool_file.COMPANIONS, ""):
        beside = damaged.with_name(damaged.name + companion)
        if os.path.lexists(beside):
            beside.rename(target.with_name(target.name + companion))
    _keep_newest(damaged.parent)
    return target.name


def _keep_newest(directory: Path) -> None:
    """A disk that damages one spool after the other must not be filled with them."""
    files = [path for path in directory.glob("*.damaged-*") if path.is_file() and not path.is_symlink()]
    spools = [path for path in files if not path.name.endswith(spool_file.COMPANIONS)]
    for path in sorted(spools, key=lambda path: path.name.rsplit(".damaged-", 1)[1])[:-KEPT_ASIDE]:
        _remove(path)


def _remove(path: Path) -> None:
    for companion in ("", *spool_file.COMPANIONS):
        path.with_name(path.name + companion).unlink(missing_ok=True)
