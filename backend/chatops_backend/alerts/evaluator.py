"""Evaluates all rules on all servers, every ten seconds, on whichever backend holds the lease.

The roll-ups are asked once per measurement and like windows; comparing is vectorised; the state machine runs only for
series that breach or are not ok already. It reads no ingest stream and sends nothing itself.
"""

import asyncio
import contextlib
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import UTC, datetime
from itertools import chain

import asyncpg
import msgspec
import polars as pl
from msgspec import Struct
from prometheus_client import Counter, Gauge, Histogram

from chatops_backend.alerts.answers import Answers
from chatops_backend.alerts.group_values import questions_of, read_group
from chatops_backend.alerts.late import LateReadings
from chatops_backend.alerts.missing_series import PRESENT, Part, bounds_of_part, judges_presence
from chatops_backend.alerts.rule_book import Group, Rule, RuleBook, Watched, breach_of, selected_servers
from chatops_backend.alerts.series_values import Question, UnknownMetricError
from chatops_backend.alerts.state_machine import OK, SeriesState, step
from chatops_backend.alerts.store import Change, Enqueue, StateMovedError, StoredState, labels_key, store_changes
from chatops_backend.alerts.windows import forecast_bins
from chatops_backend.database.interface import Database, DatabaseUnavailableError
from chatops_backend.database.lease import Lease
from chatops_backend.database.queries import load_queries

log = logging.getLogger(__name__)

TICK_S = 10.0
# A backend that died is replaced after the rest of its lease and the time between two looks of the others: 28 s.
LEASE_S = 25.0
STAND_BY_S = 3.0
# Few enough that a transaction is short, many enough that a fleet that breaks at once is stored in seconds.
CHANGES_PER_TRANSACTION = 200

evaluation_seconds = Histogram("chatops_alert_evaluation_seconds", "Duration of one evaluation of all rules")
last_evaluation = Gauge("chatops_alert_last_evaluation_timestamp_seconds", "When rules were last evaluated here")
transitions_total = Counter("chatops_alert_transitions_total", "Transitions of the state machine", ["kind"])
evaluations_failed = Counter("chatops_alert_evaluations_failed_total", "Rounds that ended with an error")
broken_rules = Gauge("chatops_alert_broken_rules", "Enabled rules that cannot be evaluated")

Key = tuple[int, int, str]  # rule, server, labels


class _Candidate(Struct, frozen=True):
    rule: Rule
    server_id: int
    labels: str
    value: float | None
    part: Part = "whole"


class Evaluator:
    """`run` until cancelled; `evaluate` does one round. `enqueue` stores notifications with the transitions."""

    def __init__(
        self,
        database: Database,
        enqueue: Enqueue,
        *,
        tick_s: float = TICK_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._enqueue = enqueue
        self._tick_s = tick_s
        self._clock = clock
        self._book = RuleBook(database)
        self._late_readings = LateReadings(database)
        self._lease = Lease(database, "alert evaluation", LEASE_S)
        self._queries = load_queries("alert_evaluation")
        self._evaluated_at = 0.0
        self._forecast_at: dict[tuple[Question, tuple[tuple[str, str], ...], float], float] = {}

    async def run(self) -> None:
        try:
            while True:
                began, every_s = time.monotonic(), self._tick_s
                try:
                    if not await self._lease.hold():
                        every_s = min(STAND_BY_S, self._tick_s)
                    else:
                        at = self._clock()
                        await self.evaluate(at)
                        await self._late_readings.replay(self.rules, at)
                except (DatabaseUnavailableError, asyncpg.PostgresError) as error:
                    evaluations_failed.inc()
                    log.warning("rules were not evaluated: %s", error)
                except Exception:
                    # A fault of ours in one round must not end ingest with it; the heartbeat falls silent.
                    evaluations_failed.inc()
                    log.exception("rules were not evaluated")
                await asyncio.sleep(max(0.0, every_s - (time.monotonic() - began)))
        finally:
            with contextlib.suppress(DatabaseUnavailableError, asyncpg.PostgresError):
                await self._lease.give_up()

    @property
    def rules(self) -> Collection[Rule]:
        """The rules as the last evaluation knew them."""
        return self._book.by_id.values()

    def healthy(self) -> bool:
        """Whether rules were evaluated here lately: what the heartbeat vouches for."""
        return self._clock() - self._evaluated_at < 3 * self._tick_s + LEASE_S

    async def evaluate(self, at: float) -> int:
        """Evaluate every enabled rule at `at` (Unix seconds); return how many transitions were stored."""
        with evaluation_seconds.time():
            await self._book.refresh()
            servers = await self._read_servers(at)
            states = await self._read_states()
            held_back = await self._read_offline()
            broken = dict(self._book.broken)
            answers = Answers(self._database, chain.from_iterable(map(questions_of, self._book.groups)), at)
            stored = 0
            for group in self._book.groups:
                if not self._is_due(group, at):
                    continue
                try:
                    values = await read_group(self._database, answers, group, list(servers.values()), at)
                except (UnknownMetricError, pl.exceptions.PolarsError, asyncpg.PostgresError) as error:
                    broken |= dict.fromkeys((rule.id for rule in group.rules), str(error))
                    continue
                candidates = list(_candidates(group, values, servers, states))
                changes = list(_steps(candidates, servers, states, held_back, at))
                stored += await self._store(changes, at)
                if group.kind == "offline" and changes:
                    held_back = await self._read_offline()
            await self._mark_broken(broken)
        self._evaluated_at = self._clock()
        last_evaluation.set(self._evaluated_at)
        return stored

    def _is_due(self, group: Group, at: float) -> bool:
        """Forecasts read a long window of every series, and move slowly: a dozen times for each of their bins do."""
        if group.kind != "forecast":
            return True
        every_s = max(60, forecast_bins(group.question.window_s)[0] // 12)
        key = (group.question, group.labels, group.within_s)
        if at // every_s == self._forecast_at.get(key):
            return False
        self._forecast_at[key] = at // every_s
        return True

    async def _store(self, changes: Sequence[Change], at: float) -> int:
        stored = 0
        for first in range(0, len(changes), CHANGES_PER_TRANSACTION):
            batch = changes[first : first + CHANGES_PER_TRANSACTION]
            try:
                await store_changes(self._database, batch, at, self._enqueue)
            except (StateMovedError, asyncpg.ForeignKeyViolationError):
                # Another backend was faster, or a rule or server was deleted: the next round sees how things stand.
                log.info("states moved while rules were evaluated; %d steps wait for the next round", len(batch))
                continue
            for change in batch:
                if change.transition is not None:
                    transitions_total.labels(change.transition.kind).inc()
                    stored += 1
        return stored

    async def _read_servers(self, at: float) -> dict[int, Watched]:
        rows = self._queries.list_watched_servers(self._database, now=datetime.fromtimestamp(at, UTC))
        return {
            row["id"]: Watched(row["id"], row["name"], tuple(row["tags"]), row["interval_s"], row["silent_s"])
            async for row in rows
        }

    async def _read_states(self) -> dict[int, dict[Key, StoredState]]:
        """The states that are not ok, by rule."""
        found: dict[int, dict[Key, StoredState]] = defaultdict(dict)
        async for row in self._queries.list_states(self._database):
            labels = labels_key(msgspec.json.decode(row["labels"]))
            state = SeriesState(row["status"], row["level"], row["since"], row["good_since"])
            key = (row["threshold_id"], row["server_id"], labels)
            found[row["threshold_id"]][key] = StoredState(state, row["alert_id"], row["version"], row["untold"])
        return found

    async def _read_offline(self) -> dict[int, int]:
        """Servers that are down, with the alert that says so."""
        return {row["server_id"]: row["alert_id"] async for row in self._queries.open_offline_alerts(self._database)}

    async def _mark_broken(self, broken: dict[int, str]) -> None:
        broken_rules.set(len(broken))
        for rule in self._book.by_id.values():
            if rule.broken is not None and rule.id not in broken:
                await self._queries.mark_broken(self._database, threshold_id=rule.id, broken=None)
        for rule_id, why in broken.items():
            await self._queries.mark_broken(self._database, threshold_id=rule_id, broken=why[:500])


def _candidates(
    group: Group, values: pl.DataFrame, servers: dict[int, Watched], states: dict[int, dict[Key, StoredState]]
) -> Iterator[_Candidate]:
    """The series whose state can change: those that breach, those that are not ok, those without data where it counts.

    `values` has ``server_id``, ``labels`` (JSON) and ``value``.
    """
    by_tag: dict[str, list[int]] = defaultdict(list)
    for server in servers.values():
        for tag in server.tags:
            by_tag[tag].append(server.id)
    rules = {rule.id: rule for rule in group.rules}
    members = {rule.id: selected_servers(rule.threshold, servers, by_tag) for rule in group.rules}
    pairs = pl.DataFrame(
        {"rule_id": list(members), "server_id": list(members.values())},
        schema={"rule_id": pl.Int64, "server_id": pl.List(pl.Int64)},
    ).explode("server_id", empty_as_null=False)
    breaching = (
        pairs.join(values, on="server_id")
        .join(group.bounds, on="rule_id")
        .filter(breach_of("warning") | breach_of("critical"))
    )
    seen: set[Key] = set()
    for rule_id, server_id, labels, value in breaching.select("rule_id", "server_id", "labels", "value").iter_rows():
        rule = rules[rule_id]
        seen.add((rule_id, server_id, labels))
        yield _Candidate(rule, server_id, labels, value, "single" if _by_presence(rule) else "whole")
    known: dict[tuple[int, str], float | None] | None = None
    with_data: set[int] = set()
    for rule in group.rules:
        fires = rule.bounds.no_data == "fire"
        if not fires and rule.id not in states:
            continue
        if known is None:
            known = {(row[0], row[1]): row[2] for row in values.select("server_id", "labels", "value").iter_rows()}
            with_data = {server_id for (server_id, _), value in known.items() if value is not None}
        by_presence = _by_presence(rule)
        keys = [key for key in states.get(rule.id, {}) if key not in seen]
        if fires:
            missing = ((rule.id, server_id, "{}") for server_id in members[rule.id] if server_id not in with_data)
            keys = list(dict.fromkeys([*keys, *missing]))
        for key in keys:
            _, server_id, labels = key
            if not by_presence:
                yield _Candidate(rule, server_id, labels, known.get((server_id, labels)))
            elif labels == "{}":
                yield _Candidate(rule, server_id, labels, PRESENT if server_id in with_data else None, "presence")
            elif server_id in with_data:
                yield _Candidate(rule, server_id, labels, known.get((server_id, labels)), "single")


def _by_presence(rule: Rule) -> bool:
    return judges_presence(rule.bounds, rule.threshold.metric)


def _steps(
    candidates: list[_Candidate],
    servers: dict[int, Watched],
    states: dict[int, dict[Key, StoredState]],
    held_back: dict[int, int],
    at: float,
) -> Iterator[Change]:
    for candidate in candidates:
        rule = candidate.rule
        down = held_back.get(candidate.server_id) if rule.threshold.kind != "offline" else None
        if candidate.server_id not in servers or (down is not None and candidate.value is None):
            continue  # a host that is down has no data: its alerts stay as they are until it is back
        before = states.get(rule.id, {}).get((rule.id, candidate.server_id, candidate.labels))
        current = before.state if before is not None else OK
        value = candidate.value
        after, transition = step(bounds_of_part(rule.bounds, candidate.part), current, at, value)
        if candidate.part == "presence":
            value = None
            transition = msgspec.structs.replace(transition, value=None) if transition is not None else None
        if after != current:
            yield Change(rule, servers[candidate.server_id], candidate.labels, before, after, transition, value, down)
