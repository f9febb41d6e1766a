"""Channels: where notifications go, how the last one went, a test message. Administrators change them."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any

import dash_mantine_components as dmc
from dash import ALL, Dash, Input, Output, State, ctx, dcc, html, no_update

from chatops_client import ApiError, BackendUnreachableError
from chatops_dashboards.components.alert_navigation import places
from chatops_dashboards.components.attributes import dashed
from chatops_dashboards.components.confirm import confirm_dialogue
from chatops_dashboards.components.icons import icon
from chatops_dashboards.components.states import empty, explain, notice
from chatops_dashboards.components.status import moment_text
from chatops_dashboards.components.tables import data_table
from chatops_dashboards.live import LiveViews
from chatops_dashboards.page import Page, PageContext
from chatops_dashboards.session import Session, current_session, request_zone
from chatops_dashboards.settings import DashboardSettings
from chatops_protocol.alert_resources import Channel, StoredChannel, UpdateChannelRequest

TYPES = {"webhook": "Webhook (JSON as Alertmanager sends it)", "apprise": "Apprise address (mail, chat, push, …)"}
EXAMPLES = {"webhook": "https://example.org/hook", "apprise": "mailto://user:password@example.org"}


async def layout(context: PageContext) -> Any:
    admin = context.session.is_admin
    return html.Div(
        [
            dmc.Group(
                [
                    html.H1("Channels"),
                    dmc.Button("Add channel", id="channels-add", leftSection=icon("plus", 16))
                    if admin
                    else html.Span("Administrators change channels.", className="dim small"),
                ],
                justify="space-between",
                className="page-head",
            ),
            places("/alerts/channels"),
            html.Div(id="channels-message", className="page-message"),
            html.Div(await channel_table(context.session, context.zone), id="channels-table"),
            _dialogue() if admin else None,
            confirm_dialogue(
                "channels-delete",
                "Delete channel",
                "This forgets its address, which cannot be read again. Rules that name it keep it from being deleted.",
                "Delete",
            )
            if admin
            else None,
            dcc.Store(id="channels-delete-asked"),
            dcc.Store(id="live-view", data={"kind": "idle"}),
        ]
    )


def _dialogue() -> dmc.Modal:
    return dmc.Modal(
        id="channels-dialogue",
        title="Add a channel",
        children=dmc.Stack(
            [
                dmc.TextInput(id="channels-name", label="Name", required=True, **dashed(data_autofocus=True)),
                dmc.Select(
                    id="channels-type",
                    label="Kind",
                    value="webhook",
                    allowDeselect=False,
                    data=[{"value": key, "label": word} for key, word in TYPES.items()],
                ),
                dmc.PasswordInput(
                    id="channels-url",
                    label="Address",
                    description="Kept secret: it is shown masked from now on",
                    required=True,
                ),
                html.Span(id="channels-example", className="dim small breakable"),
                html.Div(id="channels-error"),
                dmc.Group([dmc.Button("Add channel", id="channels-submit")], justify="flex-end"),
            ]
        ),
    )


async def channel_table(session: Session, zone: tzinfo) -> Any:
    return draw_channels(await session.client.alerts.channels(), datetime.now(UTC), zone, admin=session.is_admin)


def draw_channels(channels: Sequence[StoredChannel], now: datetime, zone: tzinfo, *, admin: bool) -> Any:
    if not channels:
        text = "Alerts are shown here and nobody is notified. "
        return empty("No channels", text + ("Add one, then name it in a rule." if admin else ""), picture="info")
    table = data_table(
        [("Channel", False), ("Address", False), ("Last delivery", False), ("On", False), ("", False)],
        [
            [
                html.Span(
                    [
                        html.Span(channel.name, className="strong breakable"),
                        html.Span(channel.type, className="dim small"),
                    ],
                    className="alert-what",
                ),
                html.Code(channel.shown_url, className="breakable small"),
                html.Span(
                    [moment_text(channel.last_delivered_at, now, zone), *delivery_marks(channel)],
                    className="alert-what",
                ),
                dmc.Switch(
                    id={"type": "channel-enabled", "channel": channel.id},
                    checked=channel.enabled,
                    **dashed(aria_label=f"{channel.name} is switched on"),
                )
                if admin
                else ("On" if channel.enabled else html.Span("Off", className="dim")),
                _buttons(channel) if admin else None,
            ]
            for channel in channels
        ],
        caption="Channels",
        hide_on_phone=(1,),
    )
    return html.Div(table, className="panel flush")


def delivery_marks(channel: StoredChannel) -> list[Any]:
    """What is wrong with deliveries, if anything is."""
    marks = []
    if channel.last_error is not None:
        marks.append(
            html.Span([icon("alert", 14), f" {channel.last_error}"], className="level-critical small breakable")
        )
    if channel.waiting:
        marks.append(html.Span(f"▲ {channel.waiting} waiting to be delivered", className="level-warning small"))
    if channel.given_up:
        marks.append(html.Span(f"◆ {channel.given_up} never delivered", className="level-critical small"))
    return marks


def _buttons(channel: StoredChannel) -> dmc.Group:
    return dmc.Group(
        [
            dmc.Button(
                word,
                id={"type": f"channel-{action}", "channel": channel.id},
                size="compact-xs",
                variant=variant,
                color=colour,
                **dashed(aria_label=f"{word} {channel.name}"),
            )
            for action, word, variant, colour in (
                ("test", "Send a test", "default", None),
                ("delete", "Delete", "subtle", "red"),
            )
        ],
        gap=4,
    )


def register(app: Dash, views: LiveViews, settings: DashboardSettings) -> None:
    @app.callback(
        Output("channels-dialogue", "opened"),
        Output("channels-error", "children"),
        Input("channels-add", "n_clicks"),
        prevent_initial_call=True,
    )
    def open_dialogue(clicks: int | None) -> Any:
        return (True, None) if clicks else (no_update, no_update)

    @app.callback(Output("channels-example", "children"), Input("channels-type", "value"))
    def example(kind: str) -> str:
        return f"For example {EXAMPLES.get(kind, '')}"

    @app.callback(
        Output("channels-table", "children"),
        Output("channels-dialogue", "opened", allow_duplicate=True),
        Output("channels-error", "children", allow_duplicate=True),
        Output("channels-message", "children"),
        Output("channels-url", "value"),
        Input("channels-submit", "n_clicks"),
        State("channels-name", "value"),
        State("channels-type", "value"),
        State("channels-url", "value"),
        running=[(Output("channels-submit", "loading"), True, False)],
        prevent_initial_call=True,
    )
    async def add(clicks: int | None, name: str | None, kind: Any, url: str | None) -> Any:
        if not clicks:
            return (no_update,) * 5
        session = current_session()
        if not (name or "").strip() or not (url or "").strip():
            return no_update, no_update, notice("Give a name and an address.", "critical"), no_update, no_update
        try:
            channel = await session.client.alerts.create_channel(
                Channel((name or "").strip(), kind, (url or "").strip())
            )
            table = await channel_table(session, request_zone())
        except (ApiError, BackendUnreachableError) as error:
            return no_update, no_update, explain(error), no_update, no_update
        return table, False, None, notice(f"Added {channel.name}. Send a test to see that it arrives."), ""

    @app.callback(
        Output("channels-table", "children", allow_duplicate=True),
        Output("channels-message", "children", allow_duplicate=True),
        Input({"type": "channel-enabled", "channel": ALL}, "checked"),
        Input({"type": "channel-test", "channel": ALL}, "n_clicks"),
        running=[(Output("channels-table", "className"), "busy", "")],
        prevent_initial_call=True,
    )
    async def act(_checked: list[bool], _tests: list[int | None]) -> Any:
        asked = ctx.triggered_id
        value = ctx.triggered[0]["value"] if ctx.triggered else None
        if not isinstance(asked, dict) or value is None:
            return no_update, no_update
        session, channel_id = current_session(), int(asked["channel"])
        try:
            if asked["type"] == "channel-test":
                tried = await session.client.alerts.test_channel(channel_id)
                message = notice(
                    f"{'Delivered' if tried.delivered else 'Not delivered'}: {tried.detail}",
                    "info" if tried.delivered else "critical",
                )
            else:
                known = {channel.id: channel for channel in await session.client.alerts.channels()}
                if channel_id not in known or known[channel_id].enabled == bool(value):
                    return no_update, no_update
                changes = UpdateChannelRequest(enabled=bool(value))
                channel = await session.client.alerts.update_channel(channel_id, changes)
                message = notice(f"{channel.name} is switched {'on' if channel.enabled else 'off'}.")
            table = await channel_table(session, request_zone())
        except (ApiError, BackendUnreachableError) as error:
            return no_update, explain(error)
        return table, message

    @app.callback(
        Output("channels-delete", "opened"),
        Output("channels-delete-asked", "data"),
        Output("channels-delete-message", "children"),
        Input({"type": "channel-delete", "channel": ALL}, "n_clicks"),
        Input("channels-delete-cancel", "n_clicks"),
        prevent_initial_call=True,
    )
    def ask_deletion(_asked: list[int | None], _cancel: int | None) -> Any:
        if not ctx.triggered or not ctx.triggered[0]["value"]:
            return no_update, no_update, no_update
        asked = ctx.triggered_id
        return (True, int(asked["channel"]), None) if isinstance(asked, dict) else (False, no_update, no_update)

    @app.callback(
        Output("channels-table", "children", allow_duplicate=True),
        Output("channels-delete", "opened", allow_duplicate=True),
        Output("channels-delete-message", "children", allow_duplicate=True),
        Output("channels-message", "children", allow_duplicate=True),
        Input("channels-delete-confirm", "n_clicks"),
        State("channels-delete-asked", "data"),
        running=[(Output("channels-delete-confirm", "loading"), True, False)],
        prevent_initial_call=True,
    )
    async def delete(clicks: int | None, channel_id: int | None) -> Any:
        if not clicks or channel_id is None:
            return (no_update,) * 4
        session = current_session()
        try:
            await session.client.alerts.delete_channel(int(channel_id))
            table = await channel_table(session, request_zone())
        except (ApiError, BackendUnreachableError) as error:
            return no_update, no_update, explain(error), no_update
        return table, False, None, notice("The channel is deleted.")


PAGE = Page(
    name="channels",
    title="Channels",
    pattern=re.compile(r"^/alerts/channels/?$"),
    layout=layout,
    register=register,
)
