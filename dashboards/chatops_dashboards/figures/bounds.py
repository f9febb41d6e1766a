"""The bounds of a rule as horizontal lines, those a person may drag included, and what a drag means. Pure."""

import re
from collections.abc import Mapping
from typing import Any

from chatops_dashboards.theme import LEVEL_COLOURS
from chatops_dashboards.units import Scale
from chatops_protocol.alert_resources import Bound, Threshold

_DASHES = {"warning": "dash", "critical": "solid", "clear": "dot"}
_DRAGGED = re.compile(r"^shapes\[(\d+)\]\.(y0|y1)$")


def bound_lines(bounds: Mapping[str, Bound | None]) -> dict[str, float]:
    """Line by name, in the metric's unit: ``warning``, or ``warning_low`` and ``warning_high`` of a range."""
    lines: dict[str, float] = {}
    for level in ("warning", "critical", "clear"):
        bound = bounds.get(level)
        if isinstance(bound, tuple | list):
            lines |= {f"{level}_low": float(bound[0]), f"{level}_high": float(bound[1])}
        elif bound is not None:
            lines[level] = float(bound)
    return lines


def rule_lines(rule: Threshold) -> dict[str, float]:
    """None for an offline rule: its bound is no value of a metric."""
    if rule.kind == "offline":
        return {}
    return bound_lines({"warning": rule.warning, "critical": rule.critical, "clear": rule.clear})


def line_shapes(lines: Mapping[str, float], scale: Scale) -> list[dict[str, Any]]:
    """One line each, in order; the order is what `dragged` counts by."""
    return [
        {
            "type": "line",
            "name": name,
            "xref": "paper",
            "x0": 0,
            "x1": 1,
            "yref": "y",
            "y0": value / scale.divisor,
            "y1": value / scale.divisor,
            "line": {"color": LEVEL_COLOURS[_level(name)], "width": 2, "dash": _DASHES[_level(name)]},
            "label": {
                "text": name.replace("clear", "clears").replace("_", " "),
                "textposition": "end",
                "yanchor": "bottom",
                "font": {"size": 11, "color": LEVEL_COLOURS[_level(name)]},
            },
        }
        for name, value in lines.items()
    ]


def with_lines(figure: dict[str, Any], lines: Mapping[str, float], scale: Scale) -> None:
    """Put the lines into a figure and stretch its y axis so that all of them and the data are in sight."""
    shapes = figure["layout"].setdefault("shapes", [])
    shapes[:0] = line_shapes(lines, scale)
    axis = figure["layout"]["yaxis"]
    drawn = [value for trace in figure["data"] if "yaxis" not in trace for value in trace["y"] if value is not None]
    values = [value / scale.divisor for value in lines.values()]
    top, bottom = max([0.0, *values, *drawn]), min([0.0, *values, *drawn])
    fixed = axis.get("range")
    if fixed and bottom >= fixed[0] and top <= fixed[1]:
        for shape in shapes[: len(lines)]:
            # At the very top the word above a line would be cut off.
            if shape["y0"] > fixed[0] + 0.94 * (fixed[1] - fixed[0]):
                shape["label"]["yanchor"] = "top"
        return
    room = 0.06 * ((top - bottom) or 1.0)
    axis.pop("dtick", None)
    axis |= {"range": [bottom - (room if bottom < 0 else 0.0), top + room], "autorange": False}


def dragged(event: Mapping[str, Any] | None, lines: Mapping[str, float], scale: Scale) -> tuple[str, float] | None:
    """The line a person moved and its new value in the metric's unit, of a `relayoutData` event.

    A drag at one end tilts the line on the screen; the end that moved counts, and the redrawn line is level again.
    """
    moved: dict[int, list[float]] = {}
    for key, value in (event or {}).items():
        found = _DRAGGED.match(key)
        if found and isinstance(value, int | float):
            moved.setdefault(int(found[1]), []).append(float(value))
    names = list(lines)
    for index, values in moved.items():
        if index >= len(names):
            continue
        before = lines[names[index]] / scale.divisor
        after = max(values, key=lambda value: abs(value - before))
        return names[index], rounded(after * scale.divisor, scale)
    return None


def rounded(value: float, scale: Scale) -> float:
    """As precise as a hand on a chart: three figures, or a tenth of what the axis counts in."""
    shown = value / scale.divisor
    return float(f"{shown:.3g}") * scale.divisor if abs(shown) < 100 else round(shown) * scale.divisor


def _level(name: str) -> str:
    return name.partition("_")[0]
