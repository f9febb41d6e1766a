"""What the rule editor asks the backend: the metric's series, and what an unsaved rule would have done."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from chatops_dashboards.figures.rule_chart import difference
from chatops_dashboards.session import Session
from chatops_dashboards.units import format_duration
from chatops_protocol.alert_resources import Backtest, Incident, SuggestionRequest, Threshold
from chatops_protocol.resources import MetricSeries

RANGES = {"1d": timedelta(days=1), "7d": timedelta(days=7), "30d": timedelta(days=30)}
RANGE_WORDS = {"1d": "1 day", "7d": "7 days", "30d": "30 days"}
POINTS = 700
# Says when readings arrived, for a rule about a server that is silent.
PRESENCE_METRIC = "host.cpu_percent"
MOST_SERIES_KEPT = 6
# The newest series of a chart are read anew after this long.
KEEP_S = 120.0


async def chart_series(
    session: Session, rule: Threshold, server_id: int, start: datetime, end: datetime
) -> MetricSeries:
    """The rule's metric, or for a change rule its difference to earlier. Kept a while: a line that is dragged must not
    wait for history that has not changed."""
    metric = rule.metric or PRESENCE_METRIC
    against = rule.against_s if rule.kind == "change" else None
    key = (metric, tuple(sorted(rule.labels.items())), against, server_id, end - start)
    kept: dict[Any, tuple[datetime, MetricSeries]] = session.shared.setdefault("rule-series", {})
    if key in kept and (end - kept[key][0]).total_seconds() < KEEP_S:
        return kept[key][1]
    labels = rule.labels or None

    def ask(back: timedelta) -> Any:
        return session.client.history_series(server_id, metric, start - back, end - back, points=POINTS, labels=labels)

    if against is None:
        answer: MetricSeries = await ask(timedelta())
    else:
        now, earlier = await asyncio.gather(ask(timedelta()), ask(timedelta(seconds=against)))
        answer = difference(now, earlier, against)
    kept[key] = (end, answer)
    while len(kept) > MOST_SERIES_KEPT:
        del kept[next(iter(kept))]
    return answer


def _last(range_name: str) -> str:
    return f"the last {RANGE_WORDS[range_name].removeprefix('1 ')}"


def summary_words(found: Backtest, range_name: str) -> str:
    """``Would have fired 3 times on 2 servers in 7 days, 42 min in all, 6 notifications.``"""
    count = sum(found.per_server.values())
    if not found.evaluated:
        return f"There are no readings to try it on in {_last(range_name)}."
    if not count:
        return f"Would not have fired in {_last(range_name)}."
    servers = sum(fired > 0 for fired in found.per_server.values())
    return (
        f"Would have fired {times(count)} on {_counted(servers, 'server')} in {RANGE_WORDS[range_name]}, "
        f"{format_duration(found.firing_seconds)} in all, {_counted(found.notifications, 'notification')}."
    )


def where_words(found: Backtest, names: Mapping[int, str], most: int = 6) -> str:
    """The servers that fired most, when there are several."""
    fired = sorted(((count, server) for server, count in found.per_server.items() if count), reverse=True)
    if len(fired) < 2:
        return names.get(fired[0][1], "") if fired else ""
    shown = [f"{names.get(server, f'server {server}')} {count}×" for count, server in fired[:most]]
    return ", ".join(shown) + (f" and {len(fired) - most} more" if len(fired) > most else "")


def suggestion_request(
    rule: Threshold, incidents: Sequence[Sequence[Any]], server_id: int, start: datetime, end: datetime
) -> SuggestionRequest:
    """`incidents` are pairs of RFC 3339 texts."""
    marked = [
        Incident(server_id=server_id, start=datetime.fromisoformat(first), end=datetime.fromisoformat(last))
        for first, last in incidents
    ]
    return SuggestionRequest(threshold=rule, start=start, end=end, incidents=marked)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
