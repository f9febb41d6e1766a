"""Brings new log lines into the spool, each batch in one transaction with the positions it was read up to.

So a line is in the spool if and only if its position is past it, whatever is killed when. The worker's thread calls
`poll`; a batch that the spool does not take is kept and tried again, and nothing is read meanwhile.
"""

import logging
import time
from collections.abc import Callable
from fnmatch import fnmatch
from glob import iglob
from pathlib import Path
from typing import Protocol

from chatops_agent.counters import Counters
from chatops_agent.following.journal import SOURCE as JOURNAL
from chatops_agent.following.journal import Journal
from chatops_agent.following.lines import Row
from chatops_agent.following.log_file import COMPRESSED, IDLE_S, ROTATED, LogFile
from chatops_agent.settings import Settings
from chatops_agent.spool import Spool
from chatops_protocol.log_lines import LOG

log = logging.getLogger("chatops_agent")

POLL_S = 1.0
LOOK_FOR_FILES_S = 10.0
MOST_FILES = 200
MOST_BYTES_AT_ONCE = 4 << 20
# A file that is not followed for now: its lines wait on the disk where they are.
PAUSE_FROM_SHARE = 0.5
_PATTERN_KEY, _FILE_KEY = "pattern:", "file:"


class Source(Protocol):
    @property
    def position(self) -> bytes: ...

    def read(self, most: int, now: float) -> list[Row]: ...

    def close(self) -> None: ...


class Feed:
    """`poll` every second."""

    def __init__(
        self,
        settings: Settings,
        spool: Spool,
        counters: Counters,
        wall_clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings, self._spool, self._counters = settings, spool, counters
        self._wall_clock, self._monotonic = wall_clock, monotonic
        self._stored = spool.positions()
        self._sources: dict[str, Source] = {}
        self._allowances: dict[str, _Allowance] = {}
        self._looked_at: float | None = None
        self._pending: tuple[list[Row], dict[str, bytes | None]] | None = None
        self._named = {_FILE_KEY + pattern for pattern in settings.log_files}
        self._forgotten: set[str] = set()
        self._paused = False
        self._turn = 0
        if settings.log_journal:
            self._follow(JOURNAL, Journal(settings.api_key, self._stored.get(JOURNAL)))

    def poll(self) -> bool:
        """Spool what is new; return whether there was something."""
        now = self._wall_clock()
        if self._pending is None:
            if self._spool_is_half_full():
                return False
            self._look_for_files()
            self._pending = self._read(now)
        rows, positions = self._pending
        if not rows and not positions:
            self._pending = None
            return False
        if not self._spool.append_lines({LOG: rows} if rows else {}, now, positions):
            return False
        for key, position in positions.items():
            if position is None:
                self._stored.pop(key, None)
            else:
                self._stored[key] = position
        self._pending = None
        return bool(rows)

    def close(self) -> None:
        for source in self._sources.values():
            source.close()

    def _read(self, now: float) -> tuple[list[Row], dict[str, bytes | None]]:
        rows: list[Row] = []
        positions: dict[str, bytes | None] = dict.fromkeys(self._forgotten)
        self._forgotten.clear()
        for pattern in self._settings.log_files:
            if _PATTERN_KEY + pattern not in self._stored:
                positions[_PATTERN_KEY + pattern] = b""
        held = 0
        # Each time another one is first, so that a loud one does not keep the others from their turn.
        keys = list(self._sources)
        self._turn = (self._turn + 1) % max(1, len(keys))
        for key in keys[self._turn :] + keys[: self._turn]:
            if held >= MOST_BYTES_AT_ONCE:
                break
            source, allowance = self._sources[key], self._allowances[key]
            try:
                read = source.read(allowance.lines(self._monotonic()), now)
            except OSError as error:
                self._counters.log_once(key, str(error), "cannot follow %s: %s (not repeated)")
                continue
            allowance.used(len(read))
            rows += read
            held += sum(len(row[3]) for row in read)
            position = source.position
            if position != self._stored.get(key):
                positions[key] = position
        return rows, positions

    def _look_for_files(self) -> None:
        now = self._monotonic()
        if self._looked_at is not None and now - self._looked_at < LOOK_FOR_FILES_S:
            return
        first = self._looked_at is None
        self._looked_at = now
        self._close_what_is_over()
        if first:
            self._take_up_again()
        for pattern in self._settings.log_files:
            # A file that came while the agent was away, or since it looked last, is read from its start.
            is_known = not first or _PATTERN_KEY + pattern in self._stored
            for path in _matches(pattern):
                key = _FILE_KEY + path
                # Those that are idle were read to their end before they were let go.
                if key in self._sources or (key in self._stored and _is_idle(path, self._wall_clock())):
                    continue
                if len(self._sources) >= MOST_FILES:
                    self._counters.log_once(
                        pattern, f"more than {MOST_FILES} files", "not all that %s matches is followed: %s"
                    )
                    break
                self._follow_file(path, from_start=is_known)

    def _take_up_again(self) -> None:
        """What was followed before goes on even if its path is not there: it may have been renamed, and not be read to
        its end. What is not wanted any more is forgotten."""
        patterns = self._settings.log_files
        for key in self._stored:
            if key.startswith(_FILE_KEY):
                path = key.removeprefix(_FILE_KEY)
                if not any(path == pattern or fnmatch(path, pattern) for pattern in patterns):
                    self._forgotten.add(key)
                else:
                    self._follow_file(path, from_start=True)

    def _follow_file(self, path: str, *, from_start: bool) -> None:
        key = _FILE_KEY + path
        position = self._stored.get(key)
        self._follow(
            key,
            LogFile(Path(path), self._settings.api_key, position, from_start=from_start, monotonic=self._monotonic),
        )

    def _close_what_is_over(self) -> None:
        for key, source in list(self._sources.items()):
            if isinstance(source, LogFile) and key not in self._named and source.is_over(self._wall_clock()):
                if source.is_gone:
                    self._forgotten.add(key)
                source.close()
                del self._sources[key], self._allowances[key]

    def _follow(self, key: str, source: Source) -> None:
        self._sources[key] = source
        self._allowances[key] = _Allowance(self._settings.log_lines_per_s, self._monotonic())

    def _spool_is_half_full(self) -> bool:
        """Lines of a long time without backend must not crowd out the readings: they stay in their files."""
        full = self._counters.spool_bytes > PAUSE_FROM_SHARE * self._settings.spool_max_bytes
        if full != self._paused:
            self._paused = full
            log.warning("the spool is half full: logs wait in their files" if full else "logs are followed again")
        return full


class _Allowance:
    """How many lines of one source may be sent: so many a second, and those of ten seconds at once."""

    def __init__(self, per_s: float, now: float) -> None:
        self._per_s, self._most = per_s, per_s * 10
        self._left, self._at = self._most, now

    def lines(self, now: float) -> int:
        self._left = min(self._most, self._left + (now - self._at) * self._per_s)
        self._at = now
        return max(0, int(self._left))

    def used(self, lines: int) -> None:
        self._left -= lines


def _matches(pattern: str) -> list[str]:
    """The files of a path or a glob. What rotation leaves behind is followed as part of the file it was."""
    if not any(c in pattern for c in "*?["):
        return [pattern]
    found = [
        path
        for path in iglob(pattern, recursive=True)  # noqa: PTH207 - an absolute pattern is not relative to a Path
        if not path.endswith(COMPRESSED) and not _is_rotated(path) and Path(path).is_file()
    ]
    # The newest first: there may be more than are followed.
    return sorted(found, key=_modified_at, reverse=True)


def _modified_at(path: str) -> float:
    try:
        return Path(path).stat().st_mtime
    except OSError:
        return 0.0


def _is_idle(path: str, now: float) -> bool:
    """Whether a file is there, and was not written to for long."""
    return 0.0 < _modified_at(path) < now - IDLE_S


def _is_rotated(path: str) -> bool:
    match = ROTATED.search(Path(path).name)
    return match is not None and match.start() > 0
