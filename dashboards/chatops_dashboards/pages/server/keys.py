"""The keys of a server's agent, for administrators: make one, deactivate one, forget one. Asks before a key dies."""

from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any

import dash_mantine_components as dmc
from dash import ALL, Dash, Input, Output, State, ctx, dcc, html, no_update

from chatops_client import ApiError, BackendUnreachableError
from chatops_dashboards.components.attributes import dashed
from chatops_dashboards.components.confirm import confirm_dialogue
from chatops_dashboards.components.copyable import copyable
from chatops_dashboards.components.states import explain, notice
from chatops_dashboards.components.status import moment_text
from chatops_dashboards.components.tables import data_table
from chatops_dashboards.session import Session, current_session, request_zone
from chatops_protocol.resources import ApiKey


def section(keys: Sequence[ApiKey], now: datetime, zone: tzinfo) -> html.Section:
    return html.Section(
        [
            html.H2("Keys of its agent"),
            html.Div(key_table(keys, now, zone), id="settings-keys"),
            html.Div(id="settings-key-message"),
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
            dcc.Store(id="settings-key-asked"),
            confirm_dialogue("settings-key", "Deactivate key", "", "Deactivate"),
        ],
        className="panel form",
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
                _state(key, now),
                _button(key),
            ]
            for key in keys
        ],
        caption="Keys",
        hide_on_phone=(1, 2),
    )


def _button(key: ApiKey) -> dmc.Button:
    word = "Deactivate…" if key.active else "Delete…"
    return dmc.Button(
        word,
        id={"type": "key-act", "key": key.id, "do": "deactivate" if key.active else "delete"},
        size="compact-xs",
        variant="default" if key.active else "subtle",
        color=None if key.active else "red",
        **dashed(aria_label=f"{word.rstrip('…')} the key {key.name}"),
    )


def _state(key: ApiKey, now: datetime) -> Any:
    if not key.active:
        return html.Span("Deactivated", className="dim")
    if key.expires_at is not None and key.expires_at <= now:
        return html.Span("Expired", className="level-warning")
    return "Active"


def consequence(do: str, key: ApiKey, keys: Sequence[ApiKey], server_name: str, now: datetime) -> str:
    """What the dialogue says will happen to which key of which server."""
    which = f"the key “{key.name}” ({key.hint}) of “{server_name}”"
    if do == "delete":
        return f"This forgets {which}. It is deactivated already, so no agent uses it. It cannot be undone."
    others = [k for k in keys if k.id != key.id and k.active and (k.expires_at is None or k.expires_at > now)]
    text = (
        f"This deactivates {which} for good. An agent that uses it is disconnected at once and cannot report; "
        "its readings wait on its disk until it is given another key."
    )
    return text if others else f"{text} It is the only key that works: no agent can report as “{server_name}” then."


async def carry_out(session: Session, do: str, key_id: int) -> str:
    """Do it and return what was done."""
    if do == "delete":
        await session.client.delete_api_key(key_id)
        return "The key is deleted."
    await session.client.deactivate_api_key(key_id)
    return "The key is deactivated."


def new_key(key: str) -> html.Div:
    """A key at its only appearance."""
    return html.Div(
        [
            copyable(key, "settings-key-text", "the key"),
            notice("The key is shown only now. Put it into CHATOPS_API_KEY of the agent."),
        ],
        className="stack tight",
    )


def register(app: Dash) -> None:
    @app.callback(
        Output("settings-keys", "children"),
        Output("settings-new-key", "children"),
        Output("settings-key-name", "value"),
        Output("settings-key-message", "children"),
        Input("settings-key-create", "n_clicks"),
        State("settings-key-name", "value"),
        State("server-id", "data"),
        running=[(Output("settings-key-create", "loading"), True, False)],
        prevent_initial_call=True,
    )
    async def create(clicks: int | None, name: str | None, server_id: int) -> Any:
        if not clicks:
            return (no_update,) * 4
        client = current_session().client
        try:
            created = await client.create_api_key(int(server_id), (name or "").strip() or "key")
            keys = await client.api_keys(int(server_id))
        except (ApiError, BackendUnreachableError) as error:
            return no_update, no_update, no_update, explain(error)
        return key_table(keys, datetime.now(UTC), request_zone()), new_key(created.key), "", None

    @app.callback(
        Output("settings-key", "opened"),
        Output("settings-key", "title"),
        Output("settings-key-consequence", "children"),
        Output("settings-key-confirm", "children"),
        Output("settings-key-asked", "data"),
        Output("settings-key-message", "children", allow_duplicate=True),
        Input({"type": "key-act", "key": ALL, "do": ALL}, "n_clicks"),
        State("server-id", "data"),
        prevent_initial_call=True,
    )
    async def ask(_clicks: list[int | None], server_id: int) -> Any:
        asked = ctx.triggered_id
        if not isinstance(asked, dict) or not ctx.triggered or not ctx.triggered[0]["value"]:
            return (no_update,) * 6
        client, do = current_session().client, str(asked["do"])
        try:
            keys, server = await client.api_keys(int(server_id)), await client.server(int(server_id))
        except (ApiError, BackendUnreachableError) as error:
            return *((no_update,) * 5), explain(error)
        key = next((key for key in keys if key.id == asked["key"]), None)
        if key is None:
            return *((no_update,) * 5), notice("This key is gone.", "warning")
        words, verb = consequence(do, key, keys, server.name, datetime.now(UTC)), do.capitalize()
        return True, f"{verb} key", words, verb, dict(asked), None

    @app.callback(
        Output("settings-key", "opened", allow_duplicate=True),
        Input("settings-key-cancel", "n_clicks"),
        prevent_initial_call=True,
    )
    def cancel(clicks: int | None) -> Any:
        return False if clicks else no_update

    @app.callback(
        Output("settings-keys", "children", allow_duplicate=True),
        Output("settings-key", "opened", allow_duplicate=True),
        Output("settings-key-message", "children", allow_duplicate=True),
        Input("settings-key-confirm", "n_clicks"),
        State("settings-key-asked", "data"),
        State("server-id", "data"),
        running=[(Output("settings-key-confirm", "loading"), True, False)],
        prevent_initial_call=True,
    )
    async def confirm(clicks: int | None, asked: dict[str, Any] | None, server_id: int) -> Any:
        if not clicks or not asked:
            return no_update, no_update, no_update
        session = current_session()
        try:
            done = await carry_out(session, str(asked["do"]), int(asked["key"]))
            keys = await session.client.api_keys(int(server_id))
        except (ApiError, BackendUnreachableError) as error:
            return no_update, False, explain(error)
        return key_table(keys, datetime.now(UTC), request_zone()), False, notice(done)
