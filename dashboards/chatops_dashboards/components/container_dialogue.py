"""Start, stop and the like: the buttons of the chosen container, a dialogue that says what will be done to what and
where, and what came of it. The host decides; here nothing is checked but who is offered what."""

from typing import Any, get_args

import dash_mantine_components as dmc
from dash import ALL, Dash, Input, Output, State, ctx, dcc, html, no_update

from chatops_client import ApiError, BackendUnreachableError
from chatops_dashboards.command_words import STATE_WORDS
from chatops_dashboards.components.attributes import dashed
from chatops_dashboards.components.states import explain, notice
from chatops_dashboards.container_words import GRACE_S, VERB_WORDS, consequence, verbs_for
from chatops_dashboards.session import current_session
from chatops_protocol.command_resources import CommandResult
from chatops_protocol.container_messages import ContainerEntry, ContainerVerb

DIALOGUE = "container-dialogue"
# The button that is pressed again when an end looks like its beginning.
_DANGEROUS = ("stop", "restart", "kill", "pause")


def act_buttons(entry: ContainerEntry) -> html.Div:
    """What can be done to it in its state."""
    return html.Div(
        [
            dmc.Button(
                VERB_WORDS[verb],
                id={"type": "container-act", "verb": verb, "container": entry.id, "name": entry.name},
                size="compact-sm",
                variant="light" if verb == "kill" else "default",
                color="red" if verb == "kill" else None,
                **dashed(aria_label=f"{VERB_WORDS[verb]} {entry.name}…"),
            )
            for verb in verbs_for(entry.state)
        ],
        className="container-acts",
    )


def dialogue(server_name: str) -> html.Div:
    """Once on the page; what was done appears in ``container-message``."""
    return html.Div(
        [
            dcc.Store(id="container-server", data=server_name),
            dcc.Store(id="container-asked"),
            dmc.Modal(
                id=DIALOGUE,
                title="",
                children=dmc.Stack(
                    [
                        html.Div(id=f"{DIALOGUE}-words"),
                        html.Div(id=f"{DIALOGUE}-message"),
                        dmc.Group(
                            [
                                dmc.Button(
                                    "Cancel", id=f"{DIALOGUE}-cancel", variant="default", **dashed(data_autofocus=True)
                                ),
                                dmc.Button("Do it", id=f"{DIALOGUE}-confirm"),
                            ],
                            justify="flex-end",
                        ),
                    ]
                ),
            ),
        ]
    )


def dialogue_words(verb: ContainerVerb, name: str, container_id: str, server_name: str) -> list[Any]:
    """What will be done to which container on which host."""
    return [
        html.P(
            [
                f"{VERB_WORDS[verb]} the container ",
                html.B(name, className="breakable"),
                " (",
                html.Code(container_id[:12]),
                ") on the host ",
                html.B(server_name, className="breakable"),
                ".",
            ],
            className="tight",
        ),
        html.P(consequence(verb), className="tight"),
    ]


def outcome(verb: ContainerVerb, name: str, server_name: str, result: CommandResult) -> html.Div:
    """What came of it, in the host's own words where it gave any."""
    if result.state == "ok":
        return notice([html.B("Done: "), f"{result.detail or f'{verb} {name}'}, on {server_name}."])
    if result.finished_at is None:
        still = f"{VERB_WORDS[verb]} {name}: it is not done yet; the table shows when it is."
        return notice(still, "warning")
    why = result.detail or STATE_WORDS[result.state]
    return notice([html.B(f"Not done: {verb} {name} on {server_name}. "), why], "critical")


def register(app: Dash) -> None:
    @app.callback(
        Output(DIALOGUE, "opened"),
        Output(DIALOGUE, "title"),
        Output(f"{DIALOGUE}-words", "children"),
        Output(f"{DIALOGUE}-message", "children"),
        Output(f"{DIALOGUE}-confirm", "children"),
        Output(f"{DIALOGUE}-confirm", "color"),
        Output("container-asked", "data"),
        Input({"type": "container-act", "verb": ALL, "container": ALL, "name": ALL}, "n_clicks"),
        Input(f"{DIALOGUE}-cancel", "n_clicks"),
        State("container-server", "data"),
        prevent_initial_call=True,
    )
    def ask(clicks: list[int | None], cancelled: int | None, server_name: str) -> Any:
        asked: Any = ctx.triggered_id
        if asked == f"{DIALOGUE}-cancel":
            return (False if cancelled else no_update), *((no_update,) * 6)
        # Buttons that have just been drawn tell their missing clicks too.
        if not isinstance(asked, dict) or not any(one["value"] for one in ctx.triggered):
            return (no_update,) * 7
        verb, name, container_id = asked["verb"], str(asked["name"]), str(asked["container"])
        return (
            True,
            f"{VERB_WORDS[verb]} a container",
            dialogue_words(verb, name, container_id, server_name),
            None,
            VERB_WORDS[verb],
            "red" if verb in _DANGEROUS else "blue",
            {"verb": verb, "container": container_id, "name": name},
        )

    @app.callback(
        Output(DIALOGUE, "opened", allow_duplicate=True),
        Output(f"{DIALOGUE}-message", "children", allow_duplicate=True),
        Output("container-message", "children"),
        Input(f"{DIALOGUE}-confirm", "n_clicks"),
        State("container-asked", "data"),
        State("container-server", "data"),
        State("server-id", "data"),
        running=[
            (Output(f"{DIALOGUE}-confirm", "loading"), True, False),
            (Output(f"{DIALOGUE}-cancel", "children"), "Close; it goes on", "Cancel"),
        ],
        prevent_initial_call=True,
    )
    async def act(clicks: int | None, asked: dict[str, str] | None, server_name: str, server_id: int) -> Any:
        if not clicks or not asked or asked["verb"] not in get_args(ContainerVerb):
            return (no_update,) * 3
        verb: Any = asked["verb"]
        try:
            containers = current_session().client.containers
            result = await containers.act(int(server_id), asked["container"], verb, GRACE_S)
        except (ApiError, BackendUnreachableError) as error:
            return no_update, explain(error), no_update
        return False, None, outcome(verb, asked["name"], server_name, result)
