"""The settings tab, for administrators: name and tags, the server's keys, its connections, deletion."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any

import dash_mantine_components as dmc
from dash import ALL, Dash, Input, Output, State, ctx, html, no_update

from chatops_client import ApiError, BackendUnreachableError
from chatops_dashboards.components.attributes import dashed
from chatops_dashboards.components.confirm import confirm_dialogue
from chatops_dashboards.components.copyable import copyable
from chatops_dashboards.components.states import explain, notice
from chatops_dashboards.components.status import moment_text
from chatops_dashboards.components.tables import data_table
from chatops_dashboards.live import LiveViews
from chatops_dashboards.pages.server.head import TITLE_ID, document_title, idle_view, read_head
from chatops_dashboards.session import Session, current_session, request_zone
from chatops_protocol.resources import ApiKey, ConnectionEvent, UpdateServerRequest

SHOWN_EVENTS = 20


async def content(session: Session, server_id: int, query: dict[str, str], zone: tzinfo) -> Any:
    client = session.client
    server, keys, events = await asyncio.gather(
        client.server(server_id), client.api_keys(server_id), client.connections(server_id, SHOWN_EVENTS)
    )
    now = datetime.now(UTC)
    return html.Div(
        [
            html.Section(
                [
                    html.H2("Server"),
                    dmc.TextInput(id="settings-name", label="Name", value=server.name, required=True),
                    dmc.Textarea(
                        id="settings-description",
                        label="Description",
                        value=server.description,
                        autosize=True,
                        minRows=2,
                    ),
                    dmc.TagsInput(id="settings-tags", label="Tags", value=server.tags),
                    html.Div(id="settings-message"),
                    dmc.Group([dmc.Button("Save", id="settings-save")], justify="flex-end"),
                ],
                className="panel form",
            ),
            html.Section(
                [
                    html.H2("Keys of its agent"),
                    html.Div(key_table(keys, now, zone), id="settings-keys"),
                    html.Div(id="settings-new-key"),
                    html.Div(
                        [
                            dmc.TextInput(
                                id="settings-key-name",
                                placeholder="Name of the new key",
                                className="grow",
                                **dashed(aria_label="Name of the new key"),
                            ),
                            dmc.Button("Create key", id="settings-key-create", variant="default"),
                        ],
                        className="toolbar",
                    ),
                ],
                className="panel form",
            ),
            html.Section([html.H2("Connections"), event_table(events, now, zone)], className="panel form"),
            html.Section(
                [
                    html.H2("Delete"),
                    html.P(
                        "Removes the server and its keys. Its stored readings go when their retention ends.",
                        className="dim tight",
                    ),
                    dmc.Group([dmc.Button("Delete server…", id="settings-delete", color="red", variant="outline")]),
                ],
                className="panel form",
            ),
            confirm_dialogue(
                "server-delete",
                "Delete server",
                deletion_words(server.name),
                "Delete",
            ),
            idle_view(server_id),
        ],
        className="stack narrow",
    )


def deletion_words(name: str) -> str:
    return (
        f"This deletes “{name}” and its keys: its agent can report no more, and nobody can look at its readings. "
        "It cannot be undone."
    )


def key_table(keys: Sequence[ApiKey], now: datetime, zone: tzinfo) -> Any:
    if not keys:
        return html.P("No key: no agent can report as this server.", className="dim tight")
    return data_table(
        [("Name", False), ("Key", False), ("Last used", False), ("State", False), ("", False)],
        [
            [
                html.Span(key.name, className="breakable strong"),
                html.Code(key.hint),
                moment_text(key.last_used_at, now, zone),
                _key_state(key, now, zone),
                dmc.Group(
                    [
                        dmc.Button(
                            "Deactivate",
                            id={"type": "key-deactivate", "key": key.id},
                            size="compact-xs",
                            variant="default",
                        )
                        if key.active
                        else None,
                        dmc.Button(
                            "Delete",
                            id={"type": "key-delete", "key": key.id},
                            size="compact-xs",
                            variant="subtle",
                            color="red",
                        )
                        if not key.active
                        else None,
                    ],
                    gap=4,
                ),
            ]
            for key in keys
        ],
        caption="Keys",
        hide_on_phone=(1, 2),
    )


def _key_state(key: ApiKey, now: datetime, zone: tzinfo) -> Any:
    if not key.active:
        return html.Span("Deactivated", className="dim")
    if key.expires_at is not None and key.expires_at <= now:
        return html.Span("Expired", className="level-warning")
    return "Active"


def event_table(events: Sequence[ConnectionEvent], now: datetime, zone: tzinfo) -> Any:
    if not events:
        return html.P("No agent has connected yet.", className="dim tight")
    return data_table(
        [("When", False), ("What", False), ("From", False), ("Detail", False)],
        [
            [
                moment_text(event.time, now, zone),
                event.event.capitalize(),
                event.address or "",
                html.Span(event.detail, className="breakable"),
            ]
            for event in events
        ],
        caption="Connections, the newest first",
        hide_on_phone=(2,),
    )


def register(app: Dash, views: LiveViews) -> None:
    @app.callback(
        Output("settings-message", "children"),
        Output("server-header", "children"),
        Output(TITLE_ID, "data", allow_duplicate=True),
        Input("settings-save", "n_clicks"),
        State("settings-name", "value"),
        State("settings-description", "value"),
        State("settings-tags", "value"),
        State("server-id", "data"),
        running=[(Output("settings-save", "loading"), True, False)],
        prevent_initial_call=True,
    )
    async def save(
        clicks: int | None, name: str, description: str | None, tags: list[str] | None, server_id: int
    ) -> Any:
        if not clicks:
            return no_update, no_update, no_update
        changes = UpdateServerRequest(name=(name or "").strip(), description=description or "", tags=tags or [])
        session = current_session()
        try:
            await session.client.update_server(int(server_id), changes)
            saved, drawn = await read_head(session, int(server_id), request_zone())
        except (ApiError, BackendUnreachableError) as error:
            return explain(error), no_update, no_update
        return notice(f"Saved. The server is called “{saved}”."), drawn, document_title(saved)

    @app.callback(
        Output("settings-keys", "children"),
        Output("settings-new-key", "children"),
        Output("settings-key-name", "value"),
        Input("settings-key-create", "n_clicks"),
        Input({"type": "key-deactivate", "key": ALL}, "n_clicks"),
        Input({"type": "key-delete", "key": ALL}, "n_clicks"),
        State("settings-key-name", "value"),
        State("server-id", "data"),
        prevent_initial_call=True,
    )
    async def change_keys(_create: Any, _deactivate: Any, _delete: Any, name: str | None, server_id: int) -> Any:
        asked, client = ctx.triggered_id, current_session().client
        if not ctx.triggered or not ctx.triggered[0]["value"]:
            return no_update, no_update, no_update
        shown: Any = None
        try:
            if asked == "settings-key-create":
                created = await client.create_api_key(int(server_id), (name or "").strip() or "key")
                shown = new_key(created.key)
            elif isinstance(asked, dict) and asked["type"] == "key-deactivate":
                await client.deactivate_api_key(int(asked["key"]))
            elif isinstance(asked, dict):
                await client.delete_api_key(int(asked["key"]))
            keys = await client.api_keys(int(server_id))
        except (ApiError, BackendUnreachableError) as error:
            return no_update, explain(error), no_update
        return key_table(keys, datetime.now(UTC), request_zone()), shown, ""

    @app.callback(
        Output("server-delete", "opened"),
        Output("server-delete-consequence", "children"),
        Input("settings-delete", "n_clicks"),
        Input("server-delete-cancel", "n_clicks"),
        State("server-id", "data"),
        prevent_initial_call=True,
    )
    async def ask_deletion(_open: Any, _cancel: Any, server_id: int) -> Any:
        if not ctx.triggered or not ctx.triggered[0]["value"]:
            return no_update, no_update
        if ctx.triggered_id != "settings-delete":
            return False, no_update
        try:
            server = await current_session().client.server(int(server_id))
        except (ApiError, BackendUnreachableError):
            # Deletion will say what is wrong.
            return True, no_update
        return True, deletion_words(server.name)

    @app.callback(
        Output("server-delete-message", "children"),
        Output("url", "pathname", allow_duplicate=True),
        Input("server-delete-confirm", "n_clicks"),
        State("server-id", "data"),
        running=[(Output("server-delete-confirm", "loading"), True, False)],
        prevent_initial_call=True,
    )
    async def delete(clicks: int | None, server_id: int) -> Any:
        if not clicks:
            return no_update, no_update
        try:
            await current_session().client.delete_server(int(server_id))
        except (ApiError, BackendUnreachableError) as error:
            return explain(error), no_update
        return no_update, "/"


def new_key(key: str) -> html.Div:
    """A key at its only appearance."""
    return html.Div(
        [
            copyable(key, "settings-key-text", "the key"),
            notice("The key is shown only now. Put it into CHATOPS_API_KEY of the agent."),
        ],
        className="stack tight",
    )
