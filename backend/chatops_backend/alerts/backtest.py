"""What a rule would have done over a range: the state machine of the evaluator, run over the stored roll-ups.

It changes nothing and notifies nobody. Three things differ from having been there: it looks at every minute (hour, for
windows of more than six hours) instead of every ten seconds, it sees data that came late as if it had come in time, and
a host that is down holds nothing back.
"""

import asyncio
import contextlib
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

from chatops_backend.alerts.history import Labels
from chatops_backend.alerts.missing_series import bounds_of_part
from chatops_backend.alerts.replay import replay
from chatops_backend.alerts.replay_values import (
    ReplayPlan,
    SeriesValues,
    plan_replay,
    read_values,
)
from chatops_backend.alerts.series_labels import named_labels
from chatops_backend.alerts.state_machine import Bounds, Transition
from chatops_backend.alerts.stretches import HOUR_S
from chatops_backend.alerts.watched_servers import WatchedServer, servers_of
from chatops_backend.database.interface import Database
from chatops_protocol.alert_resources import Backtest, Firing, Level, Threshold

# An answer of this many firings has a megabyte; nobody reads more.
MOST_FIRINGS = 5_000
_TELLING = ("fired", "raised", "resolved")


class SeriesOutcome(Struct, frozen=True):
    firings: list[Firing]
    firing_seconds: float
    notifications: int


async def backtest(database: Database, threshold: Threshold, start: datetime, end: datetime, now: float) -> Backtest:
    """`threshold` is valid. Raises `ProblemError` when the range is too long or too much would have to be read."""
    plan = plan_replay(threshold, start.timestamp(), end.timestamp(), now)
    firings: list[Firing] = []
    per_server: dict[int, int] = {}
    seconds, notifications, evaluated = 0.0, 0, 0
    if plan.first <= plan.last:
        servers = await servers_of(database, threshold)
        async with contextlib.aclosing(read_values(database, plan, servers)) as read:
            async for found in read:
                outcomes = await asyncio.to_thread(_outcomes, plan, found.server, found.series)
                per_server[found.server.id] = sum(len(outcome.firings) for outcome in outcomes)
                for outcome in outcomes:
                    firings += outcome.firings[: max(0, MOST_FIRINGS - len(firings))]
                    seconds += outcome.firing_seconds
                    notifications += outcome.notifications
                evaluated += found.hours * HOUR_S // plan.step_s
    return Backtest(
        firings=sorted(firings, key=lambda firing: (firing.started_at, firing.server_id)),
        firing_seconds=seconds,
        notifications=notifications,
        per_server=per_server,
        tier=plan.source.tier,
        step_s=plan.step_s,
        evaluated=evaluated,
        truncated=sum(per_server.values()) > len(firings),
    )


def transitions_of(plan: ReplayPlan, bounds: Bounds, one: SeriesValues) -> list[Transition]:
    """`bounds` are those of the rule, or others that are tried in their place."""
    return replay(bounds_of_part(bounds, one.part), one.first, plan.step_s, one.values, plan.last, one.unseen)


def outcome_of(plan: ReplayPlan, server: WatchedServer, labels: Labels, transitions: list[Transition]) -> SeriesOutcome:
    named = named_labels(plan.source.measurement, labels) if labels else {}
    firings: list[Firing] = []
    fired: Transition | None = None
    level: Level = "warning"
    seconds = 0.0
    for happened in transitions:
        if happened.kind in ("fired", "raised"):
            level = happened.level
        if happened.kind == "fired":
            fired = happened
        elif happened.kind == "resolved" and fired is not None:
            firings.append(_firing(server, named, fired, level, happened.at))
            seconds += happened.at - fired.at
            fired = None
    if fired is not None:
        firings.append(_firing(server, named, fired, level, None))
        seconds += plan.last - fired.at
    return SeriesOutcome(firings, seconds, sum(happened.kind in _TELLING for happened in transitions))


def _outcomes(plan: ReplayPlan, server: WatchedServer, series: list[SeriesValues]) -> list[SeriesOutcome]:
    return [outcome_of(plan, server, one.labels, transitions_of(plan, plan.bounds, one)) for one in series]


def _firing(
    server: WatchedServer, labels: dict[str, Any], fired: Transition, level: Level, resolved_at: float | None
) -> Firing:
    return Firing(
        server_id=server.id,
        labels=labels,
        started_at=datetime.fromtimestamp(fired.at, UTC),
        resolved_at=datetime.fromtimestamp(resolved_at, UTC) if resolved_at is not None else None,
        level=level,
        value=fired.value,
    )
