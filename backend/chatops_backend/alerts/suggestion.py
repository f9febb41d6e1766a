"""Suggests the quietest level and duration of a rule that still catch the incidents somebody marked.

For each duration it finds the most extreme level that catches all of them – a level further out breaches in fewer
moments, so it catches no more – and takes the pair that fires least often over the whole range.
"""

import asyncio
import contextlib
import math
from collections.abc import Sequence

import msgspec
import polars as pl

from chatops_backend.alerts.backtest import outcome_of, transitions_of
from chatops_backend.alerts.replay_values import ReplayPlan, ServerValues, plan_replay, read_values
from chatops_backend.alerts.state_machine import Bounds
from chatops_backend.alerts.watched_servers import servers_of
from chatops_backend.database.interface import Database
from chatops_backend.problems import ProblemError
from chatops_protocol.alert_resources import Firing, Incident, Suggestion, SuggestionRequest, Threshold

DURATIONS_S = (0.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1_800.0, 3_600.0)
# Levels tried, evenly over the values that the incidents had.
MOST_LEVELS = 256
# Digits of a suggested level: nobody writes 91.8273 into a rule.
DIGITS = 3


async def suggest(database: Database, rule: Threshold, request: SuggestionRequest, now: float) -> Suggestion:
    """`rule` is valid. Raises `ProblemError` when its kind has no level to search, or an incident left no trace."""
    if rule.kind not in ("threshold", "change") or rule.comparison == "outside":
        raise ProblemError(
            400, "Nothing to suggest", "Only threshold and change rules with one-sided levels can be searched."
        )
    servers = await servers_of(database, rule)
    known = {server.id for server in servers}
    for incident in request.incidents:
        if incident.server_id not in known:
            raise _not_usable(incident, "the rule does not watch that server")
        if not request.start <= incident.start < incident.end <= request.end:
            raise _not_usable(incident, "it must lie within `start` and `end`, and end after it starts")
    plan = plan_replay(rule, request.start.timestamp(), request.end.timestamp(), now)
    async with contextlib.aclosing(read_values(database, plan, servers, all_values=True)) as read:
        values = [found async for found in read]
    return await asyncio.to_thread(_quietest, plan, values, request.incidents)


def _quietest(plan: ReplayPlan, values: Sequence[ServerValues], incidents: Sequence[Incident]) -> Suggestion:
    levels = _levels(plan, values, incidents)
    best: Suggestion | None = None
    for for_s in DURATIONS_S:
        level = _furthest(plan, values, incidents, levels, for_s)
        if level is None:
            continue
        firings, seconds = _run(plan, values, level, for_s)
        found = Suggestion(
            level=level,
            clear=_clear(plan.bounds, level),
            for_s=for_s,
            firings=len(firings),
            firing_seconds=seconds,
        )
        if best is None or (found.firings, found.firing_seconds) < (best.firings, best.firing_seconds):
            best = found
    if best is None:
        raise ProblemError(
            400, "No level catches them all", "No single level fires in each of these incidents; mark fewer of them."
        )
    return best


def _levels(plan: ReplayPlan, values: Sequence[ServerValues], incidents: Sequence[Incident]) -> list[float]:
    """From the nearest to the furthest: what occurred during the incidents, rounded, and one digit nearer, so that
    `gt` catches the value as well."""
    parts: list[pl.Series] = []
    for incident in incidents:
        start, end = incident.start.timestamp(), incident.end.timestamp()
        for one in (one for found in values if found.server.id == incident.server_id for one in found.series):
            if one.part == "presence":
                continue
            first = max(0, math.ceil((start - one.first) / plan.step_s))
            until = math.floor((end - one.first) / plan.step_s) + 1
            parts.append(one.values.slice(first, max(0, until - first)).drop_nulls())
    occurred = pl.concat(parts).unique().sort().to_list() if parts else []
    every = max(1, math.ceil(len(occurred) / MOST_LEVELS))
    upwards = plan.bounds.comparison in ("gt", "gte")
    levels: set[float] = set()
    for value in occurred[::every] + occurred[-1:]:
        levels |= {_rounded(value, upwards=upwards), _rounded(value, upwards=upwards, nearer=1)}
    return sorted(levels, reverse=not upwards)


def _furthest(
    plan: ReplayPlan,
    values: Sequence[ServerValues],
    incidents: Sequence[Incident],
    levels: Sequence[float],
    for_s: float,
) -> float | None:
    """The last of `levels` that catches all incidents, by halving."""
    caught, missed = -1, len(levels)
    while missed - caught > 1:
        middle = (caught + missed) // 2
        firings, _ = _run(plan, values, levels[middle], for_s)
        if all(any(_catches(firing, incident) for firing in firings) for incident in incidents):
            caught = middle
        else:
            missed = middle
    return levels[caught] if caught >= 0 else None


def _run(plan: ReplayPlan, values: Sequence[ServerValues], level: float, for_s: float) -> tuple[list[Firing], float]:
    bounds = msgspec.structs.replace(
        plan.bounds, warning=None, critical=level, clear=_clear(plan.bounds, level), for_s=for_s
    )
    firings: list[Firing] = []
    seconds = 0.0
    for found in values:
        for one in found.series:
            outcome = outcome_of(plan, found.server, one.labels, transitions_of(plan, bounds, one))
            firings += outcome.firings
            seconds += outcome.firing_seconds
    return firings, seconds


def _clear(bounds: Bounds, level: float) -> float | None:
    """As far from the level as the rule's own clear level is."""
    lowest = bounds.warning if bounds.warning is not None else bounds.critical
    if isinstance(bounds.clear, float) and isinstance(lowest, float):
        return _rounded(level - (lowest - bounds.clear), upwards=bounds.comparison in ("gt", "gte"))
    return None


def _catches(firing: Firing, incident: Incident) -> bool:
    return (
        firing.server_id == incident.server_id
        and firing.started_at <= incident.end
        and (firing.resolved_at is None or firing.resolved_at > incident.start)
    )


def _rounded(value: float, *, upwards: bool, nearer: int = 0) -> float:
    """To the near side of the level, so that what it caught it still catches. `upwards`: a breach lies above.
    `nearer`: so many units of the last digit further to that side."""
    unit = 10.0 ** (math.floor(math.log10(abs(value))) - DIGITS + 1) if value else 0.1
    rounded = math.floor(value / unit) - nearer if upwards else math.ceil(value / unit) + nearer
    return float(f"{rounded * unit:.{DIGITS + 3}g}")


def _not_usable(incident: Incident, why: str) -> ProblemError:
    return ProblemError(
        400, "Incident not usable", f"The incident of server {incident.server_id} cannot be caught: {why}."
    )
