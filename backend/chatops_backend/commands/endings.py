"""Stores that orders have ended, and in the same transaction how the audited intent went. Courier and recorder call it.

What has ended on a host has ended, also while the audit log cannot be written: then the end is stored alone, and the
log is told when it can be.
"""

import logging
import time
from collections.abc import Awaitable, Callable

from asyncpg import Record
from prometheus_client import Counter

from chatops_backend.audit.actor import Actor
from chatops_backend.audit.trail import Draft, Result, Target, hold_head, notes_lost, record_all
from chatops_backend.commands.changes import CommandChanges
from chatops_backend.database.interface import Database, Executor
from chatops_backend.database.queries import load_queries
from chatops_backend.problems import ProblemError

log = logging.getLogger(__name__)

# Of what has to be told to the audit log later, in one transaction; and how often that is tried.
MOST_AT_ONCE = 1000
TRY_EVERY_S = 30.0

orders_ended = Counter("chatops_orders_ended_total", "Orders that ended", ["kind", "state"])


class Endings:
    """`wake` is called when groups may go on."""

    def __init__(
        self,
        database: Database,
        changes: CommandChanges,
        wake: Callable[[], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database, self._changes, self._wake, self._monotonic = database, changes, wake, monotonic
        self._queries = load_queries("commands")
        self._owing = True  # of a former backend nobody here knows
        self._try_at = 0.0

    async def store(self, end: Callable[[Executor], Awaitable[list[Record]]]) -> None:
        """`end` runs the statement that ends orders, and returns the rows of those that have ended by it."""
        try:
            async with self._database.transaction() as transaction:
                rows = await end(transaction)
                await record_all(transaction, [_conclusion(row) for row in rows if row["audit_id"] is not None])
        except ProblemError:
            rows = await end(self._database)
            self._owing = True
            notes_lost.inc(len(rows))
            log.error("%d orders ended and the audit log does not say how, yet", len(rows))  # noqa: TRY400 - said why
        for row in rows:
            orders_ended.labels(row["kind"], row["state"]).inc()
            self._changes.announce(row["id"])
        if rows:
            self._wake()

    async def tell_what_is_owed(self) -> None:
        """Write down how orders ended whose end was stored alone. Cheap when there is nothing."""
        if not self._owing or self._monotonic() < self._try_at:
            return
        self._try_at = self._monotonic() + TRY_EVERY_S
        try:
            async with self._database.transaction() as transaction:
                # First of all, so that two backends do not tell the same.
                await hold_head(transaction)
                rows = [row async for row in self._queries.list_unconcluded(transaction, count=MOST_AT_ONCE)]
                await record_all(transaction, [_conclusion(row) for row in rows])
        except ProblemError:
            return  # it has said why
        self._owing = len(rows) == MOST_AT_ONCE


def _conclusion(row: Record) -> Draft:
    result: Result = "ok" if row["state"] == "ok" else "refused" if _is_refusal(row) else "failed"
    return Draft(
        Actor("person", row["username"], row["user_id"]),
        row["action"],
        Target(row["kind"], row["id"], row["title"], row["server_id"]),
        after={"state": row["state"], "exit_code": row["exit_code"]},
        result=result,
        detail=row["detail"] or row["state"],
        intent_id=row["audit_id"],
    )


def _is_refusal(row: Record) -> bool:
    return bool(row["state"] == "failed" and row["detail"].startswith("refused: "))
