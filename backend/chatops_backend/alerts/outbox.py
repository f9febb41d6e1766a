"""Decides who is told of a transition, and writes it into the outbox in the transaction that stores the transition.

Called by the evaluator and by what acknowledges, resolves, repeats and escalates; sends nothing. What happens on one
server within one evaluation becomes one message per channel: the first change waits `GROUP_WAIT_S` for the others.
The alert's row remembers who was told what, so that no change is told twice and an end is told to those who heard of
the beginning.
"""

import hashlib
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime

import msgspec
from asyncpg import Record
from prometheus_client import Counter

from chatops_backend.alerts.alert_change import AlertChange
from chatops_backend.alerts.message import Notice, ToldChange
from chatops_backend.alerts.silences import read_silences, silenced
from chatops_backend.database.interface import Transaction
from chatops_backend.database.queries import load_queries

# One evaluation of ten thousand rules takes two seconds at most.
GROUP_WAIT_S = 2.0

changes_silenced = Counter("chatops_alert_silenced_total", "Transitions that nobody was told of because of a silence")
notifications_stored = Counter("chatops_notifications_total", "Notifications written into the outbox")


async def enqueue(
    transaction: Transaction,
    changes: Sequence[AlertChange],
    *,
    clock: Callable[[], float] = time.time,
    group_wait_s: float = GROUP_WAIT_S,
) -> None:
    """Store what is to be sent. The alerts' rows must be in the database already; they are locked until the end."""
    changes = [change for change in changes if change.notify]
    if not changes:
        return
    queries = load_queries("notifications")
    now = clock()
    loud = await _without_silenced(transaction, changes, now)
    rows = queries.lock_told(transaction, alert_ids=[change.alert_id for change in loud])
    told = {row["id"]: row async for row in rows}
    loud = [change for change in loud if change.alert_id in told]
    rows = queries.lock_enabled_channels(transaction, channel_ids=sorted(_named_channels(loud, told)))
    enabled = {row["id"] async for row in rows}
    receivers = {id(change): [c for c in _receivers(change, told[change.alert_id]) if c in enabled] for change in loud}
    await _store(transaction, _grouped(loud, receivers), now, group_wait_s)
    for change in loud:
        await queries.mark_told(
            transaction,
            alert_id=change.alert_id,
            transition=change.transition,
            level=change.level,
            now=now,
            channel_ids=receivers[id(change)],
        )


async def _without_silenced(transaction: Transaction, changes: Sequence[AlertChange], now: float) -> list[AlertChange]:
    # An end goes out whatever is silenced: it reaches only those who heard of the beginning, and they may keep an
    # incident open until they hear of it.
    silences = await read_silences(transaction)
    moment = datetime.fromtimestamp(now, UTC)
    loud: list[AlertChange] = []
    quiet: list[int] = []
    for change in changes:
        if change.transition != "resolved" and any(
            silenced(s, moment, change.threshold_id, change.server_id, change.server_tags) for s in silences
        ):
            quiet.append(change.alert_id)
        else:
            loud.append(change)
    if quiet:
        changes_silenced.inc(len(quiet))
        await load_queries("notifications").mark_silenced(transaction, alert_ids=quiet)
    return loud


def _named_channels(changes: Iterable[AlertChange], told: dict[int, Record]) -> set[int]:
    named: set[int] = set()
    for change in changes:
        named.update(change.threshold.channel_ids, change.threshold.escalate_channel_ids)
        named.update(told[change.alert_id]["told_channel_ids"])
    return named


def _receivers(change: AlertChange, told: Record) -> list[int]:
    """The channels that hear of a change: nobody hears of the same one twice."""
    before: list[int] = told["told_channel_ids"]
    rule = change.threshold
    if change.transition == "resolved":
        # Forgotten when the end is told, so a second end finds nobody.
        chosen = before
    elif change.transition == "escalated":
        chosen = rule.escalate_channel_ids if told["escalated_at"] is None else []
    elif change.transition == "repeat":
        chosen = [*rule.channel_ids, *before]
    elif change.transition == "raised":
        chosen = [*rule.channel_ids, *before] if told["told_level"] != change.level else []
    else:
        chosen = rule.channel_ids if told["first_notified_at"] is None else []
    return list(dict.fromkeys(chosen))


def _grouped(
    changes: Iterable[AlertChange], receivers: dict[int, list[int]]
) -> dict[tuple[int, int], list[AlertChange]]:
    """By channel and server."""
    groups: dict[tuple[int, int], list[AlertChange]] = defaultdict(list)
    for change in changes:
        for channel_id in receivers[id(change)]:
            groups[channel_id, change.server_id].append(change)
    return groups


async def _store(
    transaction: Transaction, groups: dict[tuple[int, int], list[AlertChange]], now: float, group_wait_s: float
) -> None:
    if not groups:
        return
    queries = load_queries("notifications")
    rows = queries.lock_waiting(
        transaction,
        channel_ids=list({channel_id for channel_id, _ in groups}),
        server_ids=list({server_id for _, server_id in groups}),
        now=now,
    )
    waiting = {(row["channel_id"], row["server_id"]): row async for row in rows}
    for (channel_id, server_id), group in groups.items():
        told = [_told(change) for change in group]
        row = waiting.get((channel_id, server_id))
        # An alert's beginning and end stay two messages.
        if row is not None and not set(row["alert_ids"]) & {change.alert_id for change in group}:
            told = [*msgspec.json.decode(row["payload"], type=Notice).changes, *told]
            notification_id = row["id"]
        else:
            notification_id = None
            notifications_stored.inc()
        notice = Notice(server_id=server_id, server_name=group[0].server_name, changes=told)
        values = {
            "key": key_of(channel_id, told),
            "alert_ids": sorted({change.alert_id for change in told}),
            "payload": msgspec.json.encode(notice).decode(),
        }
        if notification_id is not None:
            await queries.extend_notification(transaction, notification_id=notification_id, **values)
        else:
            await queries.insert_notification(
                transaction, channel_id=channel_id, server_id=server_id, now=now, wait_s=group_wait_s, **values
            )


def key_of(channel_id: int, changes: Sequence[ToldChange]) -> str:
    """The same for the same changes told to the same channel, whoever asks and when."""
    # Of the transitions only a repetition comes more than once.
    parts = sorted(
        (c.alert_id, c.transition, c.level, c.started_at, c.at if c.transition == "repeat" else 0.0) for c in changes
    )
    return hashlib.sha256(msgspec.json.encode([channel_id, parts])).hexdigest()[:32]


def _told(change: AlertChange) -> ToldChange:
    rule = change.threshold
    return ToldChange(
        alert_id=change.alert_id,
        threshold_id=change.threshold_id,
        rule=rule.name,
        kind=rule.kind,
        metric=rule.metric,
        aggregate=rule.aggregate,
        comparison=rule.comparison,
        labels=change.labels,
        transition=change.transition,
        level=change.level,
        value=change.value,
        bound=change.bound,
        window_s=change.window_s,
        started_at=change.started_at,
        at=change.at,
        runbook_url=rule.runbook_url,
    )
