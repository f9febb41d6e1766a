"""The command line with its options, for one host and for many; and what a host allows, in words."""

from collections.abc import Sequence
from typing import Any

import dash_mantine_components as dmc
from dash import Dash, Input, Output, State, dcc, html

from chatops_dashboards.browser import in_browser
from chatops_dashboards.command_words import POLICY_WORDS, words_of
from chatops_dashboards.components.copyable import copyable
from chatops_dashboards.components.states import notice
from chatops_protocol.control_messages import CommandPolicy

DEFAULT_TIMEOUT_S = 60
LONGEST_TIMEOUT_S = 86_400
# What the agent of a host needs to take commands, for pasting.
ALLOW = """# one of these two in the environment of the agent, on the host; then restart it
CHATOPS_ALLOW_COMMANDS=allowlist CHATOPS_COMMANDS_FILE=/etc/chatops/commands.toml
CHATOPS_ALLOW_COMMANDS=shell"""


def command_form(
    name: str, history: list[str], action: str, policy: CommandPolicy | None = None, more: Sequence[Any] = ()
) -> html.Div:
    """Ids ``<name>-line``, ``-timeout``, ``-folder``, ``-run``, ``-message``; ``-history`` holds what the up key brings
    back, ``-allowed`` the policy of the one host, if there is one."""
    disabled = policy == "off"
    return html.Div(
        [
            html.Div(
                [
                    dmc.TextInput(
                        id=f"{name}-line",
                        label="Command",
                        placeholder="df -h",
                        className="command-line",
                        disabled=disabled,
                        autoComplete="off",
                        spellCheck=False,
                        value="",
                        n_submit=0,
                        # Tells its value with the Enter that runs it: typed and run at once is what is run.
                        debounce=True,
                    ),
                    dmc.NumberInput(
                        id=f"{name}-timeout",
                        label="At most",
                        value=DEFAULT_TIMEOUT_S,
                        min=1,
                        max=LONGEST_TIMEOUT_S,
                        suffix=" s",
                        className="command-option",
                        disabled=disabled,
                    ),
                    dmc.TextInput(
                        id=f"{name}-folder",
                        label="In folder",
                        placeholder="the agent's home",
                        className="command-folder",
                        disabled=disabled,
                        autoComplete="off",
                        spellCheck=False,
                        value="",
                    ),
                    *more,
                    dmc.Button(action, id=f"{name}-run", disabled=disabled),
                ],
                className="command-form",
            ),
            html.Div(id=f"{name}-split", className="command-split"),
            html.Div(id=f"{name}-message", className="page-message"),
            dcc.Store(id=f"{name}-history", data=history),
            dcc.Store(id=f"{name}-rest"),
            dcc.Store(id=f"{name}-allowed", data=policy),
            html.Div(id=f"{name}-remembered", hidden=True),
        ]
    )


def read_options(timeout: Any, folder: str | None) -> dict[str, Any]:
    """The options of a request. Raises `ValueError` that says what is wrong."""
    try:
        seconds = float(timeout)
    except (TypeError, ValueError):
        raise ValueError("Say after how many seconds it is ended at the latest.") from None
    if not 0 < seconds <= LONGEST_TIMEOUT_S:
        raise ValueError(f"A command runs at most {LONGEST_TIMEOUT_S} s.")
    place = (folder or "").strip()
    if place and not place.startswith("/"):
        raise ValueError("Give the folder from the root: /var/log.")
    return {"timeout_s": seconds, "working_directory": place or None}


def split_words(text: str | None, policy: str | None) -> Any:
    """How what is typed will be read; nothing for a host that gives it to its shell."""
    if not (text or "").strip() or policy == "shell":
        return None
    try:
        words = words_of(text or "")
    except ValueError as error:
        return html.Span(f"Not complete: {error}".lower().capitalize() + ".", className="dim small")
    shown = [html.Span(word or "\u00a0", className="run-part") for word in words[:40]]
    return html.Div([html.Span("Read as", className="dim small"), *shown], className="run-what")


def policy_notice(policy: CommandPolicy | None) -> html.Div:
    """What a host allows, and how to change it there. None: its agent is not connected."""
    if policy is None:
        text = "The agent is not connected, so what this host allows is not known. A command waits a minute for it."
        return html.Div(notice(text, "warning"), className="host-policy")
    if policy == "off":
        return html.Div(
            notice(
                [
                    html.B("This host takes no commands. "),
                    "Its own agent is set so, and nobody can change that from here. ",
                    "(An agent that runs as root takes none either, without CHATOPS_ALLOW_ROOT=1.) ",
                    "To allow some, or any:",
                    copyable(ALLOW, "policy-settings", "the settings"),
                ],
                "info",
            ),
            className="host-policy",
        )
    more = {
        "allowlist": "Type the name of a command of the list and its arguments. No shell reads them.",
        "shell": "It runs as the agent's user.",
    }[policy]
    return html.Div(
        html.P([html.B(f"This host {POLICY_WORDS[policy]}. "), more], className="dim small tight"),
        className="host-policy",
    )


def register(app: Dash, name: str) -> None:
    in_browser(app, "rememberLines", Output(f"{name}-remembered", "title"), Input(f"{name}-history", "data"))

    @app.callback(
        Output(f"{name}-split", "children"),
        Input(f"{name}-rest", "data"),
        State(f"{name}-allowed", "data"),
        prevent_initial_call=True,
    )
    def show_split(text: str | None, policy: str | None) -> Any:
        return split_words(text, policy)
