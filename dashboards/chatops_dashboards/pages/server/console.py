"""The console tab: run a command on this host, see its output as it comes, end it; and what was run before."""

import asyncio
from datetime import tzinfo
from typing import Any

from dash import Dash, Input, Output, State, dcc, html, no_update

from chatops_client import ApiError, BackendUnreachableError
from chatops_dashboards.browser import in_browser
from chatops_dashboards.command_words import remembered
from chatops_dashboards.components import command_form, run_output
from chatops_dashboards.components.command_form import policy_notice, read_options
from chatops_dashboards.components.command_runs import register_runs, runs_grid
from chatops_dashboards.components.run_output import run_place, show_run
from chatops_dashboards.components.states import explain, notice
from chatops_dashboards.live import LiveViews, Push, View
from chatops_dashboards.session import Session, current_session
from chatops_protocol.command_resources import RunCommandRequest
from chatops_protocol.control_messages import CommandPolicy

RUNS = "console-runs"
# Others run commands here too.
LOOK_EVERY_S = 5.0
RECENT = 20


async def content(session: Session, server_id: int, query: dict[str, str], zone: tzinfo) -> Any:
    page, policy = await asyncio.gather(
        session.client.commands.page(server_id=server_id, kind="command", limit=100), policy_of(session, server_id)
    )
    run = query.get("run", "")
    return html.Div(
        [
            html.Div(policy_notice(policy), id="console-policy"),
            command_form.command_form("console", remembered(page.items), "Run", policy)
            if session.may_act
            else html.P("Your account looks on; operators run commands.", className="dim small tight"),
            run_place(),
            html.H2("What was run here"),
            runs_grid(RUNS, {"server_id": server_id}, with_server=False),
            dcc.Store(id="console-address"),
            html.Div(id="console-placed", hidden=True),
            dcc.Store(id="live-view", data=view_of(server_id, int(run) if run.isdecimal() else None)),
        ],
        className="console",
    )


def view_of(server_id: int, command_id: int | None) -> View:
    return {"kind": "server-console", "server_id": server_id, "command_id": command_id}


async def policy_of(session: Session, server_id: int) -> CommandPolicy | None:
    found = (await session.client.commands.policies(server_id)).policies
    return found[0].command_policy if found else None


async def stream(session: Session, view: View, zone: tzinfo, push: Push) -> None:
    """The chosen run, and beside it the list, which is read again when something in it has changed."""
    server_id, command_id = int(view["server_id"]), view.get("command_id")
    if view.get("past"):
        if isinstance(command_id, int):
            await show_run(session, command_id, zone, push, past=True)
        return
    watching = asyncio.create_task(_watch(session, server_id, push))
    try:
        if isinstance(command_id, int):
            ended = await show_run(session, command_id, zone, push)
            push(f"{RUNS}-refresh", data=f"{ended.id} {ended.state}")
        await watching
    finally:
        watching.cancel()


async def _watch(session: Session, server_id: int, push: Push) -> None:
    drawn: Any = None
    while True:
        page, policy = await asyncio.gather(
            session.client.commands.page(server_id=server_id, limit=RECENT), policy_of(session, server_id)
        )
        now = ([(command.id, command.state) for command in page.items], policy)
        if drawn is not None and now[0] != drawn[0]:
            push(f"{RUNS}-refresh", data=str(now[0]))
        if drawn is not None and now[1] != drawn[1]:
            push("console-policy", children=policy_notice(policy))
            if session.may_act:
                push("console-allowed", data=policy)
                for part in ("console-line", "console-timeout", "console-folder", "console-run"):
                    push(part, disabled=policy == "off")
        drawn = now
        await asyncio.sleep(LOOK_EVERY_S)


def register(app: Dash, views: LiveViews) -> None:
    views.add("server-console", stream)
    run_output.register(app)
    command_form.register(app, "console")
    register_runs(app, RUNS)
    in_browser(
        app, "rememberQuery", Output("console-placed", "title"), Input("console-address", "data"), initially=False
    )

    @app.callback(
        Output("console-message", "children"),
        Output("live-view", "data", allow_duplicate=True),
        Output("console-line", "value"),
        Output("console-history", "data"),
        Output("console-address", "data"),
        Output(RUNS, "selectedRows"),
        Output("console-rest", "data"),
        Input("console-run", "n_clicks"),
        Input("console-line", "n_submit"),
        State("console-line", "value"),
        State("console-timeout", "value"),
        State("console-folder", "value"),
        State("console-history", "data"),
        State("server-id", "data"),
        running=[(Output("console-run", "loading"), True, False)],
        prevent_initial_call=True,
    )
    async def run(
        clicks: int | None, entered: int | None, text: str | None, timeout: Any, folder: str | None,
        history: list[str] | None, server_id: int | None,
    ) -> Any:  # fmt: skip
        if not (clicks or entered) or server_id is None:
            return (no_update,) * 7
        line = (text or "").strip()
        if not line:
            return notice("Type a command; nothing was run.", "warning"), *((no_update,) * 6)
        session = current_session()
        try:
            asked = RunCommandRequest(command=line, **read_options(timeout, folder))
            result = await session.client.commands.run(server_id, asked)
        except ValueError as error:
            return notice(str(error), "warning"), *((no_update,) * 6)
        except (ApiError, BackendUnreachableError) as error:
            return explain(error), *((no_update,) * 6)
        lines = remembered([], line) + [known for known in history or [] if known != line]
        return None, view_of(server_id, result.id), "", lines, address_of(server_id, result.id), [], ""

    @app.callback(
        Output("live-view", "data", allow_duplicate=True),
        Output("console-address", "data", allow_duplicate=True),
        Input(RUNS, "selectedRows"),
        State("server-id", "data"),
        State("live-view", "data"),
        prevent_initial_call=True,
    )
    def choose(rows: list[dict[str, Any]] | None, server_id: int, view: View | None) -> Any:
        if not rows or not isinstance(rows, list):
            return no_update, no_update
        command_id = int(rows[0]["id"])
        if view and view.get("command_id") == command_id:
            return no_update, no_update
        return {**(view or {}), **view_of(server_id, command_id)}, address_of(server_id, command_id)


def address_of(server_id: int, command_id: int) -> dict[str, str]:
    return {"place": f"/servers/{server_id}", "tab": "console", "run": str(command_id)}
