"""The enabled rules in the form the evaluator works with: grouped by what they read, their bounds as columns.

Read again only when a rule changed: ten thousand definitions are not decoded at each tick.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
import polars as pl
from msgspec import Struct

from chatops_backend.alerts.series_values import Question
from chatops_backend.alerts.state_machine import Bounds, bounds_of
from chatops_backend.database.interface import Database
from chatops_backend.database.queries import load_queries
from chatops_protocol.alert_resources import Bound, Comparison, Kind, Threshold

_COMPARISONS: dict[Comparison, str] = {"gt": "above", "gte": "at_or_above", "lt": "below", "lte": "at_or_below"}
_SIDES = ("above", "at_or_above", "below", "at_or_below")


class Rule(Struct, frozen=True):
    id: int
    threshold: Threshold
    bounds: Bounds
    broken: str | None


class Group(Struct, frozen=True):
    """Rules that are answered by the same values: one question, one label filter."""

    kind: Kind
    question: Question
    labels: tuple[tuple[str, str], ...]
    against_s: int
    within_s: float
    rules: tuple[Rule, ...]
    # What `bound_columns` makes of them.
    bounds: pl.DataFrame


class Watched(Struct, frozen=True):
    """A server, and how long it has been silent in seconds; None when it was never heard of."""

    id: int
    name: str
    tags: tuple[str, ...]
    interval_s: float
    silent_s: float | None


class RuleBook:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._queries = load_queries("alert_evaluation")
        self._version: tuple[int, datetime | None, int | None] | None = None
        self.groups: tuple[Group, ...] = ()
        self.by_id: dict[int, Rule] = {}
        self.broken: dict[int, str] = {}

    async def refresh(self) -> None:
        """Read the rules when one was added, changed or removed. `broken` holds those that cannot be decoded."""
        row = await self._queries.rules_version(self._database)
        version = (row["rules"], row["changed_at"], row["newest"])
        if version == self._version:
            return
        rules: list[Rule] = []
        self.broken = {}
        async for stored in self._queries.list_enabled_rules(self._database):
            try:
                threshold = msgspec.json.decode(stored["definition"], type=Threshold)
            except msgspec.MsgspecError as error:
                self.broken[stored["id"]] = f"the stored rule cannot be read: {error}"
                continue
            rules.append(Rule(stored["id"], threshold, bounds_for(threshold), stored["broken"]))
        self.by_id = {rule.id: rule for rule in rules}
        self.groups = tuple(_grouped(rules))
        self._version = version


def bound_columns(rules: Sequence[Rule]) -> pl.DataFrame:
    """One row per rule: ``rule_id`` and, for each level and side, the bound that a breach is beyond (null: none)."""
    columns: dict[str, list[Any]] = {"rule_id": [rule.id for rule in rules]}
    for level in ("warning", "critical"):
        for side in _SIDES:
            columns[f"{level}_{side}"] = []
        for rule in rules:
            bound = rule.bounds.warning if level == "warning" else rule.bounds.critical
            sides = _sides(rule.bounds.comparison, bound)
            for side in _SIDES:
                columns[f"{level}_{side}"].append(sides.get(side))
    schema: dict[str, Any] = {name: pl.Int64 if name == "rule_id" else pl.Float64 for name in columns}
    return pl.DataFrame(columns, schema=schema)


def breach_of(level: str) -> pl.Expr:
    """Whether ``value`` is beyond a bound of this level; columns as `bound_columns` makes them."""
    value = pl.col("value")
    return pl.any_horizontal(
        value > pl.col(f"{level}_above"),
        value >= pl.col(f"{level}_at_or_above"),
        value < pl.col(f"{level}_below"),
        value <= pl.col(f"{level}_at_or_below"),
    ).fill_null(value=False)


def selected_servers(threshold: Threshold, servers: Collection[int], by_tag: Mapping[str, list[int]]) -> list[int]:
    """Those of `servers` (ids) that a rule watches; an empty choice is none."""
    if threshold.all_servers:
        return list(servers)
    if threshold.tag is not None:
        return by_tag.get(threshold.tag, [])
    return [server_id for server_id in threshold.server_ids or [] if server_id in servers]


def bounds_for(threshold: Threshold) -> Bounds:
    if threshold.kind == "offline":
        return Bounds("gt", None, float(threshold.window_s), None, threshold.for_s, threshold.clear_for_s, "keep")
    return bounds_of(threshold)


def _grouped(rules: list[Rule]) -> Iterable[Group]:
    groups: dict[Any, list[Rule]] = defaultdict(list)
    for rule in rules:
        threshold = rule.threshold
        question = Question(threshold.metric or "", threshold.aggregate, threshold.window_s)
        key = (
            threshold.kind,
            question if threshold.kind != "offline" else Question("", "last", 60),
            tuple(sorted(threshold.labels.items())),
            int(threshold.against_s or 0),
            float(threshold.within_s or 0),
        )
        groups[key].append(rule)
    # Host-down rules come first: what they find holds back the others.
    for (kind, question, labels, against_s, within_s), members in sorted(
        groups.items(), key=lambda item: item[0][0] != "offline"
    ):
        yield Group(kind, question, labels, against_s, within_s, tuple(members), bound_columns(members))


def _sides(comparison: Comparison, bound: Bound | None) -> dict[str, float]:
    if bound is None:
        return {}
    if isinstance(bound, tuple):
        return {"below": bound[0], "above": bound[1]}
    return {_COMPARISONS[comparison]: bound}
