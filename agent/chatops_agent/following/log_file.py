"""Follows one path through rotation: rename and create, or copy and truncate. Loses no line of what is still there.

What is read, and from where, is a list of places: the file at the path, and before it those that were renamed away, as
long as something may still be written to them. The list is the position that the spool keeps.
"""

import os
import re
import time
from collections.abc import Callable
from pathlib import Path

from msgspec import DecodeError, Struct, json

from chatops_agent.following.lines import Lines, Row
from chatops_agent.following.opened_file import OpenedFile, Place
from chatops_protocol.log_lines import MAX_SOURCE_LENGTH

# A program writes to a renamed file until it is told to open the new one.
STILL_WRITTEN_FOR_S = 10.0
# The file is the queue: what is further behind than this was a flood, or a very long sleep.
MOST_BEHIND_BYTES = 64 * 1024 * 1024
CAUGHT_UP_BYTES = 1024 * 1024
SKIPPED_AT_ONCE_BYTES = 64 * 1024 * 1024
# A file to which nothing was written for so long is closed until something is.
IDLE_S = 86_400.0
# What rotation makes of a name: app.log.1, app.log-20261124.
ROTATED = re.compile(r"[.-]\d[\d.T:_-]*$")
COMPRESSED = (".gz", ".xz", ".bz2", ".zst", ".lz4", ".Z")
_MOST_FILES = 20


class Position(Struct, frozen=True, array_like=True):
    places: list[Place]
    dropped: int = 0


_decode = json.Decoder(Position).decode


class LogFile:
    """`read` returns rows; `position` then says where to go on, and is what a later `LogFile` starts with."""

    def __init__(
        self,
        path: Path,
        secret: str,
        position: bytes | None,
        *,
        from_start: bool,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Without a position: from the start of a file that is new, else only what is written from now on."""
        self.path = path
        self.source = str(path)[-MAX_SOURCE_LENGTH:].encode("utf-8", "replace").decode("utf-8", "replace")
        self._monotonic = monotonic
        self._lines = Lines(secret)
        self._files: list[OpenedFile] = []
        self._left_at: dict[tuple[int, int], float] = {}  # when a file was renamed away
        self._from_start = from_start
        self._dropped = 0
        self._notes: list[str] = []
        if position is not None:
            self._resume(position)

    @property
    def position(self) -> bytes:
        return json.encode(Position([file.place for file in self._files], self._dropped))

    def read(self, most: int, now: float) -> list[Row]:
        """At most so many new lines, oldest file first. Raise OSError when the path cannot be read."""
        failed: OSError | None = None
        try:
            self._look()
        except OSError as error:  # what is open already is read all the same
            failed = error
        rows = [[now, self.source, "warning", note] for note in self._notes]
        self._notes = []
        for file in list(self._files):
            rows += self._skip_what_is_too_much(file, now)
            for raw, length in file.read_lines(most - len(rows)) if most > len(rows) else ():
                rows.append(self._lines.row(self.source, raw, length, now))
            if not self._is_left(file):
                break
            if not file.at_end:
                break
            if self._monotonic() - self._left_at[file.identity] >= STILL_WRITTEN_FOR_S:
                rest = file.read_rest()
                if rest is not None:
                    rows.append(self._lines.row(self.source, *rest, now))
                self._forget(file)
        if failed is not None and not rows:
            raise failed
        return rows

    def is_over(self, now: float) -> bool:
        """Nothing comes any more, as far as can be told: the file is gone, or was read and not written to for long.

        The position is good for going on, should it be written to again.
        """
        if not self._files:
            return self.is_gone
        (*older, current) = self._files
        return not older and current.at_end and not self._is_left(current) and now - current.modified_at > IDLE_S

    @property
    def is_gone(self) -> bool:
        return not self._files and not self.path.exists()

    def close(self) -> None:
        for file in list(self._files):
            self._forget(file)

    # -- which files ---------------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Notice what rotation did since the last time."""
        current = self._files[-1] if self._files else None
        try:
            status = self.path.stat()
        except FileNotFoundError:
            if current is not None:
                self._leave(current)
            self._from_start = True  # it is new when it comes
            return
        identity = (status.st_dev, status.st_ino)
        if current is not None and current.identity == identity and not self._is_left(current):
            if current.size < current.offset or not current.begins_as_known():
                self._was_truncated(current)
            return
        came_back = next((file for file in self._files if file.identity == identity), None)
        if came_back is not None and current is not None:
            self._leave(current)
            del self._left_at[identity]
            self._files.remove(came_back)
            self._add(came_back)
            return
        opened = OpenedFile(self.path)
        if current is not None:
            self._leave(current)
            self._add_between(current.modified_at, opened)
        if not self._from_start:
            opened.go_to_end()
        self._from_start = True
        self._add(opened)

    def _was_truncated(self, file: OpenedFile) -> None:
        place = file.place
        self._files.remove(file)
        self._read_on_in_copy(place)
        file.close()
        self._add(OpenedFile(self.path))

    def _read_on_in_copy(self, place: Place) -> None:
        """What was written between the last look and the truncation is in the copy, if there is one."""
        for path in self._rotated():
            opened = _opened(path)
            if opened is None:
                continue
            if opened.identity not in self._left_at and opened.holds(place) and place.head_length:
                opened.go_on_at(place.offset)
                self._add(opened)
                self._leave(opened)
                return
            opened.close()

    def _add_between(self, modified_after: float, newest: OpenedFile) -> None:
        """Files that came and went since the last look, between the one read last and the one there is now."""
        known = {file.identity for file in self._files} | {newest.identity}
        for path in self._rotated():
            opened = _opened(path)
            if opened is None:
                continue
            if opened.identity in known or opened.modified_at <= modified_after or not opened.size:
                opened.close()
                continue
            self._add(opened)
            self._leave(opened)

    def _resume(self, encoded: bytes) -> None:
        try:
            position = _decode(encoded)
        except DecodeError:
            return
        self._dropped = position.dropped
        self._from_start = True
        for place in position.places[-_MOST_FILES:]:
            found = self._find(place)
            if found is None:
                if place.offset:
                    self._notes.append(
                        f"chatops agent: the file read up to byte {place.offset:,} is gone; what was written to it "
                        "after that is missing here"
                    )
                continue
            opened, is_path = found
            opened.go_on_at(place.offset)
            self._add(opened)
            if not is_path:
                self._leave(opened)

    def _find(self, place: Place) -> tuple[OpenedFile, bool] | None:
        """The file of a place: at the path, renamed, or copied."""
        candidates = [(path, path == self.path) for path in (self.path, *self._rotated())]
        for same_inode in (True, False):
            for path, is_path in candidates:
                opened = _opened(path)
                if opened is None:
                    continue
                is_same = opened.identity == (place.device, place.inode)
                is_copy = not is_path and place.head_length > 0
                if (is_same if same_inode else is_copy) and opened.holds(place):
                    return opened, is_path
                opened.close()
        return None

    def _rotated(self) -> list[Path]:
        """What rotation made of the path, oldest first; compressed files are not read."""
        name = self.path.name
        try:
            names = os.listdir(self.path.parent)  # noqa: PTH208 - names are all that is needed
        except OSError:
            return []
        found: list[tuple[float, Path]] = []
        for other in names:
            if other.startswith(name) and ROTATED.fullmatch(other, len(name)):
                path = self.path.with_name(other)
                try:
                    found.append((path.stat().st_mtime, path))
                except OSError:
                    continue
        return [path for _, path in sorted(found)][-_MOST_FILES:]

    def _add(self, file: OpenedFile) -> None:
        self._files.append(file)

    def _is_left(self, file: OpenedFile) -> bool:
        return file.identity in self._left_at

    def _leave(self, file: OpenedFile) -> None:
        self._left_at.setdefault(file.identity, self._monotonic())

    def _forget(self, file: OpenedFile) -> None:
        self._files.remove(file)
        self._left_at.pop(file.identity, None)
        file.close()

    # -- too much ------------------------------------------------------------------------------------------------

    def _skip_what_is_too_much(self, file: OpenedFile, now: float) -> list[Row]:
        behind = file.size - file.offset
        if behind > MOST_BEHIND_BYTES or (self._dropped and behind > CAUGHT_UP_BYTES):
            self._dropped += file.skip_to(file.size - CAUGHT_UP_BYTES, SKIPPED_AT_ONCE_BYTES)
        elif self._dropped:
            note = f"chatops agent: {self._dropped:,} lines are left out here: they came faster than they are sent"
            self._dropped = 0
            return [[now, self.source, "warning", note]]
        return []


def _opened(path: Path) -> OpenedFile | None:
    try:
        return OpenedFile(path)
    except OSError:
        return None
