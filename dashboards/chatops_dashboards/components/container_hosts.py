"""Why a host shows no containers, and how to change that there."""

from typing import Any

from dash import html

from chatops_client import ApiError, BackendUnreachableError
from chatops_dashboards.components.attributes import dashed
from chatops_dashboards.components.copyable import copyable
from chatops_dashboards.components.icons import icon
from chatops_dashboards.components.states import empty, notice
from chatops_dashboards.container_words import HOW_TO_CONTROL, HOW_TO_READ, policy_words
from chatops_dashboards.session import SessionEndedError
from chatops_protocol.container_messages import DockerPolicy

POLICY_SETTING = "CHATOPS_ALLOW_DOCKER"


def nothing_shown(error: Exception) -> html.Div | html.Section:
    """Instead of a table: the agent's own reason, and what to do on the host."""
    if isinstance(error, ApiError) and error.status == 401:
        raise SessionEndedError from error
    if isinstance(error, ApiError) and error.status == 409 and POLICY_SETTING in error.detail:
        return html.Section(
            [
                html.H2("This host does not show its containers"),
                html.P(
                    [
                        "Its own agent is set so, and nobody can change that from here. Set ",
                        html.Code("read"),
                        " to show containers, their readings and their logs, or ",
                        html.Code("control"),
                        " to let operators start and stop them too:",
                    ],
                    className="tight",
                ),
                copyable(HOW_TO_READ, "containers-settings", "the settings"),
                html.P(
                    [
                        "The agent's user must be able to use the socket of the Docker Engine (the group ",
                        html.Code("docker"),
                        "), and the Python package ",
                        html.Code("docker"),
                        " must be installed beside the agent.",
                    ],
                    className="dim small tight",
                ),
            ],
            className="panel form",
        )
    if isinstance(error, BackendUnreachableError):
        reason = "The backend does not answer. It may be restarting."
    elif isinstance(error, ApiError):
        reason = _sentence(error.detail)
    else:
        raise error
    return html.Div(
        [
            icon("alert", 36),
            html.H2("The containers cannot be read now"),
            html.P(reason, className="breakable"),
            html.P("It is tried again every few seconds.", className="dim small"),
            html.Button("Try again now", className="plain-button", **dashed(data_reload="true")),
        ],
        className="state-box state-failed",
        role="alert",
    )


def _sentence(detail: str) -> str:
    """An agent's reason is half a sentence."""
    return detail[:1].upper() + detail[1:] + ("" if detail.endswith(".") else ".")


def still_reason(error: Exception) -> str:
    """Why what is shown gets old, for the line above it. Of streams, which end with a dead session: it is raised."""
    if isinstance(error, ApiError):
        if error.status == 401:
            raise error
        return _sentence(error.detail)
    return "The backend does not answer."


def no_containers() -> html.Div:
    return empty(
        "No containers on this host",
        "Its Docker Engine answers and has none, neither running nor ended. They appear here as soon as one is made.",
    )


def policy_notice(policy: DockerPolicy, *, may_act: bool) -> Any:
    """What the host allows, where that is less than everything."""
    words = policy_words(policy, may_act=may_act)
    if not words:
        return None
    if policy == "control" or not may_act:
        return html.P(words, className="dim small tight")
    return html.Details(
        [
            html.Summary(words, className="dim small"),
            notice(["To allow it:", copyable(HOW_TO_CONTROL, "containers-settings", "the settings")]),
        ]
    )
