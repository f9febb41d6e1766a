"""Routes under ``/audit``, for administrators. The log is read and checked here, never written."""

import re
from datetime import datetime
from typing import Annotated, Any

import msgspec
from asyncpg import Record
from litestar import Router, get
from litestar.di import NamedDependency
from litestar.params import FromQuery, QueryParameter

from chatops_backend.accounts.access import allow
from chatops_backend.audit import verification
from chatops_backend.database.interface import Database
from chatops_backend.database.queries import load_queries
from chatops_backend.paging import DEFAULT_LIMIT, Cursor, IdFilter, Limit, page, read_cursor
from chatops_backend.problems import ProblemError
from chatops_protocol.audit_resources import AuditEntry, AuditHead, AuditResult, AuditVerification
from chatops_protocol.resources import Page

_TEXT: dict[str, Any] = {"max_length": 200, "pattern": r"^[^\x00]*$"}
Text = Annotated[str | None, QueryParameter(**_TEXT)]
Name = Annotated[str | None, QueryParameter(**_TEXT, name="actor", description="A username")]
Action = Annotated[str | None, QueryParameter(**_TEXT, description="`user.create`, or `user` for all about users")]
_HEAD = re.compile(r"([0-9]{1,18}):([0-9a-f]{64})")


class _EntryKey(msgspec.Struct, frozen=True, array_like=True):
    id: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


@get("/", opt=allow("admin"))
async def list_audit_entries(
    database: NamedDependency[Database],
    who: Name = None,
    user_id: IdFilter = None,
    action: Action = None,
    target_type: Text = None,
    target_id: Text = None,
    server_id: IdFilter = None,
    result: FromQuery[AuditResult | None] = None,
    start: FromQuery[datetime | None] = None,
    end: FromQuery[datetime | None] = None,
    search: Text = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Page[AuditEntry]:
    """Newest first. `actor` and `search` take no notice of letter case; times need a zone."""
    if any(time is not None and time.tzinfo is None for time in (start, end)):
        raise ProblemError(400, "The request is not valid", "Give `start` and `end` with a zone: 2026-11-24T00:00:00Z.")
    before = read_cursor(cursor, _EntryKey)
    rows = load_queries("audit").list_entries(
        database,
        before=before.id if before is not None else None,
        actor=who,
        user_id=user_id,
        action=action,
        target_type=target_type,
        target_id=target_id,
        server_id=server_id,
        result=result,
        start=start,
        end=end,
        search=search or None,
        count=limit + 1,
    )
    return page([entry_from(row) async for row in rows], limit, lambda entry: _EntryKey(entry.id))


@get("/verify", opt=allow("admin"))
async def verify_audit_log(
    database: NamedDependency[Database],
    expect: Annotated[
        str | None, QueryParameter(max_length=100, description="A head of former times: `entries:hash`")
    ] = None,
) -> AuditVerification:
    """Follows the chain from its beginning: 10,000 entries a second on the embedded database, 60,000 on a server."""
    return await verification.verify(database, read_expected_head(expect) if expect is not None else None)


def read_expected_head(text: str) -> AuditHead:
    """What `chatops audit head` prints. Raises `ProblemError` 400."""
    match = _HEAD.fullmatch(text)
    if match is None:
        raise ProblemError(
            400, "The head is not readable", "Give it as `chatops audit head` prints it: entries, a colon, 64 digits."
        )
    return AuditHead(int(match[1]), match[2])


def entry_from(row: Record) -> AuditEntry:
    return AuditEntry(
        id=row["id"],
        time=row["time"],
        actor_kind=row["actor_kind"],
        user_id=row["user_id"],
        username=row["username"],
        role=row["role"],
        session_id=str(row["session_id"]) if row["session_id"] is not None else None,
        address=row["address"],
        action=row["action"],
        target_type=row["target_type"],
        target_id=row["target_id"],
        target_name=row["target_name"],
        server_id=row["server_id"],
        before=_decoded(row["before"]),
        after=_decoded(row["after"]),
        result=row["result"],
        detail=row["detail"],
        intent_id=row["intent_id"],
        hash=row["hash"].hex(),
    )


def _decoded(text: str | None) -> Any:
    return msgspec.json.decode(text) if text is not None else None


route_handlers = [Router("/audit", route_handlers=[list_audit_entries, verify_audit_log], tags=["audit"])]
