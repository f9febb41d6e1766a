"""Writes what the evaluator found: states by compare-and-set, alerts, events, and what is to be notified, together."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from chatops_backend.alerts.alert_change import AlertChange
from chatops_backend.alerts.rule_book import Rule, Watched
from chatops_backend.alerts.state_machine import SeriesState, Transition
from chatops_backend.database.interface import Database, Transaction
from chatops_backend.database.queries import load_queries
from chatops_protocol.alert_resources import Bound, Level

Enqueue = Callable[[Transaction, Sequence[AlertChange]], Awaitable[None]]


class StateMovedError(Exception):
    """Another backend changed a state since it was read: nothing of this batch is stored."""


class StoredState(Struct, frozen=True):
    """`untold`: nobody was notified of its alert, so nobody need hear of its end."""

    state: SeriesState
    alert_id: int
    version: int
    untold: bool = False


class Change(Struct, frozen=True):
    """One series' step. `labels` is JSON with sorted keys. `held_back_by`: the host-down alert that explains it."""

    rule: Rule
    server: Watched
    labels: str
    before: StoredState | None
    after: SeriesState
    transition: Transition | None
    value: float | None
    held_back_by: int | None


def labels_key(labels: dict[str, Any]) -> str:
    return msgspec.json.encode(labels, order="sorted").decode()


async def store_changes(database: Database, changes: Sequence[Change], at: float, enqueue: Enqueue) -> None:
    """All or nothing. Raises `StateMovedError` when another backend was faster."""
    queries = load_queries("alert_evaluation")
    told: list[AlertChange] = []
    async with database.transaction() as transaction:
        for change in changes:
            alert_id = await _store_state(queries, transaction, change)
            if change.transition is not None:
                await _store_transition(queries, transaction, change, alert_id, at)
                if change.transition.kind in ("fired", "raised", "resolved"):
                    told.append(_told(change, alert_id))
        if told:
            await enqueue(transaction, told)


async def _store_state(queries: Any, transaction: Transaction, change: Change) -> int:
    key = {"threshold_id": change.rule.id, "server_id": change.server.id, "labels": change.labels}
    before, after = change.before, change.after
    if before is None:
        firing = after.status == "firing"
        alert_id = await queries.insert_alert(
            transaction,
            **key,
            state=after.status,
            level=after.level,
            value=change.value,
            bound=_encoded_bound(change, after.level or "warning"),
            window_s=change.rule.threshold.window_s,
            pending_at=after.since,
            started_at=change.transition.at if firing and change.transition else None,
            held_back_by=change.held_back_by,
        )
        if alert_id is None or not await queries.insert_state(
            transaction, **key, status=after.status, level=after.level, since=after.since, alert_id=alert_id
        ):
            raise StateMovedError
        return int(alert_id)
    if after.status == "ok":
        moved = await queries.delete_state(transaction, **key, version=before.version)
    else:
        moved = await queries.update_state(
            transaction,
            **key,
            version=before.version,
            status=after.status,
            level=after.level,
            since=after.since,
            good_since=after.good_since,
        )
    if not moved:
        raise StateMovedError
    return before.alert_id


async def _store_transition(queries: Any, transaction: Transaction, change: Change, alert_id: int, at: float) -> None:
    happened = change.transition
    if happened is None:
        return
    bound = _encoded_bound(change, happened.level)
    await queries.record_event(
        transaction,
        at=at,
        alert_id=alert_id,
        threshold_id=change.rule.id,
        server_id=change.server.id,
        transition=happened.kind,
        level=happened.level,
        value=happened.value,
        bound=bound,
        window_s=change.rule.threshold.window_s,
    )
    if happened.kind in ("fired", "raised") and change.before is not None:
        await queries.fire_alert(
            transaction,
            alert_id=alert_id,
            level=happened.level,
            value=happened.value,
            bound=bound,
            at=happened.at,
            held_back_by=change.held_back_by,
        )
    elif happened.kind == "resolved":
        await queries.resolve_alert(transaction, alert_id=alert_id, at=happened.at)
    elif happened.kind == "cancelled":
        await queries.delete_pending_alert(transaction, alert_id=alert_id)


def bound_for(rule: Rule, level: Level) -> Bound | None:
    return rule.bounds.critical if level == "critical" else rule.bounds.warning


def _encoded_bound(change: Change, level: Level) -> str:
    return msgspec.json.encode(bound_for(change.rule, level)).decode()


def _told(change: Change, alert_id: int) -> AlertChange:
    happened = change.transition
    if happened is None or happened.kind == "pending" or happened.kind == "cancelled":
        raise ValueError("no transition to tell of")
    over = happened.kind == "resolved"
    untold = change.before is not None and change.before.untold
    return AlertChange(
        alert_id=alert_id,
        threshold_id=change.rule.id,
        threshold=change.rule.threshold,
        server_id=change.server.id,
        server_name=change.server.name,
        server_tags=list(change.server.tags),
        labels=msgspec.json.decode(change.labels),
        transition=happened.kind,
        level=happened.level,
        value=happened.value,
        bound=bound_for(change.rule, happened.level),
        window_s=change.rule.threshold.window_s,
        started_at=happened.started_at,
        at=happened.at,
        notify=not untold if over else change.held_back_by is None,
    )
