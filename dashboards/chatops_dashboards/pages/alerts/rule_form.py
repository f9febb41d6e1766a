"""A rule as the fields of a form, and back. Pure; what cannot be read is told at its field."""

from collections.abc import Callable, Mapping
from typing import Any

from chatops_dashboards.alert_words import unit_of
from chatops_dashboards.quantities import parse_duration, parse_quantity, write_duration, write_quantity
from chatops_protocol.alert_resources import Bound, Threshold
from chatops_protocol.catalog import find_metric

Form = dict[str, Any]
Problems = dict[str, str]
LEVELS = ("warning", "critical", "clear")
DURATIONS = {
    "window": "window_s",
    "for": "for_s",
    "clear_for": "clear_for_s",
    "within": "within_s",
    "repeat": "repeat_s",
    "escalate_after": "escalate_after_s",
}
# Where the form shows what the API says of a field of the rule.
PLACES = {api: name for name, api in DURATIONS.items()} | {
    "server_ids": "scope",
    "all_servers": "scope",
    "against_s": "against",
}
DEFAULT = Threshold(
    name="",
    metric="host.cpu_percent",
    all_servers=True,
    window_s=300,
    warning=None,
    critical=90.0,
    clear=None,
    for_s=600,
)


def form_of(rule: Threshold) -> Form:
    """The fields as a person sees them."""
    unit = unit_of(rule.metric)
    form: Form = {
        "name": rule.name,
        "kind": rule.kind,
        "metric": rule.metric,
        "labels": dict(rule.labels),
        "scope": "all" if rule.all_servers else "tag" if rule.tag is not None else "ids",
        "tag": rule.tag,
        "server_ids": [str(server_id) for server_id in rule.server_ids or []],
        "aggregate": rule.aggregate,
        "comparison": rule.comparison,
        "no_data": rule.no_data,
        "against": str(rule.against_s or 3600),
        "channel_ids": [str(channel) for channel in rule.channel_ids],
        "escalate_channel_ids": [str(channel) for channel in rule.escalate_channel_ids],
        "runbook_url": rule.runbook_url,
        "enabled": rule.enabled,
    }
    form |= {name: write_duration(getattr(rule, field)) for name, field in DURATIONS.items()}
    for level in LEVELS:
        bound: Bound | None = getattr(rule, level)
        low, high = bound if isinstance(bound, tuple | list) else (bound, None)
        form |= {level: write_quantity(low, unit), f"{level}_high": write_quantity(high, unit)}
    return form


def rule_of(form: Mapping[str, Any]) -> tuple[Threshold, Problems]:
    """The rule that the fields say. A field with a problem counts as empty; only what the kind uses is read."""
    problems: Problems = {}

    def read(name: str, parse: Callable[[str], float], fallback: float | None = None) -> float | None:
        text = str(form.get(name) or "").strip()
        if not text:
            return fallback
        try:
            return parse(text)
        except ValueError as error:
            problems[name] = str(error)
            return fallback

    kind: Any = form.get("kind") or "threshold"
    offline = kind == "offline"
    metric = None if offline else form.get("metric") or None
    unit = unit_of(metric) if metric else "value"
    comparison: Any = form.get("comparison") or "gt"
    bounds: dict[str, Any] = {}
    for level in LEVELS:
        bounds[level] = None
        if offline:
            continue
        low = read(level, lambda text: parse_quantity(text, unit))
        if comparison != "outside":
            bounds[level] = low
            continue
        high = read(f"{level}_high", lambda text: parse_quantity(text, unit))
        if low is not None and high is not None:
            bounds[level] = (low, high)
        elif low is not None or high is not None:
            problems.setdefault(f"{level}_high" if high is None else level, "Give both ends of the range.")
    window = read("window", parse_duration, 300.0) or 0.0
    if window != int(window):
        problems["window"] = "Give whole minutes."
    scope = form.get("scope")
    found = find_metric(metric) if metric else None
    known = found[0].label_names if found else ()
    rule = Threshold(
        name=str(form.get("name") or "").strip(),
        kind=kind,
        metric=metric,
        labels={name: text for name, text in (form.get("labels") or {}).items() if text and name in known},
        server_ids=_ids(form, "server_ids") if scope == "ids" else None,
        tag=(form.get("tag") or None) if scope == "tag" else None,
        all_servers=scope == "all",
        aggregate="avg" if offline or kind == "forecast" else form.get("aggregate") or "avg",
        window_s=int(window),
        comparison=comparison if not offline else "gt",
        **bounds,
        for_s=read("for", parse_duration, 0.0) or 0.0,
        clear_for_s=read("clear_for", parse_duration, 0.0) or 0.0,
        no_data="ignore" if offline else form.get("no_data") or "ignore",
        against_s=int(form.get("against") or 3600) if kind == "change" else None,  # type: ignore[arg-type]
        within_s=read("within", parse_duration) if kind == "forecast" else None,
        enabled=bool(form.get("enabled", True)),
        channel_ids=_ids(form, "channel_ids"),
        repeat_s=read("repeat", parse_duration),
        escalate_after_s=read("escalate_after", parse_duration),
        escalate_channel_ids=_ids(form, "escalate_channel_ids"),
        runbook_url=str(form.get("runbook_url") or "").strip(),
    )
    return rule, problems


def place_problems(extra: tuple[dict[str, Any], ...], known: set[str]) -> tuple[Problems, list[str]]:
    """What the API says of the rule's fields: by field of the form, and what belongs to none."""
    placed: Problems = {}
    rest: list[str] = []
    for item in extra:
        message = str(item.get("message") or "")
        key = str(item.get("key") or "").removeprefix("threshold.").split("[")[0].split(".")[0]
        name = PLACES.get(key, key)
        if name in known and name not in placed:
            placed[name] = message[:1].upper() + message[1:]
        else:
            rest.append(f"{key}: {message}" if key else message)
    return placed, rest


def _ids(form: Mapping[str, Any], name: str) -> list[int]:
    return [int(text) for text in form.get(name) or []]
