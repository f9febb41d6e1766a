"""``/logs``: the lines of one server, newest first, and how long lines are kept."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec
from asyncpg import Record
from litestar import Router, get, put
from litestar.di import NamedDependency
from litestar.params import FromQuery, JSONBody, PathParameter, QueryParameter

from chatops_backend.accounts.access import allow
from chatops_backend.audit.actor import RequestActor
from chatops_backend.audit.trail import Target, record
from chatops_backend.database.interface import Database, Executor
from chatops_backend.database.queries import load_queries
from chatops_backend.logs.search import to_tsquery
from chatops_backend.paging import DEFAULT_LIMIT, Cursor, Limit, page, read_cursor
from chatops_backend.problems import ProblemError, not_found
from chatops_protocol.log_lines import MAX_SOURCE_LENGTH, Level, LogLine, LogPolicies, LogSource, LogSources
from chatops_protocol.resources import Page

DEFAULT_RANGE = timedelta(days=1)
_NO_NUL = r"^[^\x00]*$"

ServerId = Annotated[int, PathParameter(ge=1, le=2**31 - 1)]
Source = Annotated[
    str | None, QueryParameter(max_length=MAX_SOURCE_LENGTH, pattern=_NO_NUL, description="Lines of this source alone")
]
AtLeast = Annotated[Level | None, QueryParameter(description="Lines of this level and worse")]
Search = Annotated[
    str | None,
    QueryParameter(
        max_length=500,
        pattern=_NO_NUL,
        description='Words that all are in the line; "a phrase" in quotes, `begin*`, `-without`, `or`',
    ),
]


class _LineKey(msgspec.Struct, frozen=True, array_like=True):
    time: Annotated[datetime, msgspec.Meta(tz=True)]
    id: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


@get("/{server_id:int}", opt=allow("viewer"))
async def list_lines(
    server_id: ServerId,
    database: NamedDependency[Database],
    start: FromQuery[datetime | None] = None,
    end: FromQuery[datetime | None] = None,
    level: AtLeast = None,
    source: Source = None,
    search: Search = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Page[LogLine]:
    """Log lines of one server, newest first: what it logs and, of the source `chatops`, what happens to it.

    Of the day before `end` when `start` is left out; `end` itself is not included.
    """
    if not await load_queries("metrics").server_exists(database, server_id=server_id):
        raise not_found("server", server_id)
    begin, until = _range(start, end)
    before = read_cursor(cursor, _LineKey)
    rows = load_queries("logs").list_log_lines(
        database,
        server_id=server_id,
        start=begin,
        end=until,
        level=level,
        source=source or None,
        search=query_of(search),
        before=before.time if before is not None else None,
        before_id=before.id if before is not None else None,
        count=limit + 1,
    )
    lines = [line_from(row) async for row in rows]
    return page(lines, limit, lambda line: _LineKey(line.time, line.id))


@get("/{server_id:int}/sources", opt=allow("viewer"))
async def list_sources(
    server_id: ServerId, database: NamedDependency[Database], start: FromQuery[datetime | None] = None
) -> LogSources:
    """The sources of the server's newest 20000 lines since `start` (a day ago when left out), most lines first."""
    if not await load_queries("metrics").server_exists(database, server_id=server_id):
        raise not_found("server", server_id)
    begin, _ = _range(start, None)
    rows = load_queries("logs").list_log_sources(database, server_id=server_id, start=begin)
    return LogSources([LogSource(row["source"], row["lines"]) async for row in rows])


@get("/policies", opt=allow("viewer"))
async def read_policies(database: NamedDependency[Database]) -> LogPolicies:
    """How long log lines are kept."""
    return await _policies(database)


@put("/policies", opt=allow("admin"))
async def set_policies(
    data: JSONBody[LogPolicies], database: NamedDependency[Database], actor: RequestActor
) -> LogPolicies:
    """Change it. Lines that are older than `keep_days` are dropped within a day."""
    if data.compress_after_days >= data.keep_days:
        raise ProblemError(400, "Not possible", "`compress_after_days` must be less than `keep_days`.")
    async with database.transaction() as transaction:
        before = await _policies(transaction)
        await load_queries("logs").set_log_policies(
            transaction, keep_days=data.keep_days, compress_after_days=data.compress_after_days
        )
        after = await _policies(transaction)
        await record(
            transaction, actor, "log_policies.update", Target("setting", "log_policies"), before=before, after=after
        )
    return after


async def _policies(database: Executor) -> LogPolicies:
    row = await load_queries("logs").read_log_policies(database)
    return LogPolicies(round(row["keep_days"]), round(row["compress_after_days"]))


def query_of(search: str | None) -> str | None:
    """The tsquery of a search; None for none. Raises `ProblemError` when it has no word in it."""
    if search is None or not search.strip():
        return None
    query = to_tsquery(search)
    if query is None:
        raise ProblemError(400, "Nothing to search for", "`search` needs a word: letters or digits.")
    return query


def line_from(row: Record) -> LogLine:
    return LogLine(row["id"], row["time"], row["source"], row["level"], row["message"])


def _range(start: datetime | None, end: datetime | None) -> tuple[datetime, datetime]:
    until = _aware(end) if end is not None else datetime.now(UTC) + timedelta(minutes=10)
    try:
        begin = _aware(start) if start is not None else until - DEFAULT_RANGE
    except OverflowError:
        raise ProblemError(400, "Range not usable", "`end` is too far back.") from None
    if begin >= until:
        raise ProblemError(400, "Range not usable", "`start` must be before `end`.")
    return begin, until


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


route_handlers = [
    Router("/logs", route_handlers=[list_lines, list_sources, read_policies, set_policies], tags=["logs"])
]
