"""What is wrong with a rule, found without asking the database. Pure; `rules.py` refuses what has a fault."""

import difflib
import math
from collections.abc import Iterator

import msgspec
from msgspec import Struct

from chatops_backend.alerts.windows import LONGEST_MINUTES_S
from chatops_backend.metrics.statements import label_named
from chatops_protocol.alert_resources import Bound, Threshold
from chatops_protocol.catalog import Measurement, find_metric, metric_names

_LEVELS = ("warning", "critical", "clear")
SHORTEST_FORECAST_S = 3_600
SHORTEST_REPEAT_S = 60


class Fault(Struct, frozen=True):
    """`field` of the rule is wrong; `message` says what to do about it."""

    field: str
    message: str


def faults_of(rule: Threshold) -> list[Fault]:
    faults = [*_servers(rule), *_window(rule), *_channels(rule)]
    if rule.kind == "offline":
        return [*faults, *_offline(rule)]
    return [*faults, *_metric(rule), *_numbers(rule), *_levels(rule), *_kind(rule)]


def _servers(rule: Threshold) -> Iterator[Fault]:
    ways = [rule.server_ids is not None, rule.tag is not None, rule.all_servers]
    if sum(ways) > 1:
        yield Fault("server_ids", "name servers in one way: `server_ids`, `tag` or `all_servers`, not several")
    elif not any(ways):
        yield Fault("server_ids", "say which servers it watches: `server_ids`, `tag`, or `all_servers: true`")
    elif rule.server_ids == []:
        yield Fault("server_ids", "an empty list watches nothing; name a server, or set `all_servers: true`")


def _window(rule: Threshold) -> Iterator[Fault]:
    if rule.window_s % 60:
        yield Fault("window_s", "give whole minutes, a multiple of 60; the roll-ups have nothing finer")
    elif rule.kind != "offline" and rule.window_s > LONGEST_MINUTES_S and rule.window_s % 3_600:
        yield Fault("window_s", "give whole hours, a multiple of 3600; windows over six hours are read from the hours")


def _channels(rule: Threshold) -> Iterator[Fault]:
    if rule.repeat_s is not None and rule.repeat_s < SHORTEST_REPEAT_S:
        yield Fault("repeat_s", f"repeat every {SHORTEST_REPEAT_S} seconds at most, or leave it out")
    if rule.escalate_after_s is not None and not rule.escalate_channel_ids:
        yield Fault("escalate_channel_ids", "say which channels it escalates to, or leave `escalate_after_s` out")
    if rule.escalate_channel_ids and rule.escalate_after_s is None:
        yield Fault("escalate_after_s", "say after how many seconds it escalates, or name no channels for it")


def _offline(rule: Threshold) -> Iterator[Fault]:
    for field in ("metric", "labels", *_LEVELS, "against_s", "within_s"):
        if getattr(rule, field):
            yield Fault(field, "leave it out; an offline rule looks at nothing but how long a server is silent")


def _metric(rule: Threshold) -> Iterator[Fault]:
    found = find_metric(rule.metric or "")
    if rule.metric is None:
        yield Fault("metric", "name a metric as `measurement.field`; `GET /api/v1/metrics/catalog` lists all")
    elif found is None:
        near = difflib.get_close_matches(rule.metric, metric_names(), n=5, cutoff=0.4)
        advice = f"near it are: {', '.join(near)}" if near else "`GET /api/v1/metrics/catalog` lists all"
        yield Fault("metric", f"there is no metric {rule.metric[:100]!r}; {advice}")
    else:
        yield from _labels(rule, found[0])


def _labels(rule: Threshold, measurement: Measurement) -> Iterator[Fault]:
    known = ", ".join(measurement.label_names) or "none"
    for name, text in rule.labels.items():
        label = label_named(measurement, name)
        if label is None:
            yield Fault("labels", f"{measurement.name} has no label {name[:100]!r}; its labels are: {known}")
        elif len(text) > 2_000 or "\0" in text:
            yield Fault("labels", f"the value of {name} is too long or has a NUL character")
        elif label.type == "jsonb":
            try:
                pairs = msgspec.json.decode(text, type=dict[str, str])
            except (msgspec.MsgspecError, RecursionError):
                yield Fault("labels", f"{name} takes the text of a JSON object of strings")
            else:
                if any("\0" in part for pair in pairs.items() for part in pair):
                    yield Fault("labels", f"{name} has a NUL character; remove it")


def _numbers(rule: Threshold) -> Iterator[Fault]:
    for field in _LEVELS:
        bound = getattr(rule, field)
        if bound is None:
            continue
        if rule.comparison == "outside":
            if not isinstance(bound, tuple):
                yield Fault(field, "`outside` takes a pair: the lowest and the highest value that are still good")
            elif not bound[0] < bound[1]:
                yield Fault(field, f"{bound[0]:g} is not below {bound[1]:g}; give the lower end first")
        elif isinstance(bound, tuple):
            yield Fault(field, f"`{rule.comparison}` takes one number, not a pair")
        if not all(map(math.isfinite, _ends(bound))):
            yield Fault(field, "give a number that is finite")


def _levels(rule: Threshold) -> Iterator[Fault]:
    if rule.warning is None and rule.critical is None:
        yield Fault("critical", "give a level: `warning`, `critical` or both")
        return
    if any(_numbers(rule)):
        return  # which side a number is on says nothing yet
    if rule.warning is not None and rule.critical is not None:
        if rule.warning == rule.critical:
            yield Fault("warning", "it is the same as `critical`, so nobody would ever be warned; leave one out")
        elif not _comes_first(rule, rule.warning, rule.critical):
            yield Fault("warning", f"it must be reached before `critical`: {_side(rule, rule.critical)}")
    lowest = rule.warning if rule.warning is not None else rule.critical
    if rule.clear is not None and lowest is not None and not _comes_first(rule, rule.clear, lowest):
        yield Fault("clear", f"it is on the wrong side of the lowest level: {_side(rule, lowest)}")


def _kind(rule: Threshold) -> Iterator[Fault]:
    if rule.kind == "change":
        if rule.against_s is None:
            yield Fault("against_s", "say how much earlier the window is that it compares with: 3600, 86400 or 604800")
        elif rule.window_s > rule.against_s:
            yield Fault("window_s", "a window longer than `against_s` overlaps the one it is compared with; shorten it")
    elif rule.against_s is not None:
        yield Fault("against_s", f"only change rules have it; this is a {rule.kind} rule, so leave it out")
    if rule.kind == "forecast":
        yield from _forecast(rule)
    elif rule.within_s is not None:
        yield Fault("within_s", f"only forecast rules have it; this is a {rule.kind} rule, so leave it out")


def _forecast(rule: Threshold) -> Iterator[Fault]:
    if not rule.within_s:
        yield Fault("within_s", "say within how many seconds from now the level is reached")
    if rule.window_s < SHORTEST_FORECAST_S:
        yield Fault("window_s", f"a forecast needs at least {SHORTEST_FORECAST_S} seconds to fit its line to")
    if rule.aggregate != "avg":
        yield Fault("aggregate", "a forecast fits its line to averages; give `avg`")
    if rule.no_data == "fire":
        yield Fault("no_data", "a poor fit counts as no data, and would fire; give `ignore` or `keep`")


def _comes_first(rule: Threshold, first: Bound, second: Bound) -> bool:
    """Whether a value on its way to a breach reaches `first` before `second`, or with it."""
    if isinstance(first, tuple) and isinstance(second, tuple):
        return second[0] <= first[0] and first[1] <= second[1]
    if isinstance(first, tuple) or isinstance(second, tuple):
        return False
    return first <= second if rule.comparison in ("gt", "gte") else first >= second


def _side(rule: Threshold, bound: Bound) -> str:
    if isinstance(bound, tuple):
        return f"give a range within {bound[0]:g} to {bound[1]:g}"
    return f"give {'at most' if rule.comparison in ('gt', 'gte') else 'at least'} {bound:g}"


def _ends(bound: Bound) -> tuple[float, ...]:
    return bound if isinstance(bound, tuple) else (bound,)
