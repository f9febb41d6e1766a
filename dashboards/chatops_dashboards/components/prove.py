"""Shows the backend a code of one's second factor, for acts that want a recent one. Once in the shell, for all pages;
a notice of `states.explain` opens it."""

from typing import Any

import dash_mantine_components as dmc
from dash import ALL, Dash, Input, Output, State, ctx, html, no_update

from chatops_client import ApiError, BackendUnreachableError
from chatops_dashboards.components.attributes import dashed
from chatops_dashboards.components.states import notice
from chatops_dashboards.session import Session, current_session


def dialogue() -> dmc.Modal:
    return dmc.Modal(
        id="prove",
        title="Show a code",
        children=dmc.Stack(
            [
                dmc.TextInput(
                    id="prove-code",
                    label="Code",
                    description="The six digits that your app shows now, or one of your recovery codes",
                    autoComplete="one-time-code",
                    **dashed(data_autofocus=True),
                ),
                html.Div(id="prove-message"),
                dmc.Group([dmc.Button("Show it", id="prove-submit")], justify="flex-end"),
            ]
        ),
    )


async def prove(session: Session, code: str) -> tuple[bool, str]:
    """Whether it was good, and what to tell."""
    if not code:
        return False, "Type the code that your app shows."
    try:
        await session.client.account.prove(code)
    except ApiError as error:
        return False, error.detail
    except BackendUnreachableError:
        return False, "The backend does not answer; try again."
    return True, "The code is good for five minutes. Close this and do what you wanted to do again."


def register(app: Dash) -> None:
    @app.callback(
        Output("prove", "opened"),
        Output("prove-message", "children"),
        Output("prove-code", "value"),
        Input({"type": "prove-ask", "number": ALL}, "n_clicks"),
        prevent_initial_call=True,
    )
    def open_dialogue(_clicks: list[int | None]) -> Any:
        if not ctx.triggered or not ctx.triggered[0]["value"]:
            return no_update, no_update, no_update
        return True, None, ""

    @app.callback(
        Output("prove-message", "children", allow_duplicate=True),
        Output("prove-code", "value", allow_duplicate=True),
        Input("prove-submit", "n_clicks"),
        Input("prove-code", "n_submit"),
        State("prove-code", "value"),
        running=[(Output("prove-submit", "loading"), True, False)],
        prevent_initial_call=True,
    )
    async def submit(clicks: int | None, submits: int | None, code: str | None) -> Any:
        if not clicks and not submits:
            return no_update, no_update
        good, words = await prove(current_session(), (code or "").replace(" ", ""))
        return notice(words, "info" if good else "critical"), "" if good else no_update
