"""Who one is here: name, role, which servers one sees; the way to another password."""

from typing import Any

import dash_mantine_components as dmc
from dash import Dash, Input, Output, State, html, no_update

from chatops_client import ApiError, BackendUnreachableError
from chatops_dashboards.components import user_servers
from chatops_dashboards.components.states import explain, notice
from chatops_dashboards.session import current_session
from chatops_protocol.resources import Role, User

ROLE_FACTS: dict[Role, str] = {
    "viewer": "viewer: looks, changes nothing",
    "operator": "operator: also acts on servers",
    "admin": "administrator: manages all",
}


def section(user: User) -> html.Section:
    return html.Section(
        [
            html.H2("You"),
            html.Dl(
                [
                    _fact("User name", user.username),
                    _fact("Role", ROLE_FACTS.get(user.role, user.role)),
                    _fact("Servers", user_servers.servers_words(user)),
                ],
                className="facts",
            ),
            html.Div(
                [
                    dmc.TextInput(id="profile-name", label="Shown as", value=user.display_name, className="grow"),
                    dmc.Button("Save", id="profile-save", variant="default"),
                    dmc.Button("Change password…", id="profile-password", variant="default"),
                ],
                className="toolbar",
            ),
            html.Div(id="profile-message"),
        ],
        className="panel form",
    )


def _fact(name: str, value: str) -> html.Div:
    return html.Div([html.Dt(name), html.Dd(value)])


def register(app: Dash) -> None:
    @app.callback(
        Output("profile-message", "children"),
        Output("account-name", "children"),
        Input("profile-save", "n_clicks"),
        State("profile-name", "value"),
        running=[(Output("profile-save", "loading"), True, False)],
        prevent_initial_call=True,
    )
    async def save(clicks: int | None, name: str | None) -> Any:
        if not clicks:
            return no_update, no_update
        session = current_session()
        try:
            session.user = await session.client.update_me((name or "").strip())
        except (ApiError, BackendUnreachableError) as error:
            return explain(error), no_update
        return notice("Saved."), session.user.display_name or session.user.username

    @app.callback(
        Output("password", "opened", allow_duplicate=True),
        Input("profile-password", "n_clicks"),
        prevent_initial_call=True,
    )
    def change_password(clicks: int | None) -> Any:
        return True if clicks else no_update
