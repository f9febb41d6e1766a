"""Users, for administrators: who there is, what they may, add, change, switch off."""

import re
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import dash_mantine_components as dmc
from dash import ALL, Dash, Input, Output, State, ctx, dcc, html, no_update

from chatops_client import ApiError, BackendUnreachableError
from chatops_dashboards.components.attributes import dashed
from chatops_dashboards.components.icons import icon
from chatops_dashboards.components.states import explain, notice
from chatops_dashboards.components.status import moment_text
from chatops_dashboards.components.tables import data_table
from chatops_dashboards.live import LiveViews
from chatops_dashboards.page import Page, PageContext
from chatops_dashboards.session import Session, current_session, request_zone
from chatops_dashboards.settings import DashboardSettings
from chatops_protocol.resources import ROLES, Role, UpdateUserRequest, User

ROLE_WORDS: dict[Role, str] = {
    "viewer": "Viewer: sees everything, changes nothing",
    "operator": "Operator: may also act on servers",
    "admin": "Administrator: may also manage servers, keys and users",
}


async def layout(context: PageContext) -> Any:
    table = await user_table(context.session, context.zone)
    return html.Div(
        [
            dmc.Group(
                [html.H1("Users"), dmc.Button("Add user", id="users-add", leftSection=icon("plus", 16))],
                justify="space-between",
                className="page-head",
            ),
            html.Div(id="users-message"),
            html.Div(table, id="users-table", className="panel flush"),
            dmc.Modal(
                id="users-dialogue",
                title="Add a user",
                children=dmc.Stack(
                    [
                        dmc.TextInput(id="users-name", label="User name", required=True, **dashed(data_autofocus=True)),
                        dmc.TextInput(id="users-display", label="Shown as"),
                        dmc.Select(
                            id="users-role",
                            label="Role",
                            value="viewer",
                            allowDeselect=False,
                            data=[{"value": role, "label": ROLE_WORDS[role]} for role in ROLES],
                        ),
                        dmc.TextInput(
                            id="users-password",
                            label="First password",
                            description="Tell it to the user; they change it in their menu",
                        ),
                        html.Div(id="users-error"),
                        dmc.Group([dmc.Button("Add user", id="users-submit")], justify="flex-end"),
                    ]
                ),
            ),
            dcc.Store(id="live-view", data={"kind": "idle"}),
        ]
    )


async def user_table(session: Session, zone: Any) -> Any:
    return draw_users(await session.client.users(), session.user.id, datetime.now(UTC), zone)


def draw_users(users: Sequence[User], own_id: int, now: datetime, zone: Any) -> Any:
    return data_table(
        [("User", False), ("Shown as", False), ("Role", False), ("State", False), ("Since", False), ("", False)],
        [
            [
                html.Span(user.username, className="breakable strong"),
                html.Span(user.display_name, className="breakable"),
                dmc.Select(
                    id={"type": "user-role", "user": user.id},
                    value=user.role,
                    data=list(ROLES),
                    allowDeselect=False,
                    size="xs",
                    w=120,
                    disabled=user.id == own_id,
                    **dashed(aria_label=f"Role of {user.username}"),
                ),
                "Active" if user.active else html.Span("Switched off", className="dim"),
                moment_text(user.created_at, now, zone),
                html.Span("you", className="dim")
                if user.id == own_id
                else dmc.Button(
                    "Switch off" if user.active else "Switch on",
                    id={"type": "user-active", "user": user.id, "to": not user.active},
                    size="compact-xs",
                    variant="default",
                ),
            ]
            for user in users
        ],
        caption="Users",
        hide_on_phone=(1, 4),
    )


def register(app: Dash, views: LiveViews, settings: DashboardSettings) -> None:
    @app.callback(
        Output("users-dialogue", "opened"),
        Output("users-password", "value"),
        Output("users-error", "children"),
        Input("users-add", "n_clicks"),
        prevent_initial_call=True,
    )
    def open_dialogue(clicks: int | None) -> Any:
        return (True, secrets.token_urlsafe(12), None) if clicks else (no_update, no_update, no_update)

    @app.callback(
        Output("users-table", "children"),
        Output("users-dialogue", "opened", allow_duplicate=True),
        Output("users-error", "children", allow_duplicate=True),
        Output("users-message", "children"),
        Input("users-submit", "n_clicks"),
        State("users-name", "value"),
        State("users-display", "value"),
        State("users-role", "value"),
        State("users-password", "value"),
        running=[(Output("users-submit", "loading"), True, False)],
        prevent_initial_call=True,
    )
    async def add(clicks: int | None, name: str | None, display: str | None, role: Role, password: str | None) -> Any:
        if not clicks:
            return no_update, no_update, no_update, no_update
        session = current_session()
        try:
            user = await session.client.create_user((name or "").strip(), password or "", role, display or "")
            table = await user_table(session, request_zone())
        except (ApiError, BackendUnreachableError) as error:
            return no_update, no_update, explain(error), no_update
        return table, False, None, notice(f"Added {user.username} as {user.role}.")

    @app.callback(
        Output("users-table", "children", allow_duplicate=True),
        Output("users-message", "children", allow_duplicate=True),
        Input({"type": "user-role", "user": ALL}, "value"),
        Input({"type": "user-active", "user": ALL, "to": ALL}, "n_clicks"),
        prevent_initial_call=True,
    )
    async def change(_roles: list[Role], _clicks: list[int | None]) -> Any:
        asked = ctx.triggered_id
        if not isinstance(asked, dict) or not ctx.triggered or ctx.triggered[0]["value"] is None:
            return no_update, no_update
        session = current_session()
        try:
            user = next((u for u in await session.client.users() if u.id == asked["user"]), None)
            if asked["type"] == "user-role":
                role = ctx.triggered[0]["value"]
                if user is None or user.role == role:
                    return no_update, no_update
                user = await session.client.update_user(user.id, UpdateUserRequest(role=role))
                message = f"{user.username} is {user.role} now."
            else:
                user = await session.client.update_user(int(asked["user"]), UpdateUserRequest(active=bool(asked["to"])))
                message = f"{user.username} is switched {'on' if user.active else 'off'}."
            table = await user_table(session, request_zone())
        except (ApiError, BackendUnreachableError) as error:
            return no_update, explain(error)
        return table, notice(message)


PAGE = Page(
    name="users",
    title="Users",
    pattern=re.compile(r"^/users/?$"),
    layout=layout,
    register=register,
    navigation="/users",
    icon="users",
    admin_only=True,
)
