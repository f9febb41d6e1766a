"""Users, for administrators: who there is, what they may, add, change, switch off, delete, a new password."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import dash_mantine_components as dmc
from dash import Dash, Input, Output, State, dcc, html, no_update

from chatops_client import ApiError, BackendUnreachableError
from chatops_dashboards.components import user_actions, user_servers, user_sessions
from chatops_dashboards.components.attributes import dashed
from chatops_dashboards.components.copyable import copy_button
from chatops_dashboards.components.icons import icon
from chatops_dashboards.components.states import explain, notice
from chatops_dashboards.components.status import moment_text
from chatops_dashboards.components.tables import data_table
from chatops_dashboards.live import LiveViews
from chatops_dashboards.page import Page, PageContext
from chatops_dashboards.session import Session, current_session, request_zone
from chatops_dashboards.settings import DashboardSettings
from chatops_protocol.resources import ROLES, Role, User

ROLE_WORDS: dict[Role, str] = {
    "viewer": "Viewer: looks, changes nothing",
    "operator": "Operator: also acts on servers",
    "admin": "Administrator: manages all",
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
            html.Div(id="users-message", className="page-message"),
            html.Div(table, id="users-table", className="panel flush"),
            _dialogue(),
            user_actions.dialogue(),
            user_servers.dialogue(),
            user_sessions.dialogue(),
            dcc.Store(id="live-view", data={"kind": "idle"}),
        ]
    )


def _dialogue() -> dmc.Modal:
    return dmc.Modal(
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
                    description="Tell it to the user; they change it in their menu. It is shown only now",
                    rightSection=copy_button("users-password", "the password"),
                    rightSectionWidth=84,
                    rightSectionPointerEvents="all",
                    autoComplete="off",
                ),
                html.Div(id="users-error"),
                dmc.Group([dmc.Button("Add user", id="users-submit")], justify="flex-end"),
            ]
        ),
    )


async def user_table(session: Session, zone: Any) -> Any:
    return draw_users(await session.client.users(), session.user.id, datetime.now(UTC), zone)


def draw_users(users: Sequence[User], own_id: int, now: datetime, zone: Any) -> Any:
    return data_table(
        [
            ("User", False),
            ("Shown as", False),
            ("Role", False),
            ("Servers", False),
            ("State", False),
            ("Since", False),
            ("", False),
        ],
        [
            [
                html.Span(user.username, className="breakable strong"),
                html.Span(user.display_name, className="breakable") if user.display_name else None,
                user.role if user.id == own_id else _role(user),
                html.Span(user_servers.servers_words(user), className="breakable"),
                [
                    "Active" if user.active else html.Span("Switched off", className="dim"),
                    *([" ", html.Span("second factor", className="tag")] if user.second_factor else []),
                ],
                html.Span(moment_text(user.created_at, now, zone), className="no-wrap"),
                html.Span(["you: see ", dcc.Link("your account", href="/account")], className="dim small")
                if user.id == own_id
                else _buttons(user),
            ]
            for user in users
        ],
        caption="Users",
        hide_on_phone=(5,),
        stacked=True,
    )


def _role(user: User) -> dmc.Select:
    return dmc.Select(
        id={"type": "user-role", "user": user.id},
        value=user.role,
        data=list(ROLES),
        allowDeselect=False,
        size="xs",
        w=120,
        **dashed(aria_label=f"Role of {user.username}"),
    )


def _buttons(user: User) -> html.Div:
    acts = [
        ("password", "New password…", "default", None),
        ("off", "Switch off…", "default", None) if user.active else ("on", "Switch on", "default", None),
        *([("factor", "Second factor off…", "default", None)] if user.second_factor else []),
        ("delete", "Delete…", "subtle", "red"),
    ]
    dialogues: list[tuple[str, dict[str, Any]]] = [
        ("Servers…", {"type": "user-servers", "user": user.id}),
        ("Sessions…", {"type": "user-sessions", "user": user.id, "name": user.username}),
    ]
    return html.Div(
        [
            dmc.Button(
                word,
                id=button_id,
                size="compact-xs",
                variant="default",
                **dashed(aria_label=f"{word.rstrip('…')}: {user.username}"),
            )
            for word, button_id in dialogues
        ]
        + [
            dmc.Button(
                word,
                id={"type": "user-act", "user": user.id, "do": do},
                size="compact-xs",
                variant=variant,
                color=colour,
                **dashed(aria_label=f"{word.rstrip('…')}: {user.username}"),
            )
            for do, word, variant, colour in acts
        ],
        className="row-buttons wrap",
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
        return (True, user_actions.new_password(), None) if clicks else (no_update, no_update, no_update)

    @app.callback(
        Output("users-table", "children"),
        Output("users-dialogue", "opened", allow_duplicate=True),
        Output("users-error", "children", allow_duplicate=True),
        Output("users-message", "children"),
        Output("users-name", "value"),
        Output("users-display", "value"),
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
            return (no_update,) * 6
        session = current_session()
        try:
            user = await session.client.create_user((name or "").strip(), password or "", role, display or "")
            table = await user_table(session, request_zone())
        except (ApiError, BackendUnreachableError) as error:
            return no_update, no_update, explain(error), no_update, no_update, no_update
        return table, False, None, notice(f"Added {user.username} as {user.role}."), "", ""

    user_actions.register(app, user_table)
    user_servers.register(app, user_table)
    user_sessions.register(app)


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
