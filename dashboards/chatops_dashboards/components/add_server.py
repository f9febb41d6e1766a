"""The add-server dialogue: a form, then the exact commands to run on the host, then a live wait for its first data."""

import re
from datetime import UTC, tzinfo
from typing import Any
from urllib.parse import urljoin, urlsplit

import dash_mantine_components as dmc
from dash import ALL, Dash, Input, Output, State, ctx, dcc, html, no_update
from quart import request

from chatops_client import ApiError, BackendUnreachableError
from chatops_dashboards.components.attributes import dashed
from chatops_dashboards.components.copyable import copyable
from chatops_dashboards.components.icons import icon
from chatops_dashboards.components.states import notice
from chatops_dashboards.fleet_hub import fleet_hub
from chatops_dashboards.live import LiveViews, Push, View
from chatops_dashboards.session import Session, current_session
from chatops_dashboards.settings import DashboardSettings
from chatops_protocol.resources import AgentWheel

WAIT_S = 1800.0
LOOPBACK = {"127.0.0.1", "localhost", "::1"}


def open_button(place: str = "fleet-head") -> dmc.Button:
    return dmc.Button("Add server", id={"type": "add-server-open", "place": place}, leftSection=icon("plus", 16))


def dialogue() -> html.Div:
    form = dmc.Stack(
        [
            dmc.TextInput(
                id="add-server-name",
                label="Name",
                description="How it is called here",
                required=True,
                **dashed(data_autofocus=True),
            ),
            dmc.TagsInput(
                id="add-server-tags", label="Tags", description="Press Enter after each", placeholder="prod, web"
            ),
            dmc.Textarea(id="add-server-description", label="Description", autosize=True, minRows=2),
            html.Div(id="add-server-error"),
            dmc.Group([dmc.Button("Create and show commands", id="add-server-submit")], justify="flex-end"),
        ]
    )
    return html.Div(
        [
            dmc.Modal(
                id="add-server",
                title="Add a server",
                size="lg",
                children=[html.Div(form, id="add-server-form"), html.Div(id="add-server-commands")],
            ),
            dcc.Store(id="add-server-created"),
        ]
    )


def agent_address(api_url: str, dashboard_host: str) -> str:
    """Where the host should reach the backend: the configured address, but when that is this machine alone and the
    reader came by another name, that name."""
    parts = urlsplit(api_url)
    asked = urlsplit(f"//{dashboard_host}").hostname or ""
    if parts.hostname in LOOPBACK and asked not in LOOPBACK | {""}:
        host = f"[{asked}]" if ":" in asked else asked
        return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")
    return api_url


def commands(address: str, key: str, wheel: AgentWheel | None) -> str:
    """The lines to paste on the host. Everything put in is checked: a shell will read it."""
    url = urljoin(address + "/", wheel.url) if wheel else f"{address}/api/v1/agent/wheel/chatops-0.1.0-py3-none-any.whl"
    if wheel and urlsplit(wheel.url).netloc:
        url = address + urlsplit(wheel.url).path
    for text in (address, key, url):
        if not re.fullmatch(r"[A-Za-z0-9._~:/\[\]@%+-]+", text):
            raise ValueError("a character that a shell could read otherwise")
    return (
        "python3 -m venv ~/chatops-agent\n"
        f"~/chatops-agent/bin/pip install {url}\n"
        f"CHATOPS_API_URL={address} CHATOPS_API_KEY={key} ~/chatops-agent/bin/chatops agent"
    )


def command_view(server_name: str, text: str, address: str) -> dmc.Stack:
    here_only = urlsplit(address).hostname in LOOPBACK
    return dmc.Stack(
        [
            html.P(["Run this on ", html.Strong(server_name), ". It needs Python 3.11 or newer."], className="tight"),
            copyable(text, "add-server-text", "the commands"),
            notice("The key is shown only now. Whoever has it can report as this server. Its settings can revoke it."),
            notice(
                [
                    f"The address {address} works on this machine alone. ",
                    "Set CHATOPS_API_URL to one that other hosts reach.",
                ],
                "warning",
            )
            if here_only
            else None,
            html.Div(waiting(), id="add-server-progress"),
        ]
    )


def waiting() -> html.Div:
    return html.Div([dmc.Loader(size="sm"), "Waiting for first data…"], className="progress-line", role="status")


def connected(server_id: int) -> html.Div:
    return html.Div(
        [
            html.Span(className="shape shape-online"),
            html.Strong("Connected."),
            " Data is arriving. ",
            dcc.Link("Open the server", href=f"/servers/{server_id}", className="strong-link"),
        ],
        className="progress-line connected",
        role="status",
    )


async def create(
    session: Session, settings: DashboardSettings, host: str, name: str, tags: list[str], description: str
) -> tuple[Any, int]:
    """Create server and key; answer the commands and the server's id."""
    server = await session.client.create_server(name, description, tags)
    key = await session.client.create_api_key(server.id, "first key")
    try:
        wheel = await session.client.agent_wheel()
    except ApiError:
        wheel = None
    address = agent_address(settings.api_url, host)
    return command_view(server.name, commands(address, key.key, wheel), address), server.id


async def wait_for_first_data(session: Session, view: View, zone: tzinfo, push: Push) -> None:
    """Watch the fleet until the new server is online."""
    server_id = view.get("server_id")
    async with fleet_hub(session).subscribed() as hub:
        version = -1
        while isinstance(server_id, int):
            entry = hub.entries.get(server_id)
            if entry is not None and entry.status == "online":
                push("add-server-progress", children=connected(server_id))
                return
            await hub.news(version, timeout=10.0)
            version = hub.version


def register(app: Dash, views: LiveViews, settings: DashboardSettings) -> None:
    views.add("first-data", wait_for_first_data)

    @app.callback(
        Output("add-server", "opened"),
        Output("add-server-form", "style"),
        Output("add-server-commands", "children", allow_duplicate=True),
        Input({"type": "add-server-open", "place": ALL}, "n_clicks"),
        prevent_initial_call=True,
    )
    def open_dialogue(clicks: list[int | None]) -> Any:
        return (True, {}, None) if any(clicks) else (no_update, no_update, no_update)

    @app.callback(
        Output("add-server-form", "style", allow_duplicate=True),
        Output("add-server-commands", "children", allow_duplicate=True),
        Output("add-server-error", "children"),
        Output("add-server-created", "data"),
        Input("add-server-submit", "n_clicks"),
        State("add-server-name", "value"),
        State("add-server-tags", "value"),
        State("add-server-description", "value"),
        running=[(Output("add-server-submit", "loading"), True, False)],
        prevent_initial_call=True,
    )
    async def submit(clicks: int | None, name: str | None, tags: list[str] | None, description: str | None) -> Any:
        if not clicks or not ctx.triggered_id:
            return no_update, no_update, no_update, no_update
        if not (name or "").strip():
            return no_update, no_update, notice("Give the server a name.", "critical"), no_update
        try:
            view, server_id = await create(
                current_session(), settings, request.host, (name or "").strip(), tags or [], description or ""
            )
        except (ApiError, BackendUnreachableError) as error:
            text = error.detail if isinstance(error, ApiError) else "The backend does not answer; try again."
            return no_update, no_update, notice(text, "critical"), no_update
        return {"display": "none"}, view, None, server_id

    @app.callback(Input("add-server-created", "data"), State("tab", "data"), websocket=True, persistent=True)
    async def wait(server_id: int | None, tab: str | None) -> None:
        if server_id is not None:
            socket = ctx.websocket
            await views.serve(
                current_session(), {"kind": "first-data", "server_id": server_id}, UTC, f"add {tab}", socket
            )
