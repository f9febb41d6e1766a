"""Remembers orders on disk, so that each is carried out at most once whatever dies. Only `orders.py` uses it.

An order is written before it begins and again when it has ended. What a start finds begun and not ended is unknown for
ever. Old ones are forgotten; so that none of them could come again, nothing issued before the newest forgotten one is
taken, nor, with an empty ledger, anything issued before the backend was first met.
"""

import logging
import sqlite3
import time
from pathlib import Path
from typing import NamedTuple, cast

from chatops_protocol.control_messages import EndState, Order, OrderFinished

log = logging.getLogger("chatops_agent")

FILE_NAME = "orders.sqlite3"
REMEMBERED = 10_000
_COMPANIONS = ("", "-wal", "-shm", "-journal")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS orders (
    nonce TEXT PRIMARY KEY,
    id INTEGER NOT NULL,
    issued_at REAL NOT NULL,
    state TEXT,
    exit_code INTEGER,
    detail TEXT NOT NULL DEFAULT '',
    duration_s REAL,
    stdout_bytes INTEGER NOT NULL DEFAULT 0,
    stderr_bytes INTEGER NOT NULL DEFAULT 0,
    reported INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS floor (issued_at REAL);
"""


class Interrupted(NamedTuple):
    """An order that was under way when the agent died."""

    id: int
    nonce: str


class Ledger:
    """Opened with the first order, or at the start when there are orders to tell of. One thread at a time."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE_NAME
        try:
            self._connection = _open(self._path)
            self.interrupted = self._end_interrupted()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError) and self._path.exists() and not _is_damage(error):
                raise
            aside = f"damaged-{int(time.time())}"
            for suffix in _COMPANIONS:
                damaged = self._path.with_name(self._path.name + suffix)
                if damaged.exists():
                    damaged.rename(damaged.with_name(f"{damaged.name}.{aside}"))
            log.error("the ledger of orders was damaged (%s); put aside as %s.%s", error, self._path, aside)  # noqa: TRY400
            self._connection = _open(self._path)
            self.interrupted = []

    def begin(self, order: Order) -> bool:
        """Write that the order begins. False: it was here before, or is too old to know whether it was."""
        floor = self._floor()
        if floor is None or order.issued_at <= floor:
            return False
        try:
            with self._connection:
                self._connection.execute(
                    "INSERT INTO orders (nonce, id, issued_at) VALUES (?, ?, ?)",
                    (order.nonce, order.id, order.issued_at),
                )
        except sqlite3.IntegrityError:
            return False
        return True

    def knows(self, nonce: str) -> bool:
        return self._connection.execute("SELECT 1 FROM orders WHERE nonce = ?", (nonce,)).fetchone() is not None

    def set_floor_if_new(self, now: float) -> None:
        """A new ledger cannot know what was carried out before it."""
        if self._floor() is None:
            with self._connection:
                self._connection.execute("INSERT INTO floor VALUES (?)", (now,))

    def finish(self, finished: OrderFinished) -> None:
        with self._connection:
            self._connection.execute(
                "UPDATE orders SET state = ?, exit_code = ?, detail = ?, duration_s = ?, stdout_bytes = ?,"
                " stderr_bytes = ? WHERE nonce = ? AND state IS NULL",
                (
                    finished.state,
                    finished.exit_code,
                    finished.detail,
                    finished.duration_s,
                    finished.stdout_bytes,
                    finished.stderr_bytes,
                    finished.nonce,
                ),
            )

    def outcome_of(self, nonce: str) -> OrderFinished | None:
        """How an order ended; None while it runs, or when it was never here."""
        row = self._connection.execute(f"{_SELECT} WHERE nonce = ? AND state IS NOT NULL", (nonce,)).fetchone()
        return _finished(row) if row is not None else None

    def unreported(self) -> list[OrderFinished]:
        """Ends that the backend has not confirmed yet, oldest first."""
        rows = self._connection.execute(f"{_SELECT} WHERE state IS NOT NULL AND NOT reported ORDER BY issued_at")
        return [_finished(row) for row in rows]

    def reported(self, nonce: str) -> None:
        with self._connection:
            self._connection.execute("UPDATE orders SET reported = 1 WHERE nonce = ? AND state IS NOT NULL", (nonce,))
            self._forget_old()

    def close(self) -> None:
        self._connection.close()

    def _floor(self) -> float | None:
        row = self._connection.execute("SELECT max(issued_at) FROM floor").fetchone()
        return cast("float | None", row[0])

    def _forget_old(self) -> None:
        many = self._connection.execute("SELECT count(*) FROM orders").fetchone()[0] - REMEMBERED
        if many <= REMEMBERED // 10:
            return
        newest = self._connection.execute(
            "SELECT issued_at FROM orders ORDER BY issued_at LIMIT 1 OFFSET ?", (many - 1,)
        ).fetchone()[0]
        self._connection.execute("UPDATE floor SET issued_at = max(issued_at, ?)", (newest,))
        self._connection.execute("DELETE FROM orders WHERE issued_at <= ? AND reported", (newest,))

    def _end_interrupted(self) -> list[Interrupted]:
        found = [
            Interrupted(*row) for row in self._connection.execute("SELECT id, nonce FROM orders WHERE state IS NULL")
        ]
        with self._connection:
            self._connection.execute(
                "UPDATE orders SET state = 'unknown', detail = 'the agent ended while this was under way'"
                " WHERE state IS NULL"
            )
        return found


def exists(directory: Path) -> bool:
    return (directory / FILE_NAME).exists()


_SELECT = "SELECT id, nonce, state, exit_code, detail, duration_s, stdout_bytes, stderr_bytes FROM orders"


def _finished(row: tuple[int, str, str, int | None, str, float | None, int, int]) -> OrderFinished:
    number, nonce, state, exit_code, detail, duration, stdout, stderr = row
    return OrderFinished(number, nonce, cast("EndState", state), exit_code, detail, duration, stdout, stderr)


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, check_same_thread=False, timeout=5.0)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        # FULL: what `begin` wrote is on disk before anything runs.
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA cache_size=-256")
        _check(connection)
        connection.executescript(_SCHEMA)
    except BaseException:
        connection.close()
        raise
    return connection


def _check(connection: sqlite3.Connection) -> None:
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise sqlite3.DatabaseError(verdict.replace("\n", " "))


def _is_damage(error: sqlite3.Error) -> bool:
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
    return code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)
