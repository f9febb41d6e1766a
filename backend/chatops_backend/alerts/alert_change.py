"""One transition of one alert, as the evaluator hands it to the outbox."""

from typing import Any, Literal

from msgspec import Struct

from chatops_protocol.alert_resources import Bound, Level, Threshold


class AlertChange(Struct, frozen=True, kw_only=True):
    """`at` and `started_at` are Unix seconds; `notify` is False for what is held back or over already."""

    alert_id: int
    threshold_id: int
    threshold: Threshold
    server_id: int
    server_name: str
    server_tags: list[str]
    labels: dict[str, Any]
    transition: Literal["fired", "raised", "resolved", "repeat", "escalated"]
    level: Level
    value: float | None
    bound: Bound | None
    window_s: int
    started_at: float
    at: float
    notify: bool = True
