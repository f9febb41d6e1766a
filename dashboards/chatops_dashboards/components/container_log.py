"""The log of a container as one watches it: lines with their time, colours made harmless (`ansi.py`).

`chatops_containers.js` draws them as text nodes, pauses and searches; here is what it is fed with.
"""

import secrets
from collections.abc import Sequence
from datetime import datetime, tzinfo
from typing import Any

import dash_mantine_components as dmc
from dash import Dash, Input, Output, dcc, html

from chatops_dashboards.ansi import AnsiText
from chatops_dashboards.browser import in_browser
from chatops_dashboards.components.attributes import dashed
from chatops_dashboards.components.icons import icon
from chatops_protocol.container_messages import DEFAULT_TAIL, MAX_TAIL, ContainerLogLine

TAILS = (DEFAULT_TAIL, 1_000, MAX_TAIL)


def tail_of(value: Any) -> int:
    """What an address may have become."""
    return value if isinstance(value, int) and value in TAILS else DEFAULT_TAIL


def log_view() -> html.Div:
    """Empty until the stream of the log feeds it."""
    return html.Div(
        [
            html.Div(
                [
                    dmc.Select(
                        id="container-tail",
                        value=str(DEFAULT_TAIL),
                        data=[{"value": str(count), "label": f"Last {count:,} lines"} for count in TAILS],
                        allowDeselect=False,
                        size="xs",
                        w=150,
                        **dashed(aria_label="How many lines to begin with"),
                    ),
                    dmc.TextInput(
                        id="container-search",
                        placeholder="Search in these lines",
                        value="",
                        size="xs",
                        leftSection=icon("search", 14),
                        className="grow",
                        **dashed(aria_label="Search in these lines"),
                    ),
                    dmc.Button(
                        [
                            html.Span(id="container-follow-icon", className="icon icon-pause icon-16"),
                            html.Span("Pause", id="container-follow-word", className="button-word"),
                        ],
                        id="container-follow",
                        variant="default",
                        size="xs",
                        **dashed(aria_pressed="true"),
                    ),
                ],
                className="toolbar container-log-tools",
            ),
            html.Div("Asking for the log…", id="container-log-note", className="live-note", role="status"),
            html.Div(id="container-log-problem"),
            html.Div(
                id="container-log",
                className="run-output container-log",
                tabIndex="0",
                role="log",
                **dashed(aria_label="Log", aria_live="off"),
            ),
            *[dcc.Store(id=f"container-log-{name}") for name in ("feed", "link", "shown", "found", "paused")],
        ],
        className="container-log-view",
    )


class LogText:
    """Makes feeds of one telling of a log. Colours last from line to line as on a terminal; each stream has its own."""

    def __init__(self, of: str, zone: tzinfo) -> None:
        """`of` names what is told; the page begins anew when that is another."""
        self._of, self._zone = of, zone
        self._telling = secrets.token_hex(6)
        self._sequence = 0
        self._texts: dict[str, AnsiText] = {}

    def feed(self, lines: Sequence[ContainerLogLine], skipped: int) -> dict[str, Any]:
        drawn: list[dict[str, Any]] = []
        if skipped:
            words = "1 line is" if skipped == 1 else f"{skipped:,} lines are"
            drawn.append({"time": "", "when": "", "stream": "note", "pieces": [["", f"… {words} left out here …"]]})
        drawn += [self._drawn(line) for line in lines]
        self._sequence += 1
        return {"of": self._of, "telling": self._telling, "sequence": self._sequence, "lines": drawn}

    def _drawn(self, line: ContainerLogLine) -> dict[str, Any]:
        stream = line.stream or ""
        text = self._texts.setdefault(stream, AnsiText())
        # No control sequence goes on in the next line.
        pieces = text.take(line.text.rstrip("\r\n")) + text.rest()
        return {
            "time": clock_text(line.time, self._zone),
            "when": "" if line.time is None else f"{line.time.astimezone(self._zone):%Y-%m-%d %H:%M:%S.%f %Z}".strip(),
            "stream": stream,
            "pieces": [[piece.classes, piece.text] for piece in pieces],
        }


def clock_text(moment: datetime | None, zone: tzinfo) -> str:
    return "" if moment is None else moment.astimezone(zone).strftime("%m-%d %H:%M:%S")


def register(app: Dash) -> None:
    for function, output, source in (
        ("containerFeed", Output("container-log-shown", "data"), Input("container-log-feed", "data")),
        ("containerLink", Output("container-log", "data-link"), Input("container-log-link", "data")),
        ("containerSearch", Output("container-log-found", "data"), Input("container-search", "value")),
        ("containerFollow", Output("container-log-paused", "data"), Input("container-follow", "n_clicks")),
    ):
        in_browser(app, function, output, source, initially=False)
