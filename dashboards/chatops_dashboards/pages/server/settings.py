"""The settings tab, for administrators: name and tags, the server's keys, its connections, deletion."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any

import dash_mantine_components as dmc
from dash import Dash, Input, Output, State, ctx, html, no_update

from chatops_client import ApiError, BackendUnreachableError
from chatops_dashboards.components.confirm import confirm_dialogue
from chatops_dashboards.components.states import explain, notice
from chatops_dashboards.components.status import moment_text
from chatops_dashboards.components.tables import data_table
from chatops_dashboards.live import LiveViews
from chatops_dashboards.pages.server import keys
from chatops_dashboards.pages.server.head import TITLE_ID, document_title, idle_view, read_head
from chatops_dashboards.session import Session, current_session, request_zone
from chatops_protocol.resources import ConnectionEvent, UpdateServerRequest

SHOWN_EVENTS = 20


async def content(session: Session, server_id: int, query: dict[str, str], zone: tzinfo) -> Any:
    client = session.client
    server, found_keys, events = await asyncio.gather(
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
            keys.section(found_keys, now, zone),
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
    keys.register(app)

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
