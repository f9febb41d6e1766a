"""Where an import that was interrupted goes on: a small file of the person's own, by what is imported where."""

import hashlib
from datetime import date
from pathlib import Path

import click
import msgspec


class Checkpoint:
    """`done`: the last day that is stored as a whole; None before the first."""

    def __init__(self, file: Path, url: str, options: object, folder: Path | None = None) -> None:
        found = file.stat()
        identity = (str(file.resolve()), found.st_size, found.st_mtime_ns, url, options)
        name = hashlib.sha256(msgspec.json.encode(identity)).hexdigest()[:32]
        self._file = (folder or Path(click.get_app_dir("chatops")) / "imports") / name

    @property
    def done(self) -> date | None:
        try:
            return date.fromisoformat(self._file.read_text())
        except (OSError, ValueError):
            return None

    def reached(self, day: date) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.write_text(day.isoformat())

    def forget(self) -> None:
        self._file.unlink(missing_ok=True)
