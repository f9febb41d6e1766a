"""What is run on whom: the form, its one question, and what follows the answer."""

import asyncio
from collections.abc import Sequence
from typing import Any

import dash_mantine_components as dmc
from dash import Dash, Input, Output, State, ctx, html, no_update

from chatops_client import ApiError, BackendUnreachableError
from chatops_dashboards.command_words import remembered
from chatops_dashboards.components import command_form
from chatops_dashboards.components.states import explain, notice
from chatops_dashboards.pages.commands.choice import choose, chosen_words, consequence, policies_of, read_request
from chatops_dashboards.pages.commands.view import address_of, view_of
from chatops_dashboards.session import current_session
from chatops_protocol.command_resources import Command, RunCommandsRequest
from chatops_protocol.resources import Server


def commands_form(servers: Sequence[Server], ran: Sequence[Command]) -> html.Div:
    tags = sorted({tag for server in servers for tag in server.tags})
    limits = [
        dmc.NumberInput(
            id="commands-at-a-time",
            label="At a time",
            placeholder="all",
            min=1,
            max=2000,
            allowDecimal=False,
            className="command-option",
        ),
        dmc.NumberInput(
            id="commands-stop-after",
            label="Stop after",
            placeholder="never",
            suffix=" failed",
            min=1,
            max=2000,
            allowDecimal=False,
            className="command-option",
        ),
    ]
    return html.Div(
        [
            html.Div(
                [
                    dmc.MultiSelect(
                        id="commands-servers",
                        label="On these servers",
                        data=[{"value": str(server.id), "label": server.name} for server in servers],
                        value=[],
                        searchable=True,
                        clearable=True,
                        placeholder="choose by name",
                        style={"flex": "1 1 320px"},
                        maxDropdownHeight=320,
                    ),
                    dmc.Select(
                        id="commands-tag",
                        label="or on all with the tag",
                        data=tags,
                        searchable=True,
                        clearable=True,
                        placeholder="no tag" if tags else "no server has a tag",
                        disabled=not tags,
                        w=220,
                    ),
                ],
                className="toolbar",
            ),
            html.Div(id="commands-chosen", className="dim small", role="status"),
            command_form.command_form("commands", remembered(ran), "Run…", None, limits),
        ],
        className="panel form",
    )


def register(app: Dash) -> None:
    command_form.register(app, "commands")

    @app.callback(
        Output("commands-chosen", "children"),
        Input("commands-servers", "value"),
        Input("commands-tag", "value"),
        prevent_initial_call=True,
    )
    async def say_chosen(ids: list[str] | None, tag: str | None) -> Any:
        session = current_session()
        try:
            servers, policies = await asyncio.gather(session.client.servers(), policies_of(session))
        except (ApiError, BackendUnreachableError) as error:
            return explain(error)
        return chosen_words(choose(servers, ids, tag), policies)

    @app.callback(
        Output("commands-confirm", "opened"),
        Output("commands-confirm-consequence", "children"),
        Output("commands-confirm-message", "children"),
        Output("commands-confirm-confirm", "children"),
        Output("commands-asked", "data"),
        Output("commands-message", "children"),
        Input("commands-run", "n_clicks"),
        Input("commands-line", "n_submit"),
        Input("commands-confirm-cancel", "n_clicks"),
        State("commands-line", "value"),
        State("commands-timeout", "value"),
        State("commands-folder", "value"),
        State("commands-servers", "value"),
        State("commands-tag", "value"),
        State("commands-at-a-time", "value"),
        State("commands-stop-after", "value"),
        prevent_initial_call=True,
    )
    async def ask(
        clicks: int | None, entered: int | None, cancelled: int | None, text: str | None, timeout: Any,
        folder: str | None, ids: list[str] | None, tag: str | None, at_a_time: Any, stop_after: Any,
    ) -> Any:  # fmt: skip
        if ctx.triggered_id == "commands-confirm-cancel":
            return (False if cancelled else no_update), *((no_update,) * 5)
        if not (clicks or entered):
            return (no_update,) * 6
        session = current_session()
        options = {"timeout": timeout, "folder": folder, "at_a_time": at_a_time, "stop_after": stop_after}
        try:
            servers, policies = await asyncio.gather(session.client.servers(), policies_of(session))
            chosen = choose(servers, ids, tag)
            asked = read_request(text, chosen, options)
        except ValueError as error:
            return *((no_update,) * 5), notice(str(error), "warning")
        except (ApiError, BackendUnreachableError) as error:
            return *((no_update,) * 5), explain(error)
        hosts = f"Run on {len(chosen)} {'host' if len(chosen) == 1 else 'hosts'}"
        return True, consequence(asked, chosen, policies), None, hosts, asked, None

    @app.callback(
        Output("commands-confirm", "opened", allow_duplicate=True),
        Output("commands-confirm-message", "children", allow_duplicate=True),
        Output("live-view", "data", allow_duplicate=True),
        Output("commands-address", "data"),
        Output("commands-line", "value"),
        Output("commands-history", "data"),
        Output("commands-rest", "data"),
        Output("group-message", "children"),
        Input("commands-confirm-confirm", "n_clicks"),
        State("commands-asked", "data"),
        State("commands-history", "data"),
        running=[(Output("commands-confirm-confirm", "loading"), True, False)],
        prevent_initial_call=True,
    )
    async def run(clicks: int | None, asked: dict[str, Any] | None, history: list[str] | None) -> Any:
        if not clicks or not asked:
            return (no_update,) * 8
        try:
            group = await current_session().client.commands.run_on_several(RunCommandsRequest(**asked))
        except (ApiError, BackendUnreachableError) as error:
            return no_update, explain(error), *((no_update,) * 6)
        line = str(asked["command"])
        lines = remembered([], line) + [known for known in history or [] if known != line]
        return False, None, view_of(group.id, None), address_of(group.id, None), "", lines, "", None
