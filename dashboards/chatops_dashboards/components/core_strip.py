"""Per-core load as a strip of small columns: the height is the load, so it reads without colour."""

from collections.abc import Sequence
from typing import Any

from dash import html

from chatops_dashboards.components.attributes import dashed
from chatops_dashboards.units import format_percent


def core_strip(cores: Sequence[dict[str, Any]]) -> html.Div:
    """One column per core, in the order of their numbers."""
    if not cores:
        return html.Div("No per-core readings yet.", className="dim")
    ordered = sorted(cores, key=lambda core: _number(core.get("core")))
    return html.Div(
        [_column(core) for core in ordered], className="core-strip" + (" many" if len(ordered) > 32 else "")
    )


def _column(core: dict[str, Any]) -> html.Div:
    name, percent = str(core.get("core", "")), core.get("cpu_percent")
    height = 0.0 if percent is None else min(100.0, max(0.0, percent))
    text = f"Core {name}: {format_percent(percent)}"
    return html.Div(
        [
            html.Div(html.Div(style={"height": f"{height:.0f}%"}, className="core-fill"), className="core-track"),
            html.Span(name, className="core-name numeric"),
        ],
        className="core",
        title=text,
        role="img",
        **dashed(aria_label=text),
    )


def _number(name: Any) -> tuple[int, str]:
    text = str(name)
    return (int(text), "") if text.isdigit() else (1_000_000, text)
