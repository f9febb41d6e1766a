"""What a notification says: the part that waits in the outbox, and the message made of it when it is sent. Pure."""

from typing import Any, Literal

from msgspec import Struct

from chatops_backend.alerts.series_labels import flat_labels
from chatops_protocol.alert_resources import Bound, Comparison, Kind, Level
from chatops_protocol.catalog import find_metric

ToldTransition = Literal["fired", "raised", "resolved", "repeat", "escalated"]

_SIGNS: dict[Comparison, str] = {"gt": ">", "gte": "≥", "lt": "<", "lte": "≤", "outside": "outside"}
_BEGINNINGS: dict[ToldTransition, str] = {
    "fired": "",
    "raised": "rose to critical: ",
    "resolved": "over: ",
    "repeat": "still: ",
    "escalated": "not acknowledged: ",
}


class ToldChange(Struct, frozen=True, kw_only=True):
    """One transition of one alert. Times in Unix seconds: `started_at` of the breach, `at` of the transition."""

    alert_id: int
    threshold_id: int
    rule: str
    kind: Kind
    metric: str | None
    aggregate: str
    comparison: Comparison
    labels: dict[str, Any]
    transition: ToldTransition
    level: Level
    value: float | None
    bound: Bound | None
    window_s: int
    started_at: float
    at: float
    runbook_url: str


class Notice(Struct, frozen=True, kw_only=True):
    """What one channel is told of one server. Stored as JSON; new fields need a default."""

    server_id: int
    server_name: str
    changes: list[ToldChange]


class Message(Struct, frozen=True, kw_only=True):
    """Ready for a transport. `key` is the same over all attempts, `receiver` is the channel's name, `picture` a PNG."""

    key: str
    receiver: str
    notice: Notice
    external_url: str
    status: Literal["firing", "resolved"]
    level: Level
    title: str
    text: str
    picture: bytes | None = None


def compose(notice: Notice, key: str, receiver: str, external_url: str, picture: bytes | None = None) -> Message:
    over = all(change.transition == "resolved" for change in notice.changes)
    level: Level = "critical" if any(change.level == "critical" for change in notice.changes) else "warning"
    return Message(
        key=key,
        receiver=receiver,
        notice=notice,
        external_url=external_url,
        status="resolved" if over else "firing",
        level=level,
        title=_title(notice, over, level),
        text="\n\n".join(_paragraph(notice, change, external_url) for change in notice.changes),
        picture=picture,
    )


def trial(receiver: str, external_url: str, at: float, key: str) -> Message:
    """What the test of a channel sends."""
    change = ToldChange(
        alert_id=0,
        threshold_id=0,
        rule="Test of this channel",
        kind="threshold",
        metric=None,
        aggregate="avg",
        comparison="gt",
        labels={},
        transition="fired",
        level="warning",
        value=None,
        bound=None,
        window_s=60,
        started_at=at,
        at=at,
        runbook_url="",
    )
    notice = Notice(server_id=0, server_name="ChatOps", changes=[change])
    return Message(
        key=key,
        receiver=receiver,
        notice=notice,
        external_url=external_url,
        status="firing",
        level="warning",
        title="ChatOps: test of a channel",
        text=f"Nothing is wrong: somebody tested the channel {receiver}, and this is what arrived.\n\n{external_url}",
    )


def summary(notice: Notice, change: ToldChange) -> str:
    """One line: ``web-1 {mountpoint=/}: disk full, filesystem.used_percent 93.1 > 90 (avg of 5 min)``."""
    labels = ", ".join(f"{name}={value}" for name, value in sorted(flat_labels(change.labels).items()))
    where = f"{notice.server_name} {{{labels}}}" if labels else notice.server_name
    return f"{where}: {_BEGINNINGS[change.transition]}{change.rule}{_measured(change)}"


def _measured(change: ToldChange) -> str:
    if change.metric is None:
        return ""
    if change.value is None:
        back = change.transition == "resolved" and not change.labels and _has_labels(change.metric)
        return "" if back else f", {change.metric} has no data"
    bound = change.bound
    if bound is None or change.transition == "resolved":
        said = ""
    elif isinstance(bound, tuple):
        said = f" outside {bound[0]:g} … {bound[1]:g}"
    else:
        said = f" {_SIGNS[change.comparison]} {bound:g}"
    window = f"{change.window_s // 60} min" if change.window_s % 3600 else f"{change.window_s // 3600} h"
    how = {"change": "change", "forecast": "forecast"}.get(change.kind, change.aggregate)
    return f", {change.metric} {change.value:.4g}{said} ({how} of {window})"


def _has_labels(metric: str) -> bool:
    """Then an alert without labels says that a server has none of the metric's series."""
    found = find_metric(metric)
    return found is not None and bool(found[0].labels)


def _title(notice: Notice, over: bool, level: Level) -> str:
    state = "OVER" if over else level.upper()
    rules = list(dict.fromkeys(change.rule for change in notice.changes))
    what = rules[0] if len(rules) == 1 else f"{len(notice.changes)} alerts"
    return f"{state}: {notice.server_name}: {what}"


def _paragraph(notice: Notice, change: ToldChange, external_url: str) -> str:
    lines = [f"[{change.level}] {summary(notice, change)}", f"{external_url}/alerts/{change.alert_id}"]
    return "\n".join([*lines, change.runbook_url] if change.runbook_url else lines)
