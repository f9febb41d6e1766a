"""What the administrative commands (`user`, `key`, `server-add`) share.

They work on the database itself, so that whoever can reach it needs no log-in, and no backend need run.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import asyncpg
import click
from msgspec import ValidationError

from chatops_backend.database.interface import Database
from chatops_backend.database.open import open_database
from chatops_backend.problems import ProblemError
from chatops_backend.settings import Settings

T = TypeVar("T")


def with_database(work: Callable[[Database], Awaitable[T]]) -> T:
    """Run `work` on the database that the settings name; what it refuses is one line, and exit code 1 or 2."""

    async def run() -> T:
        async with open_database(Settings.from_environment()) as database:
            return await work(database)

    try:
        return asyncio.run(run())
    except ProblemError as error:
        raise click.ClickException(error.problem.detail) from None
    except ValidationError as error:
        raise click.UsageError(str(error).replace("`$.", "`")) from None
    except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError):
        raise click.ClickException("the database has no schema yet; run `chatops migrate` first") from None


def print_table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Aligned columns, never cut: scripts read them too."""
    lines = [tuple(headings), *(tuple("" if cell is None else str(cell) for cell in row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
