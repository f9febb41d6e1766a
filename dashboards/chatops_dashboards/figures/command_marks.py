"""What people ran on a host, along the top of its charts: a shape that says how it ended, where it began, and a line as
long as it ran. On the axis of `bands.py`. Pure."""

from collections.abc import Iterable, Sequence
from datetime import datetime, tzinfo
from typing import Any

from chatops_dashboards.command_words import STATE_MARKS, STATE_WORDS, duration_text
from chatops_dashboards.figures.bands import OVERLAY
from chatops_dashboards.figures.frame import plain
from chatops_dashboards.moments import on_axis
from chatops_dashboards.theme import LEVEL_COLOURS, SLATE
from chatops_protocol.command_resources import Command, CommandState

HEIGHT = 0.955
MOST_MARKS = 100
LONGEST_TITLE = 50
_WENT_WRONG = ("failed", "timed_out")
_SYMBOLS: dict[CommandState, str] = {
    "running": "triangle-right",
    "ok": "circle",
    "failed": "diamond",
    "timed_out": "diamond",
    "cancelled": "square",
    "unknown": "x",
}


def within(commands: Iterable[Command], start: datetime, end: datetime) -> list[Command]:
    """Those that ran in the range, at most the newest `MOST_MARKS`; what never began ran nowhere."""
    ran = [
        command
        for command in commands
        if command.started_at is not None
        and command.started_at < end
        and (command.finished_at is None or command.finished_at >= start)
    ]
    return sorted(ran, key=lambda command: command.id)[-MOST_MARKS:]


def add_commands(
    figure: dict[str, Any], commands: Sequence[Command], start: datetime, end: datetime, zone: tzinfo
) -> bool:
    """Mark them, appended after all other traces so that their numbers stay. Whether there was anything to mark."""
    shown = within(commands, start, end)
    if not shown:
        return False
    figure["layout"]["yaxis2"] = dict(OVERLAY)
    figure["data"] += [
        _trace([one for one in shown if (one.state in _WENT_WRONG) == wrong], start, end, zone, wrong=wrong)
        for wrong in (False, True)
        if any((one.state in _WENT_WRONG) == wrong for one in shown)
    ]
    return True


def words(command: Command, zone: tzinfo) -> str:
    """How it ended, its first words, who ran it, from when to when."""
    began = command.started_at.astimezone(zone) if command.started_at else None
    ended = command.finished_at.astimezone(zone) if command.finished_at else None
    form = "%H:%M:%S" if began and ended and began.date() == ended.date() else "%Y-%m-%d %H:%M:%S"
    times = f"{began:%H:%M:%S}" if began else ""
    times += f" to {ended.strftime(form)} ({duration_text(command)})" if ended else ", still runs"
    state = f"{STATE_MARKS[command.state]} {STATE_WORDS[command.state]}"
    if command.exit_code:
        state += f", exit code {command.exit_code}"
    return f"{state}: {plain(command.title, LONGEST_TITLE)}<br>{plain(command.username)}, {times}"


def _trace(commands: Sequence[Command], start: datetime, end: datetime, zone: tzinfo, *, wrong: bool) -> dict[str, Any]:
    x: list[str | None] = []
    told: list[str] = []
    symbols: list[str] = []
    sizes: list[int] = []
    for command in commands:
        if command.started_at is None:
            continue
        first, last = max(command.started_at, start), min(command.finished_at or end, end)
        # A point without size ends the line; an empty one keeps the next command's line apart.
        x += [on_axis(first, zone), on_axis(max(last, first), zone), None]
        told += [words(command, zone)] * 3
        symbols += [_SYMBOLS.get(command.state, "circle")] * 3
        sizes += [9, 0, 0]
    colour = LEVEL_COLOURS["critical"] if wrong else SLATE
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": "Command",
        "meta": "commands",
        "x": x,
        "y": [HEIGHT if moment is not None else None for moment in x],
        "yaxis": "y2",
        "customdata": told,
        "hovertemplate": "%{customdata}",
        "line": {"width": 3, "color": colour},
        "marker": {"symbol": symbols, "size": sizes, "color": colour, "opacity": 1},
        "connectgaps": False,
        "showlegend": False,
    }
