"""Keeps the readings of a file in one folder per day until they are sent: the backend wants all readings of a minute
together where they are old, in whatever order the file has them."""

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from types import TracebackType

import polars as pl


class Spool:
    """A folder for temporary files, removed at the end of the `with` block. Takes about the room of the file."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="chatops-import-"))
        self.rows: Counter[date] = Counter()
        self._parts = 0

    def __enter__(self) -> "Spool":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def add(self, frame: pl.DataFrame) -> None:
        for (day,), rows in frame.group_by(pl.col("time").dt.date()):
            assert isinstance(day, date)
            self._parts += 1
            self.rows[day] += rows.height
            folder = self._folder / day.isoformat()
            folder.mkdir(exist_ok=True)
            rows.write_ipc(folder / f"{self._parts:09}.arrow", compression="lz4")

    def days(self) -> Iterator[tuple[date, pl.DataFrame]]:
        """Oldest first."""
        for day in sorted(self.rows):
            parts = sorted((self._folder / day.isoformat()).iterdir())
            # Pieces of one file may have different columns where they are sparse.
            yield day, pl.concat([pl.read_ipc(part) for part in parts], how="diagonal")
