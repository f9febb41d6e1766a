"""Writes the audit log. Every act that changes something calls `record` or `intended`; nothing else writes there.

An act inside the database is recorded in its own transaction, so that neither is stored without the other:

    async with database.transaction() as transaction:
        ...
        await record(transaction, actor, "user.create", Target("user", user.id, user.username), after=user)

An act outside the database (a command, a container, a message) is recorded as intended, committed before it is done,
and again with how it went:

    async with intended(database, actor, "container.stop", target, after={"timeout_s": 10}) as outcome:
        ...                                   # a ProblemError is recorded as refused, another error as failed
        outcome.detail = "exit code 0"        # optional; also `outcome.after` and `outcome.result`

or, when the end comes much later, `intent_id = await intend(…)` and then `await conclude(database, intent_id, …)`.

Routes take `actor: RequestActor`; elsewhere it is `SYSTEM` or `command_line()`. An action is a dotted name, thing and
verb. `before` and `after` are what msgspec can encode; keys that name secrets are hidden, but nothing secret should be
passed. When the log cannot be written, `record`, `intend` and `intended` raise `ProblemError` 503 and the act must not
happen: inside a transaction that is so by itself. Appending takes a lock until the transaction ends, so record last,
and do nothing slow after it.
"""

import contextlib
import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, Literal

import asyncpg
import msgspec
from msgspec import Struct
from prometheus_client import Counter

from chatops_backend.audit.actor import Actor
from chatops_backend.audit.chain import Entry, entry_hash
from chatops_backend.audit.cleaning import clean_json, clean_text
from chatops_backend.database.interface import Database, Transaction
from chatops_backend.database.queries import load_queries
from chatops_backend.database.unavailable import means_connection_lost
from chatops_backend.problems import ProblemError

log = logging.getLogger(__name__)

Result = Literal["intended", "ok", "refused", "failed"]

# Of many entries, in one statement: each can hold twice 64 KiB.
AT_ONCE = 250

entries_written = Counter("chatops_audit_entries_total", "Entries added to the audit log", ["result"])
entries_refused = Counter("chatops_audit_refused_total", "Acts refused because the audit log could not be written")
notes_lost = Counter("chatops_audit_lost_total", "Outcomes, and ends of sessions, that could not be recorded")


class Target(Struct, frozen=True):
    """What an act is about. `server_id`: the server it concerns; for a target that is a server it is its own id."""

    type: str
    id: object = None
    name: str | None = None
    server_id: int | None = None


class Outcome(Struct):
    """How an intended act went; the block may change it."""

    intent_id: int
    result: Result = "ok"
    detail: str = ""
    after: Any = None


class Draft(Struct, frozen=True):
    """An entry before it has its place in the log; the fields are `record`'s arguments."""

    actor: Actor
    action: str
    target: Target
    before: Any = None
    after: Any = None
    result: Result = "ok"
    detail: str = ""
    intent_id: int | None = None


async def record(
    transaction: Transaction,
    actor: Actor,
    action: str,
    target: Target,
    *,
    before: Any = None,
    after: Any = None,
    result: Result = "ok",
    detail: str = "",
    intent_id: int | None = None,
) -> int:
    """Append an entry in the open transaction and return its id. Raises `ProblemError` 503 when that fails."""
    (number,) = await record_all(transaction, [Draft(actor, action, target, before, after, result, detail, intent_id)])
    return number


async def record_all(transaction: Transaction, drafts: Sequence[Draft]) -> list[int]:
    """Append entries in the open transaction, in their order, and return their ids. Raises as `record` does.

    By few statements, since everybody else who acts waits meanwhile: 2,000 take 0.2 s.
    """
    if not drafts:
        return []
    queries = load_queries("audit")
    # Before the lock: everything that does not need the place in the chain.
    prepared = [_prepared(draft) for draft in drafts]
    with _required():
        head = await queries.lock_head(transaction)
        rows, previous = [], head["hash"]
        for number, fields in enumerate(prepared, head["entries"] + 1):
            entry = Entry(id=number, time=head["now"], **fields)
            digest = entry_hash(previous, entry)
            rows.append(msgspec.structs.asdict(entry) | {"previous_hash": previous, "hash": digest})
            previous = digest
        for start in range(0, len(rows), AT_ONCE):
            some = rows[start : start + AT_ONCE]
            columns = {name: [row[name] for row in some] for name in some[0]}
            await queries.append_entries(transaction, **columns)
    for draft in drafts:
        entries_written.labels(draft.result).inc()
    return [row["id"] for row in rows]


async def hold_head(transaction: Transaction) -> None:
    """Nobody else appends until the transaction ends. Raises `ProblemError` 503."""
    with _required():
        await load_queries("audit").lock_head(transaction)


def _prepared(draft: Draft) -> dict[str, Any]:
    """The entry's fields but its number and time."""
    actor, target = draft.actor, draft.target
    server_id = target.id if target.type == "server" else target.server_id
    if not isinstance(server_id, int) or not 0 < server_id < 2**31:
        server_id = None
    return {
        "actor_kind": actor.kind,
        "user_id": actor.user_id,
        "username": clean_text(actor.username),
        "role": actor.role,
        "session_id": actor.session_id,
        "address": actor.address,
        "action": draft.action,
        "target_type": target.type,
        "target_id": None if target.id is None else clean_text(str(target.id)),
        "target_name": None if target.name is None else clean_text(target.name),
        "server_id": server_id,
        "before": clean_json(draft.before),
        "after": clean_json(draft.after),
        "result": draft.result,
        "detail": clean_text(draft.detail),
        "intent_id": draft.intent_id,
    }


async def record_alone(
    database: Database, actor: Actor, action: str, target: Target, *, result: Result = "ok", detail: str = ""
) -> None:
    """Record what has no transaction of its own: a refused log-in, say."""
    async with database.transaction() as transaction:
        await record(transaction, actor, action, target, result=result, detail=detail)


async def intend(
    database: Database, actor: Actor, action: str, target: Target, *, before: Any = None, after: Any = None
) -> int:
    """Commit the intent of an act and return its id. `after` is what is asked for. Raises `ProblemError` 503."""
    async with database.transaction() as transaction:
        return await record(transaction, actor, action, target, before=before, after=after, result="intended")


async def conclude(
    database: Database,
    intent_id: int,
    actor: Actor,
    action: str,
    target: Target,
    *,
    result: Result,
    detail: str = "",
    after: Any = None,
) -> None:
    """Say how an intended act went. Without such an entry nobody knows."""
    await note(database, actor, action, target, result=result, detail=detail, after=after, intent_id=intent_id)


async def note(
    database: Database,
    actor: Actor,
    action: str,
    target: Target,
    *,
    result: Result = "ok",
    detail: str = "",
    after: Any = None,
    intent_id: int | None = None,
) -> None:
    """Record what has happened already, and what nobody may be refused: the end of a session. Never raises."""
    try:
        async with database.transaction() as transaction:
            await record(
                transaction, actor, action, target, after=after, result=result, detail=detail, intent_id=intent_id
            )
    except Exception:
        notes_lost.inc()
        log.exception("%s of %s %s happened and could not be recorded", action, target.type, target.id)


@contextlib.asynccontextmanager
async def intended(
    database: Database, actor: Actor, action: str, target: Target, *, before: Any = None, after: Any = None
) -> AsyncIterator[Outcome]:
    """Do the block between an entry that says so and one that says how it went."""
    outcome = Outcome(await intend(database, actor, action, target, before=before, after=after))
    try:
        yield outcome
    except ProblemError as error:
        outcome.result, outcome.detail = "refused", f"{error.problem.status} {error.problem.title}"
        raise
    except BaseException as error:
        outcome.result, outcome.detail = "failed", type(error).__name__
        raise
    finally:
        await conclude(
            database,
            outcome.intent_id,
            actor,
            action,
            target,
            result=outcome.result,
            detail=outcome.detail,
            after=outcome.after,
        )


@contextlib.contextmanager
def _required() -> Iterator[None]:
    try:
        yield
    except asyncpg.DeadlockDetectedError:
        raise  # "try again" is all there is to say
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        if means_connection_lost(error):
            raise
        entries_refused.inc()
        log.error("the audit log cannot be written: %s", error)  # noqa: TRY400 - the statement is not at fault
        raise ProblemError(
            503,
            "Not recorded",
            "The audit log cannot be written, so nothing was done. The reason is in the log of this server; "
            "`chatops audit verify` says whether the audit log is whole.",
        ) from error
