"""Readings that came long after they were taken: what would have fired is recorded, and nobody is told.

Runs after an evaluation, one server at a time. What still lasts when a backlog ends is not its business: the evaluator
sees that itself. Where late readings never end, as of a host whose clock is behind, it is recorded once it is over.
"""

import logging
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

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
# Late readings that go on are not waited for longer than this; a host whose clock is behind sends nothing else.
PATIENCE_S = 600.0
# How far back a stretch that goes on may begin, for an alert that lasts: each turn reads all of it again.
LONGEST = timedelta(days=1)
_MINUTE = timedelta(minutes=1)


class LateReadings:
    """`replay` after each evaluation. Remembers only since when it has waited for which server."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._queries = load_queries("alert_evaluation")
        self._waiting_since: dict[int, float] = {}

    async def replay(self, rules: Iterable[Rule], at: float) -> int:
        """Replay rules over the late readings of one server, if it is some server's turn; return how many alerts were
        recorded."""
        noted = {
            row["server_id"]: row async for row in self._queries.list_late_readings(self._database, quiet_s=QUIET_S)
        }
        self._waiting_since = {server_id: self._waiting_since.get(server_id, at) for server_id in noted}
        for server_id, stretch in noted.items():
            if stretch["ended"]:
                recorded, _ = await self._replay(rules, stretch, at)
                await self._queries.forget_late_readings(
                    self._database, server_id=server_id, noted_at=stretch["noted_at"]
                )
                return recorded
        if noted:
            server_id = min(noted, key=self._waiting_since.__getitem__)
            if at - self._waiting_since[server_id] > PATIENCE_S:
                self._waiting_since[server_id] = at
                stretch = noted[server_id]
                recorded, until = await self._replay(rules, stretch, at)
                await self._queries.shorten_late_readings(
                    self._database, server_id=server_id, oldest=stretch["oldest"], until=until
                )
                return recorded
        return 0

    async def _replay(self, rules: Iterable[Rule], stretch: Any, at: float) -> tuple[int, datetime]:
        """How many alerts were recorded, and from when on the stretch is still needed if it goes on."""
        server_id: int = stretch["server_id"]
        newest: datetime = stretch["newest"]
        tags = set(await self._database.fetchval("SELECT tags FROM chatops.servers WHERE id = $1", server_id) or ())
        now = datetime.fromtimestamp(at, UTC)
        recorded, until = 0, newest - _MINUTE
        for rule in rules:
            threshold = rule.threshold
            watches = threshold.all_servers or threshold.tag in tags or server_id in (threshold.server_ids or ())
            if threshold.kind == "offline" or not watches:
                continue
            alone = msgspec.structs.replace(threshold, all_servers=False, tag=None, server_ids=[server_id])
            # Nothing is known of what comes after a stretch that goes on: its end must not look like missing readings.
            after = timedelta(seconds=threshold.window_s + threshold.clear_for_s + 120) * stretch["ended"]
            try:
                replayed = await backtest(self._database, alone, stretch["oldest"], min(now, newest + after), at)
            except ProblemError as error:
                log.warning("rule %d was not replayed over late readings: %s", rule.id, error)
                continue
            # What is pending or lasts is seen from its beginning again.
            pending = timedelta(seconds=threshold.for_s) + _MINUTE
            until = min(until, newest - pending)
            for firing in replayed.firings:
                if firing.resolved_at is not None:
                    recorded += await _record(self._database, rule, firing, now)
                else:
                    until = min(until, firing.started_at - pending)
        return recorded, max(until, newest - LONGEST)


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
