"""What people do to alerts: acknowledge and resolve, each with its event and its notifications in one transaction."""

import time
from collections.abc import Collection, Sequence

import msgspec
from asyncpg import Record

from chatops_backend.accounts.visibility import ALL_SERVERS, VisibleServers
from chatops_backend.alerts.alert_change import AlertChange
from chatops_backend.alerts.outbox import enqueue
from chatops_backend.audit.actor import Actor
from chatops_backend.audit.trail import Target, record
from chatops_backend.database.interface import Database, Executor, Transaction
from chatops_backend.database.queries import load_queries
from chatops_backend.problems import ProblemError, not_found
from chatops_protocol.alert_resources import AlertState, Bound, Threshold

# `list_alerts` without a filter.
ANY: dict[str, object] = dict.fromkeys(
    ("before", "states", "level", "server_id", "threshold_id", "visible", "start", "end")
)
_WORDS: dict[AlertState, str] = {
    "pending": "has not fired yet",
    "firing": "fires",
    "acknowledged": "is acknowledged already",
    "resolved": "is over already",
}


async def require_visible(database: Database, alert_id: int, visible: VisibleServers) -> None:
    """Raise the 404 of an alert that does not exist when it is one of a server that is not visible."""
    if visible.ids is not None:
        await _state_of(database, alert_id, visible)


async def acknowledge(database: Database, alert_id: int, actor: Actor, comment: str) -> None:
    """A firing alert becomes acknowledged; one that is already stays as it is, with who was first."""
    queries = load_queries("alerts")
    async with database.transaction() as transaction:
        name = actor.username
        row = await queries.acknowledge_alert(transaction, alert_id=alert_id, actor=name, comment=comment)
        if row is not None:
            await queries.record_act(
                transaction, alert_id=alert_id, transition="acknowledged", actor=name, comment=comment
            )
            target = Target("alert", alert_id, row["rule"], row["server_id"])
            await record(transaction, actor, "alert.acknowledge", target, after={"comment": comment})
            return
        state = await _state_of(transaction, alert_id)
    if state != "acknowledged":
        raise _conflict(alert_id, state, "only an alert that fires can be acknowledged")


async def resolve(database: Database, alert_id: int, actor: Actor, comment: str) -> None:
    """The alert is over and its series starts from ok: if the condition still holds, a new alert follows."""
    queries = load_queries("alerts")
    async with database.transaction() as transaction:
        rows = [row async for row in queries.lock_open_alerts(transaction, alert_id=alert_id, threshold_id=None)]
        if rows and rows[0]["state"] != "pending":
            await _close(transaction, rows, actor.username, comment)
            rule = msgspec.json.decode(rows[0]["definition"], type=Threshold)
            target = Target("alert", alert_id, rule.name, rows[0]["server_id"])
            await record(transaction, actor, "alert.resolve", target, after={"comment": comment})
            return
        state = await _state_of(transaction, alert_id)
    raise _conflict(alert_id, state, "only an alert that fires or is acknowledged can be resolved")


async def close_alerts_of(
    transaction: Transaction, threshold_id: int, actor: str, why: str, *, but_of: Collection[int] = ()
) -> None:
    """End the open alerts of a rule that is no longer what it was, but those `but_of` some servers."""
    queries = load_queries("alerts")
    rows = [row async for row in queries.lock_open_alerts(transaction, alert_id=None, threshold_id=threshold_id)]
    await _close(transaction, [row for row in rows if row["server_id"] not in but_of], actor, why)


async def _close(transaction: Transaction, rows: Sequence[Record], actor: str, why: str) -> None:
    queries = load_queries("alerts")
    for row in rows:
        over = "cancelled" if row["state"] == "pending" else "resolved"
        await queries.record_act(transaction, alert_id=row["id"], transition=over, actor=actor, comment=why)
    await enqueue(transaction, [_change(row) for row in rows if row["state"] != "pending"])
    await queries.close_alerts(transaction, alert_ids=[row["id"] for row in rows])


async def _state_of(database: Executor, alert_id: int, visible: VisibleServers = ALL_SERVERS) -> AlertState:
    wanted = ANY | {"visible": visible.listed}
    rows = load_queries("alerts").list_alerts(database, alert_id=alert_id, count=1, **wanted)
    async for row in rows:
        state: AlertState = row["state"]
        return state
    raise not_found("alert", alert_id)


def _conflict(alert_id: int, state: AlertState, rule: str) -> ProblemError:
    return ProblemError(409, "Not in that state", f"Alert {alert_id} {_WORDS[state]}; {rule}. Load it again.")


def _change(row: Record) -> AlertChange:
    return AlertChange(
        alert_id=row["id"],
        threshold_id=row["threshold_id"],
        threshold=msgspec.json.decode(row["definition"], type=Threshold),
        server_id=row["server_id"],
        server_name=row["server_name"],
        server_tags=list(row["tags"]),
        labels=msgspec.json.decode(row["labels"]),
        transition="resolved",
        level=row["level"],
        value=row["value"],
        bound=msgspec.json.decode(row["bound"] or "null", type=Bound | None),
        window_s=row["window_s"],
        started_at=row["started_at"],
        at=time.time(),
    )
