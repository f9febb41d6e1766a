"""The tables of a server's tabs, from the rows of a reading. Names from the host are text, never markup. Pure."""

from collections.abc import Sequence
from typing import Any

from dash import html

from chatops_dashboards.components.attributes import dashed
from chatops_dashboards.components.status import level_mark
from chatops_dashboards.components.tables import data_table
from chatops_dashboards.theme import level_of
from chatops_dashboards.units import format_percent, format_value

Row = dict[str, Any]


def filesystem_table(rows: Sequence[Row]) -> html.Div:
    """Fullest first."""
    ordered = sorted(rows, key=lambda row: (-_or(row.get("used_percent"), -1.0), str(row.get("mountpoint"))))
    return data_table(
        [
            ("Mounted at", False),
            ("Usage", False),
            ("Used", True),
            ("Size", True),
            ("Free", True),
            ("Inodes", True),
            ("Device", False),
            ("Type", False),
        ],
        [
            [
                html.Span(str(row.get("mountpoint", "")), className="breakable strong"),
                bar(row.get("used_percent"), str(row.get("mountpoint", ""))),
                format_value(row.get("used_bytes"), "bytes"),
                format_value(row.get("total_bytes"), "bytes"),
                format_value(row.get("free_bytes"), "bytes"),
                share(row.get("inodes_used_percent")),
                html.Span(str(row.get("device", "")), className="breakable"),
                str(row.get("filesystem_type", "")),
            ]
            for row in ordered
        ],
        caption="File systems, the fullest first",
        hide_on_phone=(2, 5, 6, 7),
    )


def network_table(rows: Sequence[Row]) -> html.Div:
    """Busiest first would jump with every reading: by name."""
    ordered = sorted(rows, key=lambda row: str(row.get("interface")))

    def rate(row: Row, name: str, unit: str = "bytes_per_second") -> str:
        return format_value(row.get(name), unit)

    return data_table(
        [
            ("Interface", False),
            ("Received", True),
            ("Sent", True),
            ("Packets in", True),
            ("Packets out", True),
            ("Errors", True),
            ("Drops", True),
        ],
        [
            [
                html.Span(str(row.get("interface", "")), className="breakable strong"),
                rate(row, "receive_bytes_per_second"),
                rate(row, "transmit_bytes_per_second"),
                rate(row, "receive_packets_per_second", "per_second"),
                rate(row, "transmit_packets_per_second", "per_second"),
                format_value(_sum(row, "receive_errors_per_second", "transmit_errors_per_second"), "per_second"),
                format_value(_sum(row, "receive_drops_per_second", "transmit_drops_per_second"), "per_second"),
            ]
            for row in ordered
        ],
        caption="Network interfaces",
        hide_on_phone=(3, 4, 5, 6),
    )


def process_table(rows: Sequence[Row], by: str) -> html.Div:
    """The heaviest first, by ``cpu`` (of one core) or ``memory``."""
    key = "memory_resident_bytes" if by == "memory" else "cpu_percent"
    ordered = sorted(rows, key=lambda row: (-_or(row.get(key), -1.0), str(row.get("name"))))
    return data_table(
        [
            ("Program", False),
            ("User", False),
            ("CPU", True),
            ("Memory", True),
            ("Share", True),
            ("Processes", True),
            ("Threads", True),
        ],
        [
            [
                html.Span(str(row.get("name", "")), className="breakable strong"),
                str(row.get("user", "")),
                format_percent(row.get("cpu_percent")),
                format_value(row.get("memory_resident_bytes"), "bytes"),
                format_percent(row.get("memory_percent")),
                format_value(row.get("process_count"), "count"),
                format_value(row.get("thread_count"), "count"),
            ]
            for row in ordered
        ],
        caption=f"Programs by {'memory' if by == 'memory' else 'CPU'}",
        hide_on_phone=(4, 5, 6),
    )


def bar(percent: float | None, label: str) -> html.Div:
    level = level_of(percent)
    width = 0.0 if percent is None else min(100.0, max(0.0, percent))
    return html.Div(
        [
            html.Div(html.Div(style={"width": f"{width:.1f}%"}, className=f"fill fill-{level}"), className="track"),
            html.Span(share(percent), className="numeric bar-number"),
        ],
        className="bar",
        role="meter",
        **dashed(
            aria_label=f"{label} used",
            aria_valuemin="0",
            aria_valuemax="100",
            aria_valuenow=f"{width:.0f}",
        ),
    )


def share(percent: float | None) -> html.Span:
    level = level_of(percent)
    return html.Span([level_mark(level), format_percent(percent)], className=f"level-{level}")


def _or(value: float | None, default: float) -> float:
    return default if value is None else value


def _sum(row: Row, *names: str) -> float | None:
    values = [row[name] for name in names if row.get(name) is not None]
    return sum(values) if values else None
