"""Which servers a person sees: all, or some by name and tag. An administrator chooses, and reads first what follows."""

from collections.abc import Collection, Sequence
from typing import Any

import dash_mantine_components as dmc
from dash import ALL, Dash, Input, Output, State, ctx, dcc, html, no_update

from chatops_client import ApiError, BackendUnreachableError
from chatops_dashboards.components.states import explain, notice
from chatops_dashboards.components.user_actions import DrawTable
from chatops_dashboards.session import current_session, request_zone
from chatops_protocol.resources import Server, UpdateUserRequest, User

MOST_NAMED = 6


def servers_words(user: User) -> str:
    """``all``, or which."""
    if user.role == "admin" or user.all_servers:
        return "all"
    parts = []
    if user.server_ids:
        count = len(user.server_ids)
        parts.append(f"{count} chosen one{'s' if count != 1 else ''}")
    if user.server_tags:
        parts.append(f"those tagged {', '.join(user.server_tags)}")
    return " and ".join(parts) or "none"


def consequence(
    user: User, servers: Sequence[Server], everything: bool, ids: Collection[int], tags: Sequence[str]
) -> str:
    """Whom it will concern, and how."""
    who = f"“{user.username}”"
    role = (
        f" {who} is an administrator and sees all whatever is chosen here; it counts once the role is another."
        if user.role == "admin"
        else ""
    )
    if everything:
        return f"{who} sees all servers, those to come included.{role}"
    seen = [server.name for server in servers if server.id in ids or set(server.tags) & set(tags)]
    if not seen:
        return f"Nothing is chosen: {who} sees no server at all.{role}"
    named = ", ".join(seen[:MOST_NAMED]) + (f" and {len(seen) - MOST_NAMED} more" if len(seen) > MOST_NAMED else "")
    later = " Servers that get one of the tags later are among them." if tags else ""
    return (
        f"{who} sees and acts on {len(seen)} of {len(servers)} servers: {named}. All others do not exist for them, on "
        f"pages that are open now too.{later}{role}"
    )


def dialogue() -> html.Div:
    """Once on the page of users, whose buttons have ids of type ``user-servers``."""
    return html.Div(
        [
            dcc.Store(id="limits-user"),
            dmc.Modal(
                id="limits",
                title="Servers",
                size="lg",
                children=dmc.Stack(
                    [
                        dmc.SegmentedControl(
                            id="limits-all",
                            data=[{"value": "all", "label": "All servers"}, {"value": "some", "label": "Only these"}],
                            value="all",
                        ),
                        html.Div(
                            [
                                dmc.MultiSelect(
                                    id="limits-ids", label="Servers", data=[], searchable=True, clearable=True
                                ),
                                dmc.TagsInput(
                                    id="limits-tags",
                                    label="Those with one of these tags",
                                    data=[],
                                    clearable=True,
                                ),
                            ],
                            id="limits-some",
                            className="stack tight",
                        ),
                        html.P(id="limits-consequence", className="tight", role="status"),
                        html.Div(id="limits-message"),
                        dmc.Group(
                            [
                                dmc.Button("Cancel", id="limits-cancel", variant="default"),
                                dmc.Button("Save", id="limits-save"),
                            ],
                            justify="flex-end",
                        ),
                    ]
                ),
            ),
        ]
    )


async def _found(user_id: int) -> tuple[User | None, list[Server]]:
    client = current_session().client
    user = next((user for user in await client.users() if user.id == user_id), None)
    return user, await client.servers()


def register(app: Dash, draw_table: DrawTable) -> None:
    @app.callback(
        Output("limits", "opened"),
        Output("limits", "title"),
        Output("limits-user", "data"),
        Output("limits-all", "value"),
        Output("limits-ids", "data"),
        Output("limits-ids", "value"),
        Output("limits-tags", "data"),
        Output("limits-tags", "value"),
        Output("limits-message", "children"),
        Output("users-message", "children", allow_duplicate=True),
        Input({"type": "user-servers", "user": ALL}, "n_clicks"),
        prevent_initial_call=True,
    )
    async def open_dialogue(_clicks: list[int | None]) -> Any:
        asked = ctx.triggered_id
        if not isinstance(asked, dict) or not ctx.triggered[0]["value"]:
            return (no_update,) * 10
        try:
            user, servers = await _found(int(asked["user"]))
        except (ApiError, BackendUnreachableError) as error:
            return *((no_update,) * 9), explain(error)
        if user is None:
            return *((no_update,) * 9), notice("This user is gone.", "warning")
        known = {server.id for server in servers}
        return (
            True,
            f"Servers of {user.username}",
            user.id,
            "all" if user.all_servers else "some",
            [{"value": str(server.id), "label": server.name} for server in servers],
            [str(number) for number in user.server_ids if number in known],
            sorted({tag for server in servers for tag in server.tags}),
            user.server_tags,
            None,
            None,
        )

    @app.callback(
        Output("limits-consequence", "children"),
        Output("limits-some", "style"),
        Input("limits-user", "data"),
        Input("limits-all", "value"),
        Input("limits-ids", "value"),
        Input("limits-tags", "value"),
        prevent_initial_call=True,
    )
    async def say(user_id: int | None, which: str, ids: list[str] | None, tags: list[str] | None) -> Any:
        if user_id is None:
            return no_update, no_update
        style = {"display": "none"} if which == "all" else {}
        try:
            user, servers = await _found(int(user_id))
        except (ApiError, BackendUnreachableError):
            return "", style
        if user is None:
            return "This user is gone.", style
        return consequence(user, servers, which == "all", {int(number) for number in ids or ()}, tags or ()), style

    @app.callback(
        Output("limits", "opened", allow_duplicate=True), Input("limits-cancel", "n_clicks"), prevent_initial_call=True
    )
    def cancel(clicks: int | None) -> Any:
        return False if clicks else no_update

    @app.callback(
        Output("limits", "opened", allow_duplicate=True),
        Output("limits-message", "children", allow_duplicate=True),
        Output("users-table", "children", allow_duplicate=True),
        Output("users-message", "children", allow_duplicate=True),
        Input("limits-save", "n_clicks"),
        State("limits-user", "data"),
        State("limits-all", "value"),
        State("limits-ids", "value"),
        State("limits-tags", "value"),
        running=[(Output("limits-save", "loading"), True, False)],
        prevent_initial_call=True,
    )
    async def save(
        clicks: int | None, user_id: int | None, which: str, ids: list[str] | None, tags: list[str] | None
    ) -> Any:
        if not clicks or user_id is None:
            return (no_update,) * 4
        session = current_session()
        change = (
            UpdateUserRequest(all_servers=True)
            if which == "all"
            else UpdateUserRequest(
                all_servers=False, server_ids=[int(number) for number in ids or ()], server_tags=list(tags or ())
            )
        )
        try:
            user = await session.client.update_user(int(user_id), change)
            table = await draw_table(session, request_zone())
        except (ApiError, BackendUnreachableError) as error:
            return no_update, explain(error), no_update, no_update
        return False, None, table, notice(f"{user.username} sees these servers now: {servers_words(user)}.")
