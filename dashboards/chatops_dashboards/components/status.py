"""State shown three ways at once: colour, shape and word. And moments that a script keeps fresh."""

from datetime import datetime, tzinfo

import dash_mantine_components as dmc
from dash import html

from chatops_dashboards.components.attributes import dashed
from chatops_dashboards.moments import absolute, relative
from chatops_dashboards.theme import CRITICAL_PERCENT, WARNING_PERCENT, Level, level_of
from chatops_dashboards.units import format_percent
from chatops_protocol.resources import ServerStatus

STATUS_WORDS: dict[ServerStatus, str] = {"online": "Online", "offline": "Offline", "never": "Never reported"}
LEVEL_WORDS: dict[Level, str] = {"ok": "", "warning": "high", "critical": "critical", "unknown": "unknown"}


def status_badge(status: ServerStatus, *, word: bool = True) -> html.Span:
    """A disc (online), a square (offline) or a ring (never), with its word."""
    text = STATUS_WORDS.get(status, status)
    return html.Span(
        [
            html.Span(className=f"shape shape-{status}", **dashed(aria_hidden="true")),
            html.Span(text, className="" if word else "visually-hidden"),
        ],
        className=f"status status-{status}",
    )


def moment_text(moment: datetime | None, now: datetime, zone: tzinfo, missing: str = "never") -> html.Time | html.Span:
    """A relative time with the absolute one on hover; the browser keeps it counting."""
    if moment is None:
        return html.Span(missing, className="dim")
    return html.Time(
        relative(moment, now),
        dateTime=moment.isoformat(timespec="seconds"),
        title=absolute(moment, zone),
        className="relative",
    )


def meter(label: str, percent: float | None, detail: str = "", level: Level | None = None) -> html.Div:
    """A share as bar and number. The bar takes a state's colour only when the state is not ok."""
    level = level or level_of(percent)
    width = 0.0 if percent is None else min(100.0, max(0.0, percent))
    word = f", {LEVEL_WORDS[level]}" if LEVEL_WORDS[level] else ""
    return html.Div(
        [
            html.Div(
                [
                    html.Span(label, className="meter-label"),
                    html.Span(detail, className="meter-detail", title=detail) if detail else None,
                    html.Span(
                        [level_mark(level, of_percent=True), format_percent(percent)],
                        className=f"meter-value numeric level-{level}",
                    ),
                ],
                className="meter-head",
            ),
            html.Div(html.Div(style={"width": f"{width:.1f}%"}, className=f"fill fill-{level}"), className="track"),
        ],
        className="meter",
        role="meter",
        **dashed(
            aria_label=f"{label} {detail} {format_percent(percent)}{word}",
            aria_valuemin="0",
            aria_valuemax="100",
            aria_valuenow=f"{width:.0f}",
        ),
    )


def level_mark(level: Level, *, of_percent: bool = False) -> html.Span | None:
    """A triangle for a warning, a diamond for critical: the shape that goes with the colour. `of_percent`: say on hover
    from which share on it stands there."""
    if level not in ("warning", "critical"):
        return None
    mark = f": {WARNING_PERCENT if level == 'warning' else CRITICAL_PERCENT:.0f} % or more" if of_percent else ""
    return html.Span(
        "▲ " if level == "warning" else "◆ ",
        className=f"level-{level}",
        title=LEVEL_WORDS[level].capitalize() + mark,
    )


def tag_list(tags: list[str], limit: int = 4) -> dmc.Group:
    """Tags as small labels; what does not fit is counted."""
    shown = [html.Span(tag, className="tag") for tag in tags[:limit]]
    if len(tags) > limit:
        shown.append(html.Span(f"+{len(tags) - limit}", className="tag", title=", ".join(tags[limit:])))
    return dmc.Group(shown, gap=4)
