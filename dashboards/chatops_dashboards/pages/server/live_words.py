"""What the live tab says around its charts: whether it is live, and the newest values. Pure."""

from datetime import datetime, tzinfo
from typing import Any

from dash import html

from chatops_dashboards.components.attributes import dashed
from chatops_dashboards.components.status import moment_text
from chatops_dashboards.moments import absolute, from_unix
from chatops_dashboards.units import format_percent, format_value
from chatops_protocol.resources import ServerStatus


def live_note(newest: datetime | None, status: ServerStatus, now: datetime, zone: tzinfo) -> list[Any]:
    """Before readings arrive, and when none do. `newest`: the time of the newest reading."""
    if newest is None:
        return ["No data has arrived from this server yet. Charts start by themselves when it does."]
    if status == "offline":
        return [html.Span(["Not live: the newest reading is from ", moment_text(newest, now, zone), "."])]
    return [_dot(), "Live, last 15 minutes"]


def running_note(collected_at: float, zone: tzinfo) -> list[Any]:
    return [
        _dot(),
        "Live, last 15 minutes · reading of ",
        html.Span(
            absolute(from_unix(collected_at), zone)[11:],
            id="live-read-at",
            className="numeric",
            **dashed(data_collected=f"{collected_at:.3f}"),
        ),
    ]


def _dot() -> html.Span:
    return html.Span(className="live-dot", **dashed(aria_hidden="true"))


def now_texts(host: dict[str, Any]) -> dict[str, str]:
    """The newest values beside each chart's title."""
    used, total = host.get("memory_used_bytes"), host.get("memory_total_bytes")
    return {
        "cpu": format_percent(host.get("cpu_percent")),
        "memory": f"{format_value(used, 'bytes')} of {format_value(total, 'bytes')}",
        "load": " · ".join(format_value(host.get(f"load_{m}m"), "load") for m in (1, 5, 15)),
        "disk": _pair(host, "read", "disk_read_bytes_per_second", "written", "disk_write_bytes_per_second"),
        "network": _pair(host, "in", "network_receive_bytes_per_second", "out", "network_transmit_bytes_per_second"),
    }


def _pair(host: dict[str, Any], first: str, first_field: str, second: str, second_field: str) -> str:
    unit = "bytes_per_second"
    return (
        f"{first} {format_value(host.get(first_field), unit)} · {second} {format_value(host.get(second_field), unit)}"
    )
