"""What the rest of the backend sees of the database.

The method names are asyncpg's, so that aiosql's queries take a `Database` or a `Transaction` alike. A statement on a
`Database` commits by itself. Errors are asyncpg's (`PostgresError` and its subclasses); `DatabaseUnavailableError`
says that there is no connection now and that trying again later makes sense.
"""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, runtime_checkable

from asyncpg import Record

# Of both databases. Left alone, PostgreSQL goes over to a generic plan after five executions; knowing neither servers
# nor range it takes the index on time, and reads the whole fleet's rows for one server (16,000 instead of 80 with two
# hundred servers). Planning anew costs 0.2 to 1 ms.
PLAN_CACHE_MODE = "force_custom_plan"


class DatabaseError(Exception):
    """The database cannot be used as it is; the message says why and what to do."""


class DatabaseUnavailableError(DatabaseError):
    """No connection at the moment: the database restarts, or is out of reach. Nothing of the statement is stored,
    unless it was committing as the connection broke."""


class Executor(Protocol):
    """What runs statements: `$1…$n` in the text, values in `args`."""

    async def fetch(self, query: str, *args: Any) -> list[Record]: ...

    async def fetchrow(self, query: str, *args: Any) -> Record | None: ...

    async def fetchval(self, query: str, *args: Any) -> Any: ...

    async def execute(self, query: str, *args: Any) -> str: ...


class Transaction(Executor, Protocol):
    """An open transaction: committed when its block ends, rolled back when the block raises."""

    async def insert_columns(self, table: str, columns: Sequence[str], values: Sequence[Sequence[Any]]) -> None:
        """Insert rows given as parallel columns, by the fastest way this database has.

        `table` is a bare table name in schema `metrics`, `columns` and `values` go together, one list per column.
        """
        ...


# Checkable, since Litestar checks what it injects.
@runtime_checkable
class Database(Executor, Protocol):
    """Open until `close`; reconnects by itself."""

    # Whether the database's own background workers run its policies. If not, a `JobRunner` has to.
    runs_policies: bool

    def transaction(self) -> AbstractAsyncContextManager[Transaction]: ...

    async def close(self) -> None: ...
