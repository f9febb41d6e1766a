"""Commands on many hosts: choose them by name or tag, confirm once what runs where, watch a grid of results; and the
list of all that was run, for everybody to look at."""

import asyncio
import re
from datetime import tzinfo
from typing import Any

from dash import Dash, Input, Output, State, ctx, dcc, html, no_update

from chatops_client import ApiError, BackendUnreachableError
from chatops_dashboards.browser import in_browser
from chatops_dashboards.components.command_runs import register_runs, runs_grid
from chatops_dashboards.components.confirm import confirm_dialogue
from chatops_dashboards.components.run_output import run_place, show_run
from chatops_dashboards.components.states import explain, notice
from chatops_dashboards.live import LiveViews, Push, View
from chatops_dashboards.page import Page, PageContext
from chatops_dashboards.pages.commands import form
from chatops_dashboards.pages.commands.form import commands_form
from chatops_dashboards.pages.commands.group import group_place, watch_group
from chatops_dashboards.pages.commands.view import address_of, view_of
from chatops_dashboards.session import Session, current_session
from chatops_dashboards.settings import DashboardSettings

RUNS = "commands-runs"
LIST_EVERY_S = 2.0


async def layout(context: PageContext) -> Any:
    session = context.session
    servers, page = await asyncio.gather(
        session.client.servers(), session.client.commands.page(username=session.user.username, limit=100)
    )
    group, run = (_number(context.query.get(name)) for name in ("group", "run"))
    return html.Div(
        [
            html.Div(html.H1("Commands"), className="page-head"),
            commands_form(servers, page.items)
            if session.may_act
            else html.P("Your account looks on; operators run commands.", className="dim small tight"),
            group_place(session),
            run_place(),
            html.H2("All that was run"),
            runs_grid(RUNS, {}, with_server=True),
            confirm_dialogue("commands-confirm", "Run on several hosts", "", "Run") if session.may_act else None,
            dcc.Store(id="commands-asked"),
            dcc.Store(id="commands-address"),
            html.Div(id="commands-placed", hidden=True),
            dcc.Store(id="live-view", data=view_of(group, run)),
        ],
        className="console",
    )


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() and len(text) < 19 else None


async def stream(session: Session, view: View, zone: tzinfo, push: Push) -> None:
    """The group, the chosen run, and the list, which is read again when something in it has changed."""
    group_id, command_id = view.get("group"), view.get("command")
    works = [asyncio.create_task(_watch_list(session, push))]
    if isinstance(group_id, int):
        works.append(asyncio.create_task(watch_group(session, group_id, zone, push)))
    if isinstance(command_id, int):
        works.append(asyncio.create_task(_show(session, command_id, zone, push)))
    try:
        # The list is watched for ever, so this ends when one of them has failed.
        await asyncio.gather(*works)
    finally:
        for work in works:
            work.cancel()


async def _show(session: Session, command_id: int, zone: tzinfo, push: Push) -> None:
    await show_run(session, command_id, zone, push, named=True)


async def _watch_list(session: Session, push: Push) -> None:
    drawn: Any = None
    while True:
        page = await session.client.commands.page(limit=20)
        now = [(command.id, command.state) for command in page.items]
        if drawn is not None and now != drawn:
            push(f"{RUNS}-refresh", data=str(now))
        drawn = now
        await asyncio.sleep(LIST_EVERY_S)


def register(app: Dash, views: LiveViews, settings: DashboardSettings) -> None:
    views.add("commands", stream)
    form.register(app)
    register_runs(app, RUNS)
    in_browser(
        app, "rememberQuery", Output("commands-placed", "title"), Input("commands-address", "data"), initially=False
    )

    @app.callback(
        Output("group-message", "children", allow_duplicate=True),
        Input("group-cancel", "n_clicks"),
        State("live-view", "data"),
        running=[(Output("group-cancel", "loading"), True, False)],
        prevent_initial_call=True,
    )
    async def cancel(clicks: int | None, view: View | None) -> Any:
        group_id = (view or {}).get("group")
        if not clicks or not isinstance(group_id, int):
            return no_update
        try:
            await current_session().client.commands.cancel_group(group_id)
        except (ApiError, BackendUnreachableError) as error:
            return explain(error)
        return notice("Asked all to end; what does not end by itself is killed after five seconds.")

    @app.callback(
        Output("live-view", "data", allow_duplicate=True),
        Output("commands-address", "data", allow_duplicate=True),
        Input("group-grid", "selectedRows"),
        Input(RUNS, "selectedRows"),
        State("live-view", "data"),
        prevent_initial_call=True,
    )
    def pick(of_group: list[dict[str, Any]] | None, of_list: list[dict[str, Any]] | None, view: View | None) -> Any:
        rows = of_group if ctx.triggered_id == "group-grid" else of_list
        if not isinstance(rows, list) or not rows:
            return no_update, no_update
        command_id, group_id = int(rows[0]["id"]), (view or {}).get("group")
        if (view or {}).get("command") == command_id:
            return no_update, no_update
        return view_of(group_id, command_id), address_of(group_id, command_id)


PAGE = Page(
    name="commands",
    title="Commands",
    pattern=re.compile(r"^/commands/?$"),
    layout=layout,
    register=register,
    navigation="/commands",
    icon="play",
)
