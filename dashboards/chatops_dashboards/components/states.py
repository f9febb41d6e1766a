"""What a view shows instead of data: loading, nothing yet, failed, and how old what it shows is."""

import secrets
from typing import Any

import dash_mantine_components as dmc
from dash import dcc, html

from chatops_client import ApiError, BackendUnreachableError
from chatops_dashboards.components.attributes import dashed
from chatops_dashboards.components.icons import icon
from chatops_dashboards.session import SessionEndedError


def loading_cards(count: int = 6, height: int = 190) -> dmc.SimpleGrid:
    """Grey cards where the cards will be."""
    return dmc.SimpleGrid(
        [dmc.Skeleton(height=height, radius="md") for _ in range(count)], cols={"base": 1, "sm": 2, "lg": 3}
    )


def loading_page() -> dmc.Stack:
    """The outline of any page."""
    return dmc.Stack(
        [dmc.Skeleton(height=32, width=220), dmc.Skeleton(height=20, width=340), loading_cards()], gap="md"
    )


def empty(title: str, text: str, *, picture: str = "server", action: Any = None) -> html.Div:
    """Nothing to show, and what to do next."""
    return html.Div(
        [icon(picture, 40), html.H2(title), html.P(text), action],
        className="state-box",
    )


def failure(error: Exception, what: str) -> html.Div:
    """What went wrong in words, and a way to try again. A dead session is no failure of the view: it is raised."""
    if isinstance(error, ApiError) and error.status == 401:
        raise SessionEndedError from error
    if isinstance(error, BackendUnreachableError):
        reason = "The backend does not answer. It may be restarting; your data is safe on the hosts until it is back."
    elif isinstance(error, ApiError):
        reason = error.detail
    else:
        raise error
    return html.Div(
        [
            icon("alert", 36),
            html.H2(f"{what} could not be loaded"),
            html.P(reason),
            html.Button("Try again", className="plain-button", **dashed(data_reload="true")),
        ],
        className="state-box state-failed",
        role="alert",
    )


def notice(children: Any, kind: str = "info") -> html.Div:
    """A line above a view: `info`, `warning` or `critical`."""
    return html.Div(
        [icon("alert" if kind != "info" else "info", 16), html.Div(children)],
        className=f"notice notice-{kind}",
        role="status" if kind == "info" else "alert",
    )


def explain(error: Exception) -> html.Div:
    """A change that failed, as a notice. One that wants a code of the second factor first has the way to it
    (`prove.py`)."""
    if (
        isinstance(error, ApiError)
        and error.status == 403
        and any(one.get("key") == "totp_code" for one in error.extra)
    ):
        return notice(
            [
                html.Div("Nothing was done: this wants a code of your second factor from the last five minutes."),
                dmc.Button(
                    "Show a code…",
                    id={"type": "prove-ask", "number": secrets.token_hex(4)},
                    variant="default",
                    size="xs",
                    mt=6,
                ),
            ],
            "warning",
        )
    if isinstance(error, ApiError):
        return notice(error.detail, "critical")
    return notice("The backend does not answer; nothing was changed.", "critical")


def while_loading(place_id: str, outline: Any, *, class_name: str = "", delay_ms: int = 200) -> dcc.Loading:
    """A place that a slow callback fills: its outline stands there until then."""
    target: Any = {place_id: "children"}
    return dcc.Loading(
        html.Div(outline, id=place_id, className=class_name, tabIndex="-1"),
        custom_spinner=outline,
        delay_show=delay_ms,
        target_components=target,
        parent_className="page-loading",
    )
