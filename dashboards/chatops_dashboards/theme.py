"""Colours and what they mean. State colours mean state and nothing else; series colours belong to a metric.

The series colours keep a contrast of at least 3:1 on the white and on the dark ground, and differ in lightness as well
as in hue, so that the common colour-vision deficiencies tell them apart. Everything else follows CSS variables.
"""

from typing import Any, Literal

Level = Literal["ok", "warning", "critical", "unknown"]

WARNING_PERCENT = 85.0
CRITICAL_PERCENT = 95.0

BLUE = "#2f81d8"
ORANGE = "#d4720b"
TEAL = "#0f9a80"
PURPLE = "#8e63ce"
PINK = "#d0559a"
OCHRE = "#9d8008"
SLATE = "#748092"
SERIES_COLOURS = (BLUE, ORANGE, TEAL, PURPLE, PINK, OCHRE, SLATE)

# For charts, which know no CSS variables: visible on both grounds.
LEVEL_COLOURS = {"warning": "#e08a00", "critical": "#d93a2f", "clear": "#2f9e68"}

_METRIC_COLOURS = {
    "host.cpu_percent": BLUE,
    "host.cpu_user_percent": TEAL,
    "host.cpu_system_percent": ORANGE,
    "host.cpu_iowait_percent": PURPLE,
    "host.cpu_steal_percent": PINK,
    "host.load_1m": BLUE,
    "host.load_5m": ORANGE,
    "host.load_15m": TEAL,
    "host.memory_used_bytes": PURPLE,
    "host.memory_used_percent": PURPLE,
    "host.memory_cached_bytes": OCHRE,
    "host.memory_total_bytes": SLATE,
    "host.swap_used_bytes": PINK,
    "host.swap_used_percent": PINK,
    "host.disk_read_bytes_per_second": TEAL,
    "host.disk_write_bytes_per_second": ORANGE,
    "host.network_receive_bytes_per_second": BLUE,
    "host.network_transmit_bytes_per_second": ORANGE,
    "container.cpu_percent": BLUE,
    "container.memory_used_bytes": PURPLE,
    "network.receive_bytes_per_second": BLUE,
    "network.transmit_bytes_per_second": ORANGE,
}

# A busy processor is only worth a word when it stays busy.
CPU_LASTS_S = 120.0

MANTINE: dict[str, Any] = {
    # The dark greys of the forms, tuned to the blue-grey ground of chatops.css.
    "colors": {
        "dark": [
            "#e3e8ef",
            "#c3cbd6",
            "#98a4b3",
            "#6f7b8b",
            "#3a424e",
            "#2d343f",
            "#222831",
            "#1b1f26",
            "#161a20",
            "#13161b",
        ]
    },
    "primaryColor": "blue",
    "defaultRadius": "md",
    "cursorType": "pointer",
    "fontFamily": "system-ui, -apple-system, 'Segoe UI', Roboto, Cantarell, 'Noto Sans', sans-serif",
    "fontFamilyMonospace": "ui-monospace, 'SF Mono', 'Cascadia Code', 'DejaVu Sans Mono', monospace",
    "headings": {"fontWeight": "600"},
}


def metric_colour(metric: str, index: int = 0) -> str:
    """The colour of a metric: always the same for the known ones, else by its place among its neighbours."""
    return _METRIC_COLOURS.get(metric) or SERIES_COLOURS[index % len(SERIES_COLOURS)]


def level_of(percent: float | None) -> Level:
    """What a share of a resource means at a glance."""
    if percent is None:
        return "unknown"
    return "critical" if percent >= CRITICAL_PERCENT else "warning" if percent >= WARNING_PERCENT else "ok"
