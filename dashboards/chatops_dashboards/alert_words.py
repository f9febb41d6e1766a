"""Rules and alerts in words and people's units. Pure."""

from collections.abc import Mapping
from typing import Any

from chatops_dashboards.quantities import write_duration, write_quantity
from chatops_dashboards.units import format_duration, format_value
from chatops_protocol.alert_resources import Alert, AlertState, Bound, Comparison, Level, Threshold
from chatops_protocol.catalog import find_metric

LEVEL_WORDS: dict[Level, str] = {"warning": "Warning", "critical": "Critical"}
STATE_WORDS: dict[AlertState, str] = {
    "pending": "Pending",
    "firing": "Firing",
    "acknowledged": "Acknowledged",
    "resolved": "Resolved",
}
COMPARISON_WORDS: dict[Comparison, str] = {
    "gt": "above",
    "gte": "at or above",
    "lt": "below",
    "lte": "at or below",
    "outside": "outside",
}
AGGREGATE_WORDS = {"avg": "average", "min": "minimum", "max": "maximum", "last": "last value"}
_AGO = {3600: "an hour", 86400: "a day", 604800: "a week"}


def unit_of(metric: str | None) -> str:
    """The unit of a metric's values; an offline rule's value is seconds of silence."""
    if metric is None:
        return "seconds"
    found = find_metric(metric)
    return found[1].unit if found else "value"


def metric_words(metric: str) -> str:
    found = find_metric(metric)
    return found[1].description if found else metric


def value_text(value: float | None, metric: str | None) -> str:
    return format_value(value, unit_of(metric))


def bound_text(bound: Bound | None, metric: str | None) -> str:
    if isinstance(bound, tuple | list):
        return f"{exact_text(bound[0], metric)} to {exact_text(bound[1], metric)}"
    return exact_text(bound, metric)


def exact_text(value: float | None, metric: str | None) -> str:
    """What a person wrote into a rule, not rounded."""
    unit = unit_of(metric)
    if value is None or unit == "count":
        return format_value(value, unit)
    suffix = {"percent": " %", "per_second": "/s", "celsius": " °C"}.get(unit, "")
    return write_quantity(value, unit) + suffix


def labels_text(labels: Mapping[str, Any]) -> str:
    """The labels' values, as charts name their series."""
    single = (inner for value in labels.values() for inner in (value.values() if isinstance(value, dict) else [value]))
    return " · ".join(str(value) for value in single if value not in (None, ""))


def alert_value(alert: Alert) -> str:
    """The value that decided beside the bound it broke: ``96 % · bound 90 %``."""
    if alert.metric is None:
        return f"silent for {format_duration(alert.value)}" if alert.value is not None else "silent"
    value = value_text(alert.value, alert.metric) if alert.value is not None else "no data"
    return value if alert.bound is None else f"{value} · bound {bound_text(alert.bound, alert.metric)}"


def rule_words(rule: Threshold, server_names: Mapping[int, str]) -> str:
    """The whole rule as a sentence without its name."""
    if rule.kind == "offline":
        text = f"nothing received for {write_duration(rule.window_s)}"
    else:
        text = f"{_subject(rule)} {_condition(rule)}"
    if rule.for_s:
        text += f" for {write_duration(rule.for_s)}"
    if rule.clear is not None:
        side = "clears inside" if rule.comparison == "outside" else "clears at"
        text += f", {side} {bound_text(rule.clear, rule.metric)}"
    if rule.clear_for_s:
        text += f"{' for' if rule.clear is not None else ', clears after'} {write_duration(rule.clear_for_s)}"
    return f"{text}, {servers_words(rule, server_names)}"


def servers_words(rule: Threshold, server_names: Mapping[int, str]) -> str:
    if rule.all_servers:
        return "all servers"
    if rule.tag is not None:
        return f"servers tagged {rule.tag}"
    ids = rule.server_ids or []
    shown = ", ".join(server_names.get(server_id, f"server {server_id}") for server_id in ids[:3])
    return f"on {shown}" + (f" and {len(ids) - 3} more" if len(ids) > 3 else "")


def _subject(rule: Threshold) -> str:
    metric = rule.metric or "?"
    labels = labels_text(rule.labels)
    where = f" ({labels})" if labels else ""
    window = write_duration(rule.window_s)
    if rule.kind == "forecast":
        return f"{metric}{where} heading, by its last {window}, within {write_duration(rule.within_s)}"
    text = f"{metric}{where}: {AGGREGATE_WORDS[rule.aggregate]} over {window}"
    if rule.kind == "change":
        text += f" against {_AGO.get(rule.against_s or 0, 'the past')} earlier"
    return text


def _condition(rule: Threshold) -> str:
    word = COMPARISON_WORDS[rule.comparison]
    bounds = [
        f"{bound_text(bound, rule.metric)} ({level})"
        for level, bound in (("warning", rule.warning), ("critical", rule.critical))
        if bound is not None
    ]
    if len(bounds) == 1:
        bounds = [bounds[0].rpartition(" (")[0]]
    return f"{word} {' or '.join(bounds) or '?'}"
