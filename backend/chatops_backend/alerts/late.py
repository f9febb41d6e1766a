"""Readings that came long after they were taken: what would have fired is recorded, and nobody is told.

Runs after an evaluation, one server at a time. What still lasts is not its business: the evaluator sees that itself.
"""

import logging
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import msgspec

from chatops_backend.alerts.backtest import backtest
from chatops_backend.alerts.rule_book import Rule
from chatops_backend.alerts.store import bound_for, labels_key
from chatops_backend.database.interface import Database
from chatops_backend.database.queries import load_queries
from chatops_backend.problems import ProblemError
from chatops_protocol.alert_resources import Firing

log = logging.getLogger(__name__)

# A backlog is drained in one go; after this long without late readings of a server it has ended.
QUIET_S = 30.0


async def replay_late_readings(database: Database, rules: Iterable[Rule], at: float) -> int:
    """Replay rules over the late readings of one server, if any has some; return how many alerts were recorded."""
    queries = load_queries("alert_evaluation")
    stretch = await queries.next_late_readings(database, quiet_s=QUIET_S)
    if stretch is None:
        return 0
    server_id: int = stretch["server_id"]
    tags = set(await database.fetchval("SELECT tags FROM chatops.servers WHERE id = $1", server_id) or ())
    now = datetime.fromtimestamp(at, UTC)
    recorded = 0
    for rule in rules:
        threshold = rule.threshold
        watches = threshold.all_servers or threshold.tag in tags or server_id in (threshold.server_ids or ())
        if threshold.kind == "offline" or not watches:
            continue
        alone = msgspec.structs.replace(threshold, all_servers=False, tag=None, server_ids=[server_id])
        after = timedelta(seconds=threshold.window_s + threshold.clear_for_s + 120)
        try:
            replayed = await backtest(database, alone, stretch["oldest"], min(now, stretch["newest"] + after), at)
        except ProblemError as error:
            log.warning("rule %d was not replayed over late readings: %s", rule.id, error)
            continue
        for firing in replayed.firings:
            if firing.resolved_at is not None:
                recorded += await _record(database, rule, firing, now)
    await queries.forget_late_readings(database, server_id=server_id, noted_at=stretch["noted_at"])
    return recorded


async def _record(database: Database, rule: Rule, firing: Firing, now: datetime) -> int:
    queries = load_queries("alert_evaluation")
    bound = msgspec.json.encode(bound_for(rule, firing.level)).decode()
    async with database.transaction() as transaction:
        alert_id = await queries.record_late_alert(
            transaction,
            threshold_id=rule.id,
            server_id=firing.server_id,
            labels=labels_key(firing.labels),
            level=firing.level,
            value=firing.value,
            bound=bound,
            window_s=rule.threshold.window_s,
            started_at=firing.started_at,
            resolved_at=firing.resolved_at,
            learned_at=now,
        )
        if alert_id is None:
            return 0
        for kind, moment in (("fired", firing.started_at), ("resolved", firing.resolved_at)):
            await queries.record_event(
                transaction,
                at=(moment or now).timestamp(),
                alert_id=alert_id,
                threshold_id=rule.id,
                server_id=firing.server_id,
                transition=kind,
                level=firing.level,
                value=firing.value,
                bound=bound,
                window_s=rule.threshold.window_s,
            )
    return 1
