"""Nine days of two servers' readings, and a plain re-implementation of what a rule sees in them."""

import math
import random
import statistics
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import combinations
from typing import Any

from chatops_backend.alerts.state_machine import OK, Bounds, Transition, bounds_of, step
from chatops_backend.database.interface import Database
from chatops_protocol.alert_resources import Threshold

END = datetime(2026, 3, 30, 6, 0, tzinfo=UTC)  # the clocks of Europe went forward the day before
START = END - timedelta(days=9)
MOUNTS = ("/", "/home")
WIDTHS = {"1m": 60, "1h": 3_600}

Bucket = tuple[float | None, float | None, float | None, int]
Key = tuple[int, str]


@dataclass
class StoredHistory:
    """`buckets`: by tier, server and mount (``""`` for host), and Unix seconds: avg, min, max, samples."""

    database: Database
    servers: list[int]
    buckets: dict[str, dict[Key, dict[int, Bucket]]] = field(default_factory=dict)


def readings(server: int, mount: str) -> Iterator[tuple[datetime, float | None]]:
    """Quiet but for two bad hours a week apart, a hole, missing values, and a steady climb of one mount at the end."""
    chance = random.Random(f"{server} {mount}")
    moment = START - timedelta(hours=7)
    while moment < END:
        moment += timedelta(seconds=chance.choice([20, 40, 60, 60, 60, 130]))
        since = (moment - START).total_seconds()
        if 90_000 < since < 92_000 + 1_000 * server:
            continue
        bad = any(day * 86_400 + 7_200 < since < day * 86_400 + 12_000 for day in (1, 8))
        value = chance.gauss(80 if bad else 40, 12 if bad else 4)
        if mount == "/home" and server == 1 and since > 6 * 86_400:
            value = 40 + (since - 6 * 86_400) / 6_000 + chance.gauss(0, 0.5)
        yield moment, None if chance.random() < 0.05 else value


async def fill(history: StoredHistory) -> None:
    for number, server_id in enumerate(history.servers[:2]):
        for mount in ("", *MOUNTS):
            rows = list(readings(number, mount))
            columns: dict[str, list[Any]] = {
                "time": [moment for moment, _ in rows],
                "server_id": [server_id] * len(rows),
                "used_percent" if mount else "cpu_percent": [value for _, value in rows],
            }
            if mount:
                columns |= {"mountpoint": [mount] * len(rows), "device": ["d"] * len(rows)}
                columns |= {"filesystem_type": ["ext4"] * len(rows)}
            async with history.database.transaction() as transaction:
                await transaction.insert_columns(
                    "filesystem" if mount else "host", list(columns), list(columns.values())
                )
            minutes = _grouped([(m.timestamp(), v, v, v, 1) for m, v in rows], 60)
            history.buckets.setdefault("1m", {})[server_id, mount] = minutes
            hours = _grouped([(at, *bucket) for at, bucket in minutes.items()], 3_600)
            history.buckets.setdefault("1h", {})[server_id, mount] = hours


def _grouped(rows: list[tuple[float, float | None, float | None, float | None, int]], width: int) -> dict[int, Bucket]:
    groups: dict[int, list[Any]] = {}
    for row in rows:
        groups.setdefault(int(row[0] // width * width), []).append(row[1:])
    return {at: _bucket(group) for at, group in groups.items()}


def _bucket(group: list[Bucket]) -> Bucket:
    known = [(a, lo, hi, n) for a, lo, hi, n in group if a is not None]
    samples = sum(row[3] for row in group)
    if not known:
        return None, None, None, samples
    average = math.fsum(a * n for a, _, _, n in known) / sum(row[3] for row in known)
    return average, min(row[1] for row in known), max(row[2] for row in known), samples  # type: ignore[type-var]


def window_value(buckets: dict[int, Bucket], width: int, at: int, window_s: int, aggregate: str) -> float | None:
    inside = [buckets[t] for t in range(at - window_s, at, width) if t in buckets and buckets[t][0] is not None]
    if not inside:
        return None
    if aggregate == "last":
        return inside[-1][0]
    if aggregate == "avg":
        return math.fsum(a * n for a, _, _, n in inside) / sum(row[3] for row in inside)  # type: ignore[operator]
    return (min if aggregate == "min" else max)(row[1 if aggregate == "min" else 2] for row in inside)  # type: ignore[type-var]


def forecast_value(buckets: dict[int, Bucket], at: int, bin_s: int, count: int, within_s: float) -> float | None:
    bins = [(-(n + 0.5) * bin_s, window_value(buckets, 60, at - n * bin_s, bin_s, "avg")) for n in range(count)]
    points = [(time, value) for time, value in bins if value is not None]
    if len(points) < 0.75 * count:
        return None
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in combinations(points, 2)]
    slope = statistics.median(slopes)
    if abs(sum((s > 0) - (s < 0) for s in slopes)) < 0.6 * len(slopes):
        return None
    return statistics.median(value - slope * time for time, value in points) + slope * within_s


def expected(history: StoredHistory, rule: Threshold, key: Key, step_s: int, tier: str) -> list[Transition]:
    """Every moment of the range stepped, one by one."""
    buckets, width = history.buckets[tier][key], WIDTHS[tier]
    bounds, state, transitions = bounds_for_test(rule), OK, []
    starts = sorted(buckets)
    for at in range(int(START.timestamp()), int(END.timestamp()) + 1, step_s):
        if rule.kind == "offline":
            place = bisect_left(starts, at)
            value = float(at - starts[place - 1] - 60) if place else None
            if value is not None and value <= 15:
                value = 0.0
        elif rule.kind == "forecast":
            value = forecast_value(buckets, at, step_s, rule.window_s // step_s, rule.within_s or 0)
        else:
            value = window_value(buckets, width, at, rule.window_s, rule.aggregate)
            if rule.kind == "change" and value is not None:
                earlier = window_value(buckets, width, at - (rule.against_s or 0), rule.window_s, rule.aggregate)
                value = value - earlier if earlier is not None else None
        state, transition = step(bounds, state, at, value)
        if transition is not None:
            transitions.append(transition)
    return transitions


def bounds_for_test(rule: Threshold) -> Bounds:
    if rule.kind != "offline":
        return bounds_of(rule)
    return Bounds("gt", None, float(rule.window_s), None, rule.for_s, rule.clear_for_s, "keep")
