"""One command as it runs: its head with state and way to cancel, and its output, streamed.

Output goes to the browser as pieces of text with class names from a fixed set (`ansi.py`), and `chatops_run.js` makes
text nodes of them. Each feed says where it begins and is confirmed by the tab before the next one, so that none is lost
and a fast program waits for a slow browser.
"""

import asyncio
import contextlib
import logging
import secrets
from contextlib import aclosing
from datetime import UTC, datetime, tzinfo
from typing import Any

import dash_mantine_components as dmc
from dash import ALL, Dash, Input, Output, ctx, dcc, html, no_update

from chatops_client import ApiError, BackendUnreachableError
from chatops_client.command_stream import CommandMessage
from chatops_client.live import LinkState
from chatops_dashboards.ansi import AnsiText
from chatops_dashboards.browser import in_browser
from chatops_dashboards.command_words import (
    STATE_MARKS,
    STATE_WORDS,
    duration_text,
    exit_text,
    is_over,
    left_out_text,
    output_text,
)
from chatops_dashboards.components.attributes import dashed
from chatops_dashboards.components.states import explain, notice
from chatops_dashboards.components.status import moment_text
from chatops_dashboards.live import AnswerPush, Push
from chatops_dashboards.session import Session, current_session
from chatops_dashboards.terminal_line import Piece
from chatops_dashboards.units import format_value
from chatops_protocol.command_resources import Command, CommandState
from chatops_protocol.live_messages import CommandChanged, CommandOutput

# For how long a feed is gathered, and how long it grows. Without a socket there is one only.
FEED = (0.12, 64 * 1024)
ONLY_FEED = (0.8, 2 * 1024 * 1024)
ONCE = "once"
CONFIRM_WITHIN_S = 15.0
LOOK_EVERY_S = 0.03
WAITING_MESSAGES = 64

log = logging.getLogger(__name__)


def run_place() -> html.Div:
    """Empty until a run is streamed into it."""
    return html.Div(
        [
            html.Div(id="run-head"),
            html.Div(id="run-link"),
            html.Div(
                id="run-output",
                className="run-output",
                tabIndex="0",
                role="log",
                **dashed(aria_label="Output", aria_live="off"),
            ),
            html.Div(id="run-foot"),
            dcc.Store(id="run-feed"),
            dcc.Store(id="run-drawn"),
        ],
        id="run",
        className="run",
    )


def state_mark(state: CommandState) -> html.Span:
    """Shape, word and colour."""
    return html.Span(
        [html.Span(STATE_MARKS[state], **dashed(aria_hidden="true")), html.Span(STATE_WORDS[state])],
        className=f"run-state run-{state}",
    )


def run_head(command: Command, now: datetime, zone: tzinfo, *, may_act: bool, named: bool) -> html.Div:
    """What was run, where and by whom, how it is doing. `named`: with the server's name."""
    running = not is_over(command)
    begun = command.started_at or command.created_at
    facts: list[Any] = [
        state_mark(command.state),
        html.Span(["exit code ", html.B(exit_text(command))]) if command.exit_code is not None else None,
        html.Span(duration_text(command)) if command.duration_s is not None else None,
        html.Span(["began " if command.started_at else "asked ", moment_text(begun, now, zone)]),
        html.Span(["by ", html.B(command.username)], className="breakable"),
        html.Span(["on ", html.B(command.server_name)], className="breakable") if named else None,
        html.Span(f"{output_text(command)} of output") if not running else None,
    ]
    return html.Div(
        [
            html.Div(
                [
                    html.Div(_parts(command), className="run-what"),
                    dmc.Button(
                        "Cancel",
                        id={"type": "run-cancel", "command": command.id},
                        size="compact-sm",
                        color="red",
                        variant="light",
                        **dashed(aria_label=f"Cancel: {command.title}"),
                    )
                    if running and may_act
                    else None,
                ],
                className="run-line",
            ),
            html.Div([fact for fact in facts if fact is not None], className="run-facts", role="status"),
            html.P(command.detail, className="run-detail breakable") if command.detail else None,
        ],
        className="run-head",
    )


def _parts(command: Command) -> list[Any]:
    """What was typed as it was typed; a list of arguments with each by itself."""
    if command.command is not None or not command.argv:
        return [html.Span(command.command or command.title, className="run-part")]
    shown = [html.Span(argument or "\u00a0", className="run-part") for argument in command.argv[:40]]
    if len(command.argv) > len(shown):
        shown.append(html.Span(f"… {len(command.argv) - len(shown)} more", className="dim"))
    return shown


class _Shown:
    """What has been made of a run's messages so far. `sent` counts UTF-16 units, as the browser does. Each `telling`
    begins on an empty place: what a running command wrote may have become less by the next time."""

    def __init__(self, telling: str) -> None:
        self._telling = telling
        self._texts = {"stdout": AnsiText(), "stderr": AnsiText()}
        self.skipped = 0
        self.sent = 0
        self.command: Command | None = None

    def pieces_of(self, message: CommandOutput) -> list[tuple[str, str, str]]:
        pieces: list[tuple[str, str, str]] = []
        if message.skipped:
            self.skipped += message.skipped
            left_out = format_value(float(message.skipped), "count")
            pieces.append(("note", "", f"… {left_out} bytes of {message.stream} left out …\n"))
        return pieces + _of_stream(message.stream, self._texts[message.stream].take(message.text))

    def rest(self) -> list[tuple[str, str, str]]:
        return [piece for stream, text in self._texts.items() for piece in _of_stream(stream, text.rest())]

    def feed(self, run: int, pieces: list[tuple[str, str, str]]) -> dict[str, Any]:
        start, self.sent = self.sent, self.sent + sum(utf16_length(text) for _, _, text in pieces)
        mark = secrets.token_hex(6)
        if self._telling == ONCE and any(text.wrote_over for text in self._texts.values()):
            # What an earlier answer told of it has changed, so the place is emptied.
            self._telling = mark
        return {"run": run, "telling": self._telling, "start": start, "pieces": pieces, "mark": mark}


def _of_stream(stream: str, pieces: list[Piece]) -> list[tuple[str, str, str]]:
    return [(stream, piece.classes, piece.text) for piece in pieces]


def utf16_length(text: str) -> int:
    return len(text) + sum(character > "\uffff" for character in text)


async def show_run(
    session: Session, command_id: int, zone: tzinfo, push: Push, *, named: bool = False, past: bool = False
) -> Command:
    """Stream a run into `run_place` until it has ended; returns the command as it ended. `past`: who looks at the past
    ends nothing there."""
    may_act = session.may_act and not past
    while True:
        shown = await _show(session, command_id, zone, push, named=named, may_act=may_act)
        if shown is not None:
            return shown


async def _show(
    session: Session, command_id: int, zone: tzinfo, push: Push, *, named: bool, may_act: bool
) -> Command | None:
    """None when the tab has lost its place: all is told again from the beginning."""
    once = isinstance(push, AnswerPush)
    # Answers come every few seconds: each goes on where the one before it ended.
    shown = _Shown(ONCE if once else secrets.token_hex(6))
    queue: asyncio.Queue[CommandMessage | Exception | None] = asyncio.Queue(WAITING_MESSAGES)

    def link(state: LinkState) -> None:
        lost = "The connection is lost; more may have been written than you see. Reconnecting…"
        push("run-link", children=notice(lost, "warning") if state == "disconnected" else None)

    for place in ("run-link", "run-foot"):
        push(place, children=None)
    reader = asyncio.create_task(_read(session, command_id, queue, link))
    try:
        over = False
        while not over:
            messages, over = await _collect(queue, *(ONLY_FEED if once else FEED))
            pieces: list[tuple[str, str, str]] = []
            for message in messages:
                if isinstance(message, CommandChanged):
                    shown.command = message.command
                else:
                    pieces += shown.pieces_of(message)
            if over:
                pieces += shown.rest()
            if shown.command is not None and any(isinstance(message, CommandChanged) for message in messages):
                now = datetime.now(UTC)
                head = run_head(shown.command, now, zone, may_act=may_act, named=named)
                push("run-head", children=head)
            feed = shown.feed(command_id, pieces)
            push("run-feed", data=feed)
            if not await _drawn(push, feed, shown.sent):
                log.info("a tab lost its place in the output of command %d; telling it again", command_id)
                return None
        assert shown.command is not None
        push("run-link", children=None)
        words = left_out_text(shown.command, shown.skipped)
        nothing = is_over(shown.command) and not shown.sent
        push(
            "run-foot", children=html.P(words or ("It wrote nothing." if nothing else ""), className="dim small tight")
        )
        return shown.command
    finally:
        reader.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reader


async def _read(session: Session, command_id: int, queue: "asyncio.Queue[Any]", link: Any) -> None:
    try:
        async with aclosing(session.client.live_command(command_id, link)) as messages:  # type: ignore[type-var]
            async for message in messages:
                await queue.put(message)
    except Exception as error:
        await queue.put(error)
    else:
        await queue.put(None)


async def _collect(
    queue: "asyncio.Queue[CommandMessage | Exception | None]", within_s: float, largest: int
) -> tuple[list[CommandMessage], bool]:
    """What comes within `within_s` of the first, up to `largest` characters; and whether that was all."""
    messages: list[CommandMessage] = []
    size = 0
    deadline: float | None = None
    while size < largest:
        try:
            async with asyncio.timeout_at(deadline):
                message = await queue.get()
        except TimeoutError:
            break
        if message is None:
            return messages, True
        if isinstance(message, Exception):
            raise message
        if not messages:
            deadline = asyncio.get_running_loop().time() + within_s
        messages.append(message)
        size += len(message.text) if isinstance(message, CommandOutput) else 0
    return messages, False


async def _drawn(push: Push, feed: dict[str, Any], end: int) -> bool:
    """Wait until the tab has drawn a feed; False when it could not, or says nothing."""
    deadline = asyncio.get_running_loop().time() + CONFIRM_WITHIN_S
    while asyncio.get_running_loop().time() < deadline:
        drawn = await push.read("run-drawn", "data")
        if isinstance(drawn, dict) and drawn.get("mark") == feed["mark"]:
            return drawn.get("at") == end
        await asyncio.sleep(LOOK_EVERY_S)
    return False


def register(app: Dash) -> None:
    """Once for all pages that have a `run_place`."""
    in_browser(app, "drawOutput", Output("run-drawn", "data"), Input("run-feed", "data"), initially=False)

    @app.callback(
        Output("run-link", "children"),
        Input({"type": "run-cancel", "command": ALL}, "n_clicks"),
        prevent_initial_call=True,
    )
    async def cancel(clicks: list[int | None]) -> Any:
        asked = ctx.triggered_id
        if not isinstance(asked, dict) or not any(clicks):
            return no_update
        try:
            await current_session().client.commands.cancel(int(asked["command"]))
        except (ApiError, BackendUnreachableError) as error:
            return explain(error)
        return notice("Asked to end; what does not end by itself is killed after five seconds.")
