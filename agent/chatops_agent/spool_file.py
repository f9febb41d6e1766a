"""The spool's SQLite file: its tables, how it is made, opened and judged sound. Used by the `spool…` modules only.

The file's name carries the stream's id, so that no damage inside can lose it. What SQLite would not notice (a flipped
bit in a value, a log that lost its end) is found by checksums, and by a mark that says whether the file was closed in
peace.
"""

import os
import sqlite3
import stat
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from msgspec import DecodeError, json

from chatops_protocol.agent_messages import Layout

SCHEMA = """
CREATE TABLE frames (
    sequence INTEGER PRIMARY KEY,
    layout INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    frame BLOB NOT NULL
);
CREATE TABLE layouts (number INTEGER PRIMARY KEY, columns BLOB NOT NULL);
CREATE TABLE mark (highest INTEGER NOT NULL, closed INTEGER NOT NULL, checksum INTEGER NOT NULL);
INSERT INTO mark VALUES (0, 1, 0);
"""
# Of what is followed line by line, where to go on. A spool of an agent that followed nothing lacks it.
POSITIONS = """
CREATE TABLE IF NOT EXISTS positions (source BLOB PRIMARY KEY, position BLOB NOT NULL, checksum INTEGER NOT NULL)
"""
PREFIX, SUFFIX = "spool-", ".sqlite3"
BUILDING = "spool.tmp"
COMPANIONS = ("-wal", "-shm", "-journal")
BUSY_S = 1.0
# What a start after a kill adds to the highest sequence it finds: a log that lost its end (at most 1,000 pages, and a
# frame takes three) hides sequences that were sent, and none may be used twice.
SEQUENCES_SKIPPED = 1_000_000


class SpoolDamagedError(Exception):
    """The file's content cannot be trusted."""


class Mark(NamedTuple):
    """The highest sequence ever given out, and whether the last user closed the file in peace."""

    highest: int
    closed: bool


def spool_path(directory: Path, stream: str) -> Path:
    return directory / f"{PREFIX}{stream}{SUFFIX}"


def stream_of(path: Path) -> str:
    return path.name.removeprefix(PREFIX).removesuffix(SUFFIX)


def create_spool_file(path: Path) -> sqlite3.Connection:
    """Begin a spool at `path`, which must not exist. Once closed, `put_in_place` makes it the one in use.

    Until then a crash costs nothing, so nothing is journalled: a full one would be written three times over.
    """
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=OFF")
    connection.execute("PRAGMA synchronous=OFF")
    connection.executescript(SCHEMA)
    write_mark(connection, Mark(0, closed=True))
    return connection


def open_spool_file(path: Path) -> sqlite3.Connection:
    """Open and check. Raise `SpoolDamagedError`, or `sqlite3.Error` when the disk is at fault and not the content."""
    if not stat.S_ISREG(path.lstat().st_mode):
        raise SpoolDamagedError("it is not a file")
    connection = None
    try:
        connection = _connect(path)
        _check_structure(connection)
        read_mark(connection)
        read_layouts(connection)
        connection.execute("SELECT sequence, layout, checksum, frame FROM frames LIMIT 1").fetchone()
    except SpoolDamagedError:
        if connection:
            connection.close()
        raise
    except sqlite3.Error as error:
        if connection:
            connection.close()
        if code_of(error) in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise
        raise SpoolDamagedError(str(error)) from error
    return connection


def _check_structure(connection: sqlite3.Connection) -> None:
    problem = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if problem != b"ok":
        raise SpoolDamagedError(problem.decode("utf-8", "replace").replace("\n", " "))


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=BUSY_S)
    connection.text_factory = bytes  # we store no text; what looks like it is a damaged value, found by its checksum
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        # FULL: the frame is on disk when `append` returns, even if the power fails then.
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(
            "PRAGMA cache_size=-256"
        )  # KiB; the default of 2 MiB is a twentieth of what the agent may use
        connection.execute("PRAGMA journal_size_limit=4194304")
        connection.execute(POSITIONS)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def code_of(error: sqlite3.Error) -> int:
    """SQLite's primary result code; errors that Python's module raises by itself have none, and are the content's."""
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
    return code & 0xFF


def is_damage(error: Exception) -> bool:
    """Whether an error of a file in use says that its content is broken (and not its disk full or gone)."""
    return isinstance(error, sqlite3.Error) and code_of(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def read_mark(connection: sqlite3.Connection) -> Mark:
    rows = connection.execute("SELECT highest, closed, checksum FROM mark").fetchall()
    if len(rows) != 1 or not all(isinstance(value, int) for value in rows[0]):
        raise SpoolDamagedError("its mark is missing")
    highest, closed, checksum = rows[0]
    if checksum != _mark_checksum(Mark(highest, bool(closed))):
        raise SpoolDamagedError("its mark is wrong")
    return Mark(highest, bool(closed))


def write_mark(connection: sqlite3.Connection, mark: Mark) -> None:
    connection.execute("UPDATE mark SET highest = ?, closed = ?, checksum = ?", (*mark, _mark_checksum(mark)))


def _mark_checksum(mark: Mark) -> int:
    return zlib.crc32(b"%d:%d" % mark)


def begin_use(connection: sqlite3.Connection) -> int:
    """Return the first sequence that surely was never given out. From here on the file is not closed in peace."""
    mark = read_mark(connection)
    highest = mark.highest if mark.closed else mark.highest + SEQUENCES_SKIPPED
    write_mark(connection, Mark(highest, closed=False))
    # Into the file itself: were it only in the log, losing the log would bring the old mark back.
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return highest + 1


def checksum_of(sequence: int, layout: int, frame: bytes) -> int:
    return zlib.crc32(frame, zlib.crc32(b"%d:%d" % (sequence, layout)))


def layout_number(layout: Layout) -> int:
    """A layout's number follows from its columns, so that frames whose layout table is lost can still be read."""
    return zlib.crc32(encode_layout(layout)) or 1


def encode_layout(layout: Layout) -> bytes:
    return json.encode(layout, order="deterministic")


def read_layouts(connection: sqlite3.Connection) -> dict[int, Layout]:
    """The stored layouts whose columns are what their number says."""
    layouts: dict[int, Layout] = {}
    for number, columns in connection.execute("SELECT number, columns FROM layouts"):
        try:
            layout = json.decode(columns, type=Layout)
        except (DecodeError, TypeError):
            continue
        if layout_number(layout) == number:
            layouts[number] = layout
    return layouts


def read_positions(connection: sqlite3.Connection) -> dict[str, bytes]:
    """The positions whose checksum is right, by what is followed."""
    positions: dict[str, bytes] = {}
    for source, position, checksum in connection.execute("SELECT source, position, checksum FROM positions"):
        if isinstance(source, bytes) and isinstance(position, bytes) and checksum == zlib.crc32(position, len(source)):
            positions[os.fsdecode(source)] = position
    return positions


def write_positions(connection: sqlite3.Connection, positions: Mapping[str, bytes | None]) -> None:
    """None forgets one."""
    forgotten = [(os.fsencode(source),) for source, position in positions.items() if position is None]
    connection.executemany("DELETE FROM positions WHERE source = ?", forgotten)
    rows = [(os.fsencode(source), position) for source, position in positions.items() if position is not None]
    connection.executemany(
        "INSERT OR REPLACE INTO positions VALUES (?, ?, ?)",
        [(source, position, zlib.crc32(position, len(source))) for source, position in rows],
    )


def put_in_place(building: Path, path: Path) -> Path:
    """Rename a finished file so that a power failure leaves either no file or a whole one."""
    _sync(building)
    building.rename(path)
    _sync(path.parent)
    return path


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
