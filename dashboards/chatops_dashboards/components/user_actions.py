"""What an administrator does to another's account: one dialogue that says what follows and for whom, and asks once."""

import secrets
from collections.abc import Awaitable, Callable
from typing import Any

import dash_mantine_components as dmc
from dash import ALL, Dash, Input, Output, State, ctx, dcc, html, no_update

from chatops_client import ApiError, BackendUnreachableError
from chatops_dashboards.components.confirm import confirm_dialogue
from chatops_dashboards.components.copyable import copyable
from chatops_dashboards.components.states import explain, notice
from chatops_dashboards.session import Session, current_session, request_zone
from chatops_protocol.resources import ROLES, UpdateUserRequest, User

VERBS = {
    "password": "Give a new password",
    "off": "Switch off",
    "delete": "Delete",
    "role": "Change role",
    "factor": "Switch the second factor off",
}
# Without those that look alike.
LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"
DrawTable = Callable[[Session, Any], Awaitable[Any]]


def new_password() -> str:
    """80 bits, told over a telephone without mistakes."""
    return "-".join("".join(secrets.choice(LETTERS) for _ in range(4)) for _ in range(4))


def dialogue() -> html.Div:
    """Once on the page of users, whose buttons have ids of type ``user-act``, and the selects ``user-role``."""
    return html.Div(
        [
            dcc.Store(id="user-asked"),
            confirm_dialogue("user-confirm", "", "", "Do it"),
            dmc.Modal(
                id="user-password",
                title="New password",
                closeOnClickOutside=False,
                children=html.Div(id="user-password-shown"),
            ),
        ]
    )


def consequence(do: str, user: User, role: str = "") -> str:
    """What will happen to whom."""
    who = f"“{user.username}”" + (f" ({user.display_name})" if user.display_name else "")
    if do == "password":
        return f"This gives {who} a new password, made up here. The old one ends, and they are logged out everywhere."
    if do == "off":
        return f"This switches {who} off: they are logged out everywhere and cannot log in until switched on again."
    if do == "delete":
        return f"This deletes {who} and logs them out everywhere. What they did keeps their name. It cannot be undone."
    if do == "factor":
        return (
            f"This switches off the second factor of {who}: their password alone lets them in until they set up "
            "another, and their recovery codes are good no more. Make sure that it is they who ask."
        )
    if ROLES.index(role) < ROLES.index(user.role):
        return (
            f"This makes {who} {role} instead of {user.role}: they may do less from now on, and have to log in again."
        )
    return f"This makes {who} {role} instead of {user.role}: they may do more at once."


async def carry_out(session: Session, do: str, user_id: int, role: Any = None) -> tuple[str, str | None]:
    """Do it. Return what was done, and the new password when there is one."""
    users = session.client
    if do == "delete":
        name = next((user.username for user in await users.users() if user.id == user_id), "The user")
        await users.delete_user(user_id)
        return f"{name} is deleted.", None
    if do == "password":
        password = new_password()
        user = await users.update_user(user_id, UpdateUserRequest(password=password))
        return f"{user.username} has a new password.", password
    if do == "factor":
        name = next((user.username for user in await users.users() if user.id == user_id), "The user")
        await users.account.disable_of(user_id)
        return f"The second factor of {name} is off.", None
    if do == "role":
        user = await users.update_user(user_id, UpdateUserRequest(role=role))
        return f"{user.username} is {user.role} now.", None
    user = await users.update_user(user_id, UpdateUserRequest(active=do == "on"))
    return f"{user.username} is switched {'on' if user.active else 'off'}.", None


def password_once(password: str) -> html.Div:
    """A password at its only appearance."""
    return html.Div(
        [
            copyable(password, "user-password-text", "the password"),
            notice("It is shown only now. Tell it to the user; they change it in their menu."),
        ],
        className="stack tight",
    )


def register(app: Dash, draw_table: DrawTable) -> None:
    @app.callback(
        Output("user-confirm", "opened"),
        Output("user-confirm", "title"),
        Output("user-confirm-consequence", "children"),
        Output("user-confirm-confirm", "children"),
        Output("user-confirm-message", "children"),
        Output("user-asked", "data"),
        Output("users-table", "children", allow_duplicate=True),
        Output("users-message", "children", allow_duplicate=True),
        Input({"type": "user-role", "user": ALL}, "value"),
        Input({"type": "user-act", "user": ALL, "do": ALL}, "n_clicks"),
        prevent_initial_call=True,
    )
    async def ask(_roles: list[str], _clicks: list[int | None]) -> Any:
        asked = ctx.triggered_id
        value = ctx.triggered[0]["value"] if ctx.triggered else None
        if not isinstance(asked, dict) or not value:
            return (no_update,) * 8
        session = current_session()
        do = "role" if asked["type"] == "user-role" else str(asked["do"])
        role = str(value) if do == "role" else ""
        try:
            user = next((user for user in await session.client.users() if user.id == asked["user"]), None)
            if user is None:
                table = await draw_table(session, request_zone())
                return *((no_update,) * 6), table, notice("This user is gone.", "warning")
            if do == "role" and user.role == role:
                return (no_update,) * 8
            if do == "on":
                done, _ = await carry_out(session, do, user.id)
                return *((no_update,) * 6), await draw_table(session, request_zone()), notice(done)
        except (ApiError, BackendUnreachableError) as error:
            return *((no_update,) * 7), explain(error)
        remembered = {"do": do, "user": user.id, "role": role}
        return (
            True,
            f"{VERBS[do]}: {user.username}",
            consequence(do, user, role),
            VERBS[do],
            None,
            remembered,
            no_update,
            no_update,
        )

    @app.callback(
        Output("user-confirm", "opened", allow_duplicate=True),
        Input("user-confirm-cancel", "n_clicks"),
        prevent_initial_call=True,
    )
    def cancel(clicks: int | None) -> Any:
        return False if clicks else no_update

    @app.callback(
        Output("users-table", "children", allow_duplicate=True),
        Input("user-confirm", "opened"),
        State("user-asked", "data"),
        prevent_initial_call=True,
    )
    async def closed(opened: bool, asked: dict[str, Any] | None) -> Any:
        # However it was closed: a role that was chosen and not confirmed must not stay chosen.
        if opened or not asked or asked["do"] != "role":
            return no_update
        try:
            return await draw_table(current_session(), request_zone())
        except (ApiError, BackendUnreachableError):
            return no_update

    @app.callback(
        Output("users-table", "children", allow_duplicate=True),
        Output("user-confirm", "opened", allow_duplicate=True),
        Output("user-confirm-message", "children", allow_duplicate=True),
        Output("users-message", "children", allow_duplicate=True),
        Output("user-password", "opened"),
        Output("user-password", "title"),
        Output("user-password-shown", "children"),
        Input("user-confirm-confirm", "n_clicks"),
        State("user-asked", "data"),
        running=[(Output("user-confirm-confirm", "loading"), True, False)],
        prevent_initial_call=True,
    )
    async def confirm(clicks: int | None, asked: dict[str, Any] | None) -> Any:
        if not clicks or not asked:
            return (no_update,) * 7
        session = current_session()
        try:
            done, password = await carry_out(session, str(asked["do"]), int(asked["user"]), asked["role"] or None)
        except (ApiError, BackendUnreachableError) as error:
            return no_update, no_update, explain(error), *((no_update,) * 4)
        try:
            table = await draw_table(session, request_zone())
        except (ApiError, BackendUnreachableError):
            table = no_update
        if password is None:
            return table, False, None, notice(done), *((no_update,) * 3)
        return table, False, None, notice(done), True, done, password_once(password)

    @app.callback(
        Output("user-password-shown", "children", allow_duplicate=True),
        Input("user-password", "opened"),
        prevent_initial_call=True,
    )
    def forget(opened: bool) -> Any:
        return no_update if opened else None
