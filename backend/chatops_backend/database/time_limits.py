"""For how long a statement may run on behalf of a request. The guard of the routes sets it; `ServerDatabase` obeys.

The embedded database cannot be interrupted, so there only what may be asked for bounds the work: points, ranges, pages.
"""

from contextvars import ContextVar

from chatops_backend.database.interface import DatabaseError

# Our clients have given up after 30 s, the dashboard after 20. Ten such statements keep everybody else waiting, since
# the pool has ten connections.
READ_WITHIN_S = 60.0

_limit: ContextVar[float | None] = ContextVar("statement_limit", default=None)


class StatementTooLongError(DatabaseError):
    """It was cancelled on the server."""


def limit_statements(seconds: float | None) -> None:
    """Of the task that calls, and of those it starts from here on. None: the pool's own limit."""
    _limit.set(seconds)


def statement_limit() -> float | None:
    return _limit.get()
