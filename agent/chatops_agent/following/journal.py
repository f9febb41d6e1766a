"""Follows the systemd journal through `journalctl`, from the last entry that was spooled. The pipe is the queue.

The child is given fixed arguments and no shell. When it ends it is started again, later each time.
"""

import contextlib
import fcntl
import logging
import os
import select
import shutil
import subprocess
import time
from collections.abc import Callable
from typing import Any

from msgspec import DecodeError, json

from chatops_agent.following.formats import SYSLOG_LEVELS
from chatops_agent.following.lines import KEPT_BYTES, Row, as_text
from chatops_protocol.log_lines import MAX_SOURCE_LENGTH, Level

log = logging.getLogger("chatops_agent")

SOURCE = "journal"
_FIELDS = "MESSAGE,PRIORITY,_SYSTEMD_UNIT,SYSLOG_IDENTIFIER"
_PIPE_BYTES = _MOST_BYTES_AT_ONCE = 1 << 20
# An entry with a core dump in it is left out: its message is no line.
_MOST_ENTRY_BYTES = 1 << 20
# Whoever is behind for so long does not catch up any more.
BEHIND_FOR_S = 300.0
_LEFT_OUT_AT_ONCE = 20_000
_RETRY_MIN_S, _RETRY_MAX_S = 5.0, 300.0
_MORE_COMES_WITHIN_S = 0.02


class Journal:
    """`read` returns rows; `position` is the cursor of the last entry read."""

    source = SOURCE

    def __init__(
        self, secret: str, position: bytes | None, *, command: str | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._secret, self._monotonic = secret, monotonic
        self._cursor = position.decode("utf-8", "replace") if position else ""
        self._command = command or shutil.which("journalctl")
        self._child: subprocess.Popen[bytes] | None = None
        self._buffer = bytearray()
        self._too_long = False
        self._start_at = 0.0
        self._retry_s = _RETRY_MIN_S
        self._behind_since: float | None = None
        self._left_out = 0
        self._answered = False
        if self._command is None:
            log.warning("CHATOPS_LOG_JOURNAL is set, but this host has no journalctl: the journal is not followed")

    @property
    def position(self) -> bytes:
        return self._cursor.encode()

    def read(self, most: int, now: float) -> list[Row]:
        """At most so many new entries."""
        if self._command is None or not self._is_running():
            return []
        rows: list[Row] = []
        give_up = self._behind_since is not None and self._monotonic() - self._behind_since > BEHIND_FOR_S
        if give_up:
            self._left_out += self._leave_out()
        held = 0
        while len(rows) < most and held < _MOST_BYTES_AT_ONCE:
            entry = self._next_entry()
            if entry is None:
                self._behind_since = None
                break
            row = self._row(entry, now)
            if row is not None:
                rows.append(row)
                held += len(entry)
        else:
            self._behind_since = self._behind_since or self._monotonic()
        if self._left_out and self._behind_since is None:
            words = f"chatops agent: {self._left_out:,} entries are left out here: they came faster than they are sent"
            rows.insert(0, [now, SOURCE, "warning", words])
            self._left_out = 0
        return rows

    def close(self) -> None:
        if self._child is None:
            return
        self._child.terminate()
        try:
            self._child.wait(1)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        if self._child.stdout is not None:
            self._child.stdout.close()
        self._child = None

    # -- the child -----------------------------------------------------------------------------------------------

    def _is_running(self) -> bool:
        if self._child is not None:
            return True
        if self._monotonic() < self._start_at:
            return False
        assert self._command is not None
        since = [f"--after-cursor={self._cursor}"] if self._cursor else ["--lines=0"]
        try:
            self._child = subprocess.Popen(  # noqa: S603 - fixed arguments
                [
                    self._command,
                    "--output=json",
                    "--follow",
                    "--all",
                    "--no-pager",
                    f"--output-fields={_FIELDS}",
                    *since,
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={"PATH": os.defpath, "LC_ALL": "C"},
            )
        except OSError as error:
            log.warning("journalctl cannot be started (%s); trying again", error.strerror)
            self._try_later()
            return False
        self._answered = False
        assert self._child.stdout is not None
        os.set_blocking(self._child.stdout.fileno(), False)
        with contextlib.suppress(OSError):  # the default holds a tenth of a second of a busy journal
            fcntl.fcntl(self._child.stdout.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        return True

    def _ended(self) -> None:
        assert self._child is not None
        code = self._child.wait()
        self.close()
        self._buffer.clear()
        if code and self._cursor and not self._answered:
            log.warning("journalctl ended with code %d at once: its position is given up, entries may be missing", code)
            self._cursor = ""
        else:
            log.warning("journalctl ended with code %d; starting it again", code)
        self._try_later()

    def _try_later(self) -> None:
        self._start_at = self._monotonic() + self._retry_s
        self._retry_s = min(_RETRY_MAX_S, self._retry_s * 2)

    # -- entries -------------------------------------------------------------------------------------------------

    def _next_entry(self) -> bytes | None:
        searched = 0
        while True:
            end = self._buffer.find(b"\n", searched)
            if end >= 0:
                entry = bytes(self._buffer[:end])
                del self._buffer[: end + 1]
                if not self._too_long:
                    return entry
                self._too_long = False
                self._left_out += 1
                searched = 0
                continue
            searched = len(self._buffer)
            if searched > _MOST_ENTRY_BYTES:
                self._too_long = True
                self._buffer.clear()
                searched = 0
            if not self._read_more():
                return None

    def _read_more(self) -> bool:
        if self._child is None or self._child.stdout is None:
            return False
        descriptor = self._child.stdout.fileno()
        if not select.select([descriptor], [], [], _MORE_COMES_WITHIN_S if self._behind_since else 0)[0]:
            return False
        block = os.read(descriptor, 65_536)
        if not block:
            self._ended()
            return False
        self._buffer += block
        self._answered = True
        self._retry_s = _RETRY_MIN_S
        return True

    def _leave_out(self) -> int:
        left_out = 0
        while left_out < _LEFT_OUT_AT_ONCE:
            entry = self._next_entry()
            if entry is None:
                self._behind_since = None
                break
            self._row(entry, 0.0)
            left_out += 1
        return left_out

    def _row(self, encoded: bytes, now: float) -> Row | None:
        try:
            entry: Any = json.decode(encoded)
        except (DecodeError, UnicodeDecodeError, RecursionError):
            return None
        if not isinstance(entry, dict) or not isinstance(entry.get("__CURSOR"), str):
            return None
        self._cursor = entry["__CURSOR"]
        raw = _bytes_of(entry.get("MESSAGE"))
        name = entry.get("_SYSTEMD_UNIT") or entry.get("SYSLOG_IDENTIFIER")
        source = f"{SOURCE}:{name}" if isinstance(name, str) else SOURCE
        text = as_text(raw[:KEPT_BYTES], len(raw), self._secret)
        return [_time_of(entry, now), source[:MAX_SOURCE_LENGTH].replace("\0", "\ufffd"), _level_of(entry), text]


def _bytes_of(message: Any) -> bytes:
    """A list of numbers when it is not UTF-8; several values when an entry has several."""
    if isinstance(message, str):
        return message.encode("utf-8", "replace")
    if isinstance(message, list):
        if all(isinstance(byte, int) and 0 <= byte < 256 for byte in message):
            return bytes(message)
        return b"\n".join(_bytes_of(part) for part in message)
    return b""


def _time_of(entry: dict[str, Any], now: float) -> float:
    try:
        return int(entry["__REALTIME_TIMESTAMP"]) / 1e6
    except (KeyError, TypeError, ValueError):
        return now


def _level_of(entry: dict[str, Any]) -> Level | None:
    priority = entry.get("PRIORITY")
    return SYSLOG_LEVELS[int(priority)] if isinstance(priority, str) and priority in "01234567" and priority else None
