"""Resources of ``/alerts``: rules (thresholds), alerts, silences, channels, backtests. JSON on the wire."""

from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from chatops_protocol.resources import Id, Moment, Name, Tag

Kind = Literal["threshold", "change", "forecast", "offline"]
Aggregate = Literal["avg", "min", "max", "last"]
Comparison = Literal["gt", "gte", "lt", "lte", "outside"]
NoData = Literal["ignore", "keep", "fire"]
Level = Literal["warning", "critical"]
AlertState = Literal["pending", "firing", "acknowledged", "resolved"]
ChannelType = Literal["webhook", "apprise"]
# A bound; for `outside` the lowest and the highest value that are still good.
Bound = float | tuple[float, float]

Seconds = Annotated[float, Meta(ge=0, le=31_536_000)]
Window = Annotated[int, Meta(ge=60, le=604_800)]
Comment = Annotated[str, Meta(max_length=2000)]
Ids = Annotated[list[Id], Meta(max_length=2000)]


class Threshold(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A rule. Exactly one of `server_ids`, `tag` and `all_servers` says which servers it watches; none is refused.

    `kind`: ``threshold`` compares the metric's `aggregate` over the last `window_s` seconds; ``change`` compares its
    difference to the same window `against_s` earlier; ``forecast`` the value that a robust line through the last
    `window_s` reaches `within_s` from now; ``offline`` needs no metric and breaches when a server sent nothing for
    `window_s`. The rule fires at a level after its condition held for `for_s`, and is over after the value was on the
    good side of `clear` (default: the lowest level) for `clear_for_s`.
    """

    name: Name
    kind: Kind = "threshold"
    metric: str | None = None
    labels: dict[str, str] = {}
    server_ids: Ids | None = None
    tag: Tag | None = None
    all_servers: bool = False
    aggregate: Aggregate = "avg"
    window_s: Window = 300
    comparison: Comparison = "gt"
    warning: Bound | None = None
    critical: Bound | None = None
    clear: Bound | None = None
    for_s: Seconds = 0
    clear_for_s: Seconds = 0
    no_data: NoData = "ignore"
    against_s: Literal[3600, 86400, 604800] | None = None
    within_s: Seconds | None = None
    enabled: bool = True
    channel_ids: Ids = []
    repeat_s: Seconds | None = None
    escalate_after_s: Seconds | None = None
    escalate_channel_ids: Ids = []
    runbook_url: Annotated[str, Meta(max_length=2000, pattern=r"^(https?://\S+)?$")] = ""


class StoredThreshold(Struct, frozen=True, kw_only=True):
    """A rule as it is kept. `broken` is why it could not be evaluated the last time, None when it could."""

    id: int
    threshold: Threshold
    created_at: datetime
    updated_at: datetime
    broken: str | None = None


class Alert(Struct, frozen=True, kw_only=True):
    """One firing (or pending) of one rule on one series. `value`, `bound` and the window are those that decided it.

    `learned_at` is later than `started_at` when the data came late; such an alert never notifies for what is over.
    `held_back_by` is the alert of the same server that explains this one (the host is down). `threshold_deleted`: the
    rule is gone, and is named as it was last.
    """

    id: int
    threshold_id: int
    threshold_name: str
    server_id: int
    server_name: str
    labels: dict[str, Any]
    metric: str | None
    state: AlertState
    level: Level
    value: float | None
    bound: Bound | None
    window_s: int
    pending_at: datetime | None
    started_at: datetime | None
    learned_at: datetime | None = None
    acknowledged_at: datetime | None = None
    acknowledged_by: str | None = None
    comment: str = ""
    resolved_at: datetime | None = None
    silenced: bool = False
    held_back_by: int | None = None
    runbook_url: str = ""
    threshold_deleted: bool = False


class AlertEvent(Struct, frozen=True, kw_only=True):
    """One transition, with what decided it."""

    time: datetime
    alert_id: int
    transition: Literal["pending", "cancelled", "fired", "raised", "acknowledged", "resolved"]
    level: Level
    value: float | None
    bound: Bound | None
    window_s: int
    actor: str | None = None
    comment: str = ""


class AlertDetail(Struct, frozen=True):
    alert: Alert
    events: list[AlertEvent]


class AcknowledgeRequest(Struct, frozen=True, forbid_unknown_fields=True):
    comment: Comment = ""


class ResolveRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """`comment` is kept in the event; the alert keeps that of who acknowledged it."""

    comment: Comment = ""


class Silence(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Notifies nobody of matching alerts from `starts_at` to `ends_at`; `recurrence` repeats that span every day or
    week at the same local time of `timezone`. At least one of rule, server and tag must be named: an empty one
    silences nothing and is refused. A server's maintenance is a silence of that server."""

    comment: Comment = ""
    threshold_id: Id | None = None
    server_id: Id | None = None
    tag: Tag | None = None
    starts_at: Moment
    ends_at: Moment
    recurrence: Literal["none", "daily", "weekly"] = "none"
    timezone: Annotated[str, Meta(max_length=64)] = "UTC"


class StoredSilence(Struct, frozen=True, kw_only=True):
    id: int
    silence: Silence
    created_by: str
    created_at: datetime
    active: bool


class Channel(Struct, frozen=True, forbid_unknown_fields=True):
    """Where notifications go. `url` is write-only: it holds secrets."""

    name: Name
    type: ChannelType
    url: Annotated[str, Meta(min_length=1, max_length=4000)]
    enabled: bool = True


class UpdateChannelRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Only what is given changes."""

    name: Name | None = None
    url: Annotated[str, Meta(min_length=1, max_length=4000)] | None = None
    enabled: bool | None = None


class StoredChannel(Struct, frozen=True, kw_only=True):
    """`shown_url` has its secrets masked. `last_error` is what the last delivery said, None when it went well.
    `waiting` notifications are still to be delivered, `given_up` never were, of the last month."""

    id: int
    name: str
    type: ChannelType
    shown_url: str
    enabled: bool
    created_at: datetime
    last_delivered_at: datetime | None = None
    last_error: str | None = None
    waiting: int = 0
    given_up: int = 0


class ChannelTest(Struct, frozen=True):
    delivered: bool
    detail: str


class BacktestRequest(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Either a stored rule or one that is not stored yet, over a range."""

    threshold_id: Id | None = None
    threshold: Threshold | None = None
    start: Moment
    end: Moment


class Firing(Struct, frozen=True, kw_only=True):
    """`resolved_at` is None when it would still fire at the end of the range."""

    server_id: int
    labels: dict[str, Any]
    started_at: datetime
    resolved_at: datetime | None
    level: Level
    value: float | None


class Backtest(Struct, frozen=True, kw_only=True):
    """What the rule would have done. `evaluated` counts (series, moment) pairs, every `step_s` seconds, in the hours
    that have data. `truncated`: there were more firings than are listed; the figures count all of them."""

    firings: list[Firing]
    firing_seconds: float
    notifications: int
    per_server: dict[int, int]
    tier: str
    step_s: float
    evaluated: int
    truncated: bool = False


class Incident(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A stretch of time in which somebody should have been told of this server."""

    server_id: Id
    start: Moment
    end: Moment


class SuggestionRequest(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which level and duration of `threshold` are the quietest that still catch all `incidents`?"""

    threshold: Threshold
    start: Moment
    end: Moment
    incidents: Annotated[list[Incident], Meta(min_length=1, max_length=100)]


class Suggestion(Struct, frozen=True, kw_only=True):
    """The rule with `level` (as critical, without warning), `clear` and `for_s` fires `firings` times in the range."""

    level: float
    clear: float | None
    for_s: float
    firings: int
    firing_seconds: float
