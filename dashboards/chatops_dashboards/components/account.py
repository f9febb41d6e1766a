"""The user's menu in the header: who it is, change password, log out."""

from typing import Any

import dash_mantine_components as dmc
from dash import Dash, Input, Output, State, dcc, html, no_update

from chatops_client import ApiError, BackendUnreachableError
from chatops_dashboards.components.attributes import dashed
from chatops_dashboards.components.icons import icon
from chatops_dashboards.components.states import notice
from chatops_dashboards.session import Session, current_session

SHORTEST_PASSWORD = 12


def menu(session: Session) -> dmc.Menu:
    name = session.user.display_name or session.user.username
    return dmc.Menu(
        [
            dmc.MenuTarget(
                dmc.Button(
                    html.Span(name, className="user-name", id="account-name"),
                    leftSection=icon("user"),
                    variant="subtle",
                    color="gray",
                    px="xs",
                    **dashed(aria_label=f"Account of {name}"),
                )
            ),
            dmc.MenuDropdown(
                [
                    dmc.MenuLabel(f"{session.user.username} · {session.user.role}"),
                    dcc.Link([icon("user", 16), "Account"], href="/account", className="menu-button"),
                    dmc.MenuItem("Change password", id="account-password", leftSection=icon("key", 16)),
                    dmc.MenuDivider(),
                    # A form of its own, because a log-out is a post that carries the session's secret.
                    html.Form(
                        [
                            dcc.Input(type="hidden", name="csrf", value=session.csrf),
                            html.Button([icon("logout", 16), "Log out"], type="submit", className="menu-button"),
                        ],
                        method="post",
                        action="/logout",
                    ),
                ]
            ),
        ],
        position="bottom-end",
        keepMounted=True,
    )


def password_dialogue() -> dmc.Modal:
    return dmc.Modal(
        id="password",
        title="Change password",
        children=dmc.Stack(
            [
                dmc.PasswordInput(id="password-current", label="Current password", **dashed(data_autofocus=True)),
                dmc.PasswordInput(
                    id="password-new", label="New password", description=f"At least {SHORTEST_PASSWORD} characters"
                ),
                dmc.PasswordInput(id="password-again", label="New password, again"),
                html.Div(id="password-message"),
                dmc.Group([dmc.Button("Change password", id="password-submit")], justify="flex-end"),
            ]
        ),
    )


async def change_password(session: Session, current: str, new: str, again: str) -> tuple[bool, str]:
    """Whether it was changed, and what to tell."""
    if len(new) < SHORTEST_PASSWORD:
        return False, f"The new password is shorter than {SHORTEST_PASSWORD} characters."
    if new != again:
        return False, "The two new passwords differ."
    try:
        await session.client.change_password(current, new)
    except ApiError as error:
        # Some backends answer 401 for the wrong current password: no reason to end the session here.
        return False, "The current password is wrong." if error.status in (401, 403) else error.detail
    except BackendUnreachableError:
        return False, "The backend does not answer; nothing was changed."
    return True, "The password is changed. Other sessions of this account have to log in again."


def register(app: Dash) -> None:
    @app.callback(Output("password", "opened"), Input("account-password", "n_clicks"), prevent_initial_call=True)
    def open_dialogue(clicks: int | None) -> Any:
        return True if clicks else no_update

    @app.callback(
        Output("password-message", "children"),
        Output("password-current", "value"),
        Output("password-new", "value"),
        Output("password-again", "value"),
        Input("password-submit", "n_clicks"),
        State("password-current", "value"),
        State("password-new", "value"),
        State("password-again", "value"),
        running=[(Output("password-submit", "loading"), True, False)],
        prevent_initial_call=True,
    )
    async def submit(clicks: int | None, current: str | None, new: str | None, again: str | None) -> Any:
        if not clicks:
            return no_update, no_update, no_update, no_update
        done, text = await change_password(current_session(), current or "", new or "", again or "")
        if done:
            return notice(text), "", "", ""
        return notice(text, "critical"), no_update, no_update, no_update
