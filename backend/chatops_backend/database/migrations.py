"""Applies ``sql/migrations/NNNN_name.sql`` in order, each once, each in a transaction of its own.

Safe to run twice and from two processes at once: every step takes one advisory lock and looks again. A file that
changed after it was applied is refused, since the schema would no longer be what the files say.
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from chatops_backend.database.interface import Database, DatabaseError
from chatops_backend.database.queries import sql_directory

# Any number will do, as long as nothing else of ours takes it.
_LOCK = 4_221_066


@dataclass(frozen=True)
class Migration:
    version: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


def read_migrations(directory: Path | None = None) -> list[Migration]:
    """The migrations of `directory`, ascending. Raises `DatabaseError` for a gap or a name out of form."""
    found: list[Migration] = []
    for path in sorted((directory or sql_directory() / "migrations").glob("*.sql")):
        match = re.fullmatch(r"(\d{4})_(\w+)", path.stem)
        if match is None or int(match[1]) != len(found) + 1:
            raise DatabaseError(f"the migration {path.name} is out of order or not named NNNN_name.sql")
        found.append(Migration(int(match[1]), match[2], path.read_text()))
    return found


async def migrate(
    database: Database, migrations: list[Migration] | None = None, report: Callable[[str], None] = lambda _: None
) -> int:
    """Bring the schema up to date and return how many migrations were applied now.

    Raises `DatabaseError` when an applied migration was edited, or the database is newer than this program.
    """
    pending = read_migrations() if migrations is None else migrations
    applied_now = 0
    while True:
        async with database.transaction() as transaction:
            await transaction.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
            await transaction.execute("CREATE SCHEMA IF NOT EXISTS chatops")
            await transaction.execute(
                "CREATE TABLE IF NOT EXISTS chatops.migrations (version integer PRIMARY KEY, name text NOT NULL, "
                "checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
            )
            rows = await transaction.fetch("SELECT version, checksum FROM chatops.migrations ORDER BY version")
            applied = {row["version"]: row["checksum"] for row in rows}
            _verify(applied, pending)
            following = next((m for m in pending if m.version not in applied), None)
            if following is None:
                return applied_now
            report(f"migration {following.version:04d} {following.name}")
            await transaction.execute(following.text)
            await transaction.execute(
                "INSERT INTO chatops.migrations (version, name, checksum) VALUES ($1, $2, $3)",
                following.version,
                following.name,
                following.checksum,
            )
            applied_now += 1


def _verify(applied: dict[int, str], migrations: list[Migration]) -> None:
    known = {m.version: m for m in migrations}
    for version, checksum in applied.items():
        if version not in known:
            raise DatabaseError(
                f"the database has migration {version:04d}, which this version of ChatOps does not know; "
                "update ChatOps, or restore a backup from before that update"
            )
        if known[version].checksum != checksum:
            raise DatabaseError(
                f"migration {version:04d}_{known[version].name}.sql was edited after it was applied; "
                "run the version of ChatOps that made this database, or restore the file: a change to the schema "
                "belongs into a new migration"
            )
