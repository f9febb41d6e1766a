"""Routes under ``/alerts/silences``. Everybody sees them, operators make, change and end them. Maintenance of a server
is a silence of that server."""

from datetime import UTC, datetime
from typing import Any

import msgspec
from asyncpg import Record
from litestar import delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import JSONBody

from chatops_backend.accounts.access import allow
from chatops_backend.accounts.visibility import Visible, VisibleServers
from chatops_backend.alerts.silences import is_active, reason_to_refuse
from chatops_backend.audit.actor import RequestActor
from chatops_backend.audit.trail import Target, record
from chatops_backend.database.interface import Database, Executor, Transaction
from chatops_backend.database.queries import load_queries
from chatops_backend.paging import DEFAULT_LIMIT, Cursor, Id, IdKey, Limit, page, read_id_cursor
from chatops_backend.problems import ProblemError, not_found
from chatops_protocol.alert_resources import Silence, StoredSilence
from chatops_protocol.resources import Page


@get("/silences", opt=allow("viewer"))
async def list_silences(
    database: NamedDependency[Database], visible: Visible, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
) -> Page[StoredSilence]:
    """Past ones too, until they are deleted; `active` says whether one holds now."""
    rows = load_queries("notifications").list_silences(
        database, after=read_id_cursor(cursor), visible=visible.listed, count=limit + 1
    )
    return page([_stored(row) async for row in rows], limit, lambda silence: IdKey(silence.id))


@post("/silences", opt=allow("operator"))
async def create_silence(
    data: JSONBody[Silence], actor: RequestActor, visible: Visible, database: NamedDependency[Database]
) -> StoredSilence:
    await _check(database, data, visible)
    async with database.transaction() as transaction:
        row = await load_queries("notifications").create_silence(
            transaction, definition=_encoded(data), created_by=actor.username
        )
        await record(transaction, actor, "silence.create", _target(row["id"], data), after=data)
    return _stored(row)


@put("/silences/{silence_id:int}", opt=allow("operator"))
async def replace_silence(
    silence_id: Id,
    data: JSONBody[Silence],
    actor: RequestActor,
    visible: Visible,
    database: NamedDependency[Database],
) -> StoredSilence:
    """The whole silence anew. Alerts that it covers no longer are told of then."""
    queries = load_queries("notifications")
    async with database.transaction() as transaction:
        before = await _lock(transaction, silence_id, visible)
        await _check(transaction, data, visible)
        row = await queries.update_silence(transaction, silence_id=silence_id, definition=_encoded(data))
        target = _target(silence_id, data)
        await record(transaction, actor, "silence.update", target, before=before, after=data)
    return _stored(row)


@delete("/silences/{silence_id:int}", opt=allow("operator"))
async def delete_silence(
    silence_id: Id, actor: RequestActor, visible: Visible, database: NamedDependency[Database]
) -> None:
    """Ends it. Alerts that fire still are told of then."""
    async with database.transaction() as transaction:
        before = await _lock(transaction, silence_id, visible)
        await load_queries("notifications").delete_silence(transaction, silence_id=silence_id)
        await record(transaction, actor, "silence.delete", _target(silence_id, before), before=before)


async def _lock(transaction: Transaction, silence_id: int, visible: VisibleServers) -> Silence:
    definition = await load_queries("notifications").lock_silence(transaction, silence_id=silence_id)
    if definition is None:
        raise not_found("silence", silence_id)
    silence = msgspec.json.decode(definition, type=Silence)
    if silence.server_id is not None and not visible.sees(silence.server_id):
        raise not_found("silence", silence_id)
    _require_within(silence, visible)
    return silence


def _require_within(silence: Silence, visible: VisibleServers) -> None:
    if visible.ids is not None and silence.server_id is None:
        raise ProblemError(
            403, "Forbidden", "You see some servers only, and this silence reaches beyond: name one in `server_id`."
        )


async def _check(database: Executor, silence: Silence, visible: VisibleServers) -> None:
    refusal = reason_to_refuse(silence)
    if refusal is not None:
        raise _invalid(*refusal)
    missing = await load_queries("notifications").missing_of_silence(
        database, threshold_id=silence.threshold_id, server_id=silence.server_id
    )
    if missing is None and silence.server_id is not None and not visible.sees(silence.server_id):
        missing = "server_id"
    if missing is not None:
        raise _invalid(missing, "there is none with this id; it may have been deleted")
    _require_within(silence, visible)


def _target(silence_id: int, silence: Silence) -> Target:
    return Target("silence", silence_id, silence.comment or None, silence.server_id)


def _encoded(silence: Silence) -> str:
    return msgspec.json.encode(silence).decode()


def _stored(row: Record) -> StoredSilence:
    silence = msgspec.json.decode(row["definition"], type=Silence)
    return StoredSilence(
        id=row["id"],
        silence=silence,
        created_by=row["created_by"],
        created_at=row["created_at"],
        active=is_active(silence, datetime.now(UTC)),
    )


def _invalid(key: str, message: str) -> ProblemError:
    return ProblemError(
        400,
        "The request is not valid",
        f"Correct {key}: {message}.",
        extra=[{"message": message, "key": key, "source": "body"}],
    )


handlers: list[Any] = [list_silences, create_silence, replace_silence, delete_silence]
