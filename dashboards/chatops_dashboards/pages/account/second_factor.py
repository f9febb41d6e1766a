"""The second factor of one's own account: set up with a picture made here, confirm, recovery codes once, switch off."""

from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any

import dash_mantine_components as dmc
import segno
from dash import Dash, Input, Output, State, html, no_update

from chatops_client import ApiError, BackendUnreachableError
from chatops_dashboards.components.attributes import dashed
from chatops_dashboards.components.copyable import copyable
from chatops_dashboards.components.states import explain, notice
from chatops_dashboards.components.status import moment_text
from chatops_dashboards.pages.account import sessions
from chatops_dashboards.session import current_session, request_zone
from chatops_protocol.resources import SecondFactorEnrolment, SecondFactorState

FEW_CODES = 3


def section(state: SecondFactorState, now: datetime, zone: tzinfo) -> html.Section:
    return html.Section(
        [
            html.H2("Second factor"),
            html.Div(panel(state, now, zone), id="factor-panel", className="stack tight"),
            html.Div(id="factor-message"),
        ],
        className="panel form",
    )


def panel(state: SecondFactorState, now: datetime, zone: tzinfo) -> Any:
    """How it stands, and what can be done about it."""
    return switched_on(state, now, zone) if state.enabled else switched_off(state)


def switched_off(state: SecondFactorState) -> list[Any]:
    needed = [notice("Shell commands want one here: set it up to run them.", "warning")]
    return [
        html.P(
            "Off. With it a log-in also takes a code that changes every half a minute, from an app on your telephone "
            "(any that knows TOTP). Whoever learns your password alone does not get in.",
            className="tight",
        ),
        *(needed if state.needed_for_shell else []),
        html.Div(
            [
                dmc.PasswordInput(id="factor-password", label="Your password", className="grow"),
                dmc.Button("Set up", id="factor-enrol"),
            ],
            className="toolbar",
        ),
    ]


def switched_on(state: SecondFactorState, now: datetime, zone: tzinfo) -> list[Any]:
    left = state.recovery_codes_left
    few = notice("Hardly any recovery codes are left: make new ones.", "warning") if left < FEW_CODES else None
    return [
        html.P(
            [
                html.Span("On", className="strong"),
                ", set up ",
                moment_text(state.confirmed_at, now, zone),
                f". {left} recovery code{'s are' if left != 1 else ' is'} left, for when the telephone is not at hand.",
            ],
            className="tight",
        ),
        few,
        html.P(
            "Both of these take a code that your app shows now, or a recovery code. New recovery codes replace the old "
            "ones. Switched off, your password alone lets you in.",
            className="dim small tight",
        ),
        html.Div(
            [
                _code_input(),
                dmc.Button("New recovery codes", id="factor-renew", variant="default"),
                dmc.Button("Switch off", id="factor-disable", variant="default", color="red"),
            ],
            className="toolbar",
        ),
    ]


def enrolling(enrolled: SecondFactorEnrolment) -> list[Any]:
    """The secret at its only appearance."""
    return [
        html.P("1. Scan this with your app, or type the secret into it.", className="tight"),
        html.Div(
            [
                html.Img(
                    src=picture(enrolled.otpauth_uri),
                    alt="QR code of the secret",
                    width=196,
                    height=196,
                    className="qr",
                ),
                html.Div(
                    [
                        copyable(enrolled.secret, "factor-secret", "the secret"),
                        html.A("Open it in an app on this device", href=enrolled.otpauth_uri, className="small"),
                    ],
                    className="stack tight grow",
                ),
            ],
            className="enrolment",
        ),
        html.P("2. Type the six digits that the app shows. Your other sessions end then.", className="tight"),
        html.Div(
            [
                _code_input(),
                dmc.Button("Switch on", id="factor-confirm"),
                dmc.Button("Cancel", id="factor-cancel", variant="default"),
            ],
            className="toolbar",
        ),
    ]


def _code_input() -> dmc.TextInput:
    return dmc.TextInput(
        id="factor-code", label="Code", autoComplete="one-time-code", w=180, **dashed(data_autofocus=True)
    )


def recovery_codes(codes: Sequence[str]) -> list[Any]:
    """At their only appearance."""
    return [
        html.P("Recovery codes: each lets you in once, when the telephone is lost or not at hand.", className="tight"),
        copyable("\n".join(codes), "factor-recovery", "the recovery codes"),
        notice(
            "They are shown only now. Keep them where you keep passwords, and not on the same telephone.", "warning"
        ),
        html.Div(dmc.Button("I have kept them", id="factor-kept", variant="default")),
    ]


def picture(address: str) -> str:
    """A QR code as a data address: dark on white in every theme, since not all apps read it the other way round."""
    return segno.make(address, error="m").svg_data_uri(scale=4, border=4, dark="#000", light="#fff")


def _code(text: str | None) -> str:
    # People type the space that apps show in the middle.
    return (text or "").replace(" ", "")


NO_CODE = notice("Type a code first.", "critical")


def register(app: Dash) -> None:
    panel_and_message = (
        Output("factor-panel", "children", allow_duplicate=True),
        Output("factor-message", "children", allow_duplicate=True),
    )

    async def as_it_stands() -> Any:
        return panel(await current_session().client.account.second_factor(), datetime.now(UTC), request_zone())

    @app.callback(
        *panel_and_message,
        Input("factor-enrol", "n_clicks"),
        Input("factor-password", "n_submit"),
        State("factor-password", "value"),
        running=[(Output("factor-enrol", "loading"), True, False)],
        prevent_initial_call=True,
    )
    async def enrol(clicks: int | None, submits: int | None, password: str | None) -> Any:
        if not clicks and not submits:
            return no_update, no_update
        try:
            return enrolling(await current_session().client.account.enrol(password or "")), None
        except (ApiError, BackendUnreachableError) as error:
            return no_update, explain(error)

    @app.callback(
        *panel_and_message,
        Output("sessions-table", "children", allow_duplicate=True),
        Input("factor-confirm", "n_clicks"),
        State("factor-code", "value"),
        running=[(Output("factor-confirm", "loading"), True, False)],
        prevent_initial_call=True,
    )
    async def confirm(clicks: int | None, code: str | None) -> Any:
        if not clicks:
            return no_update, no_update, no_update
        if not _code(code):
            return no_update, NO_CODE, no_update
        account = current_session().client.account
        try:
            codes = await account.confirm(_code(code))
        except (ApiError, BackendUnreachableError) as error:
            return no_update, explain(error), no_update
        try:
            left = sessions.table(await account.sessions(), datetime.now(UTC), request_zone())
        except (ApiError, BackendUnreachableError):
            # The codes are shown this once, whatever else fails.
            left = no_update
        return recovery_codes(codes), notice("The second factor is on. Your other sessions have ended."), left

    @app.callback(
        *panel_and_message,
        Input("factor-renew", "n_clicks"),
        State("factor-code", "value"),
        running=[(Output("factor-renew", "loading"), True, False)],
        prevent_initial_call=True,
    )
    async def renew(clicks: int | None, code: str | None) -> Any:
        if not clicks:
            return no_update, no_update
        if not _code(code):
            return no_update, NO_CODE
        try:
            codes = await current_session().client.account.renew_recovery_codes(_code(code))
        except (ApiError, BackendUnreachableError) as error:
            return no_update, explain(error)
        return recovery_codes(codes), notice("The old recovery codes are good no more.")

    @app.callback(
        *panel_and_message,
        Input("factor-disable", "n_clicks"),
        State("factor-code", "value"),
        running=[(Output("factor-disable", "loading"), True, False)],
        prevent_initial_call=True,
    )
    async def disable(clicks: int | None, code: str | None) -> Any:
        if not clicks:
            return no_update, no_update
        if not _code(code):
            return no_update, NO_CODE
        try:
            await current_session().client.account.disable(_code(code))
            return await as_it_stands(), notice("The second factor is off.")
        except (ApiError, BackendUnreachableError) as error:
            return no_update, explain(error)

    @app.callback(
        *panel_and_message,
        Input("factor-kept", "n_clicks", allow_optional=True),
        Input("factor-cancel", "n_clicks", allow_optional=True),
        prevent_initial_call=True,
    )
    async def leave(kept: int | None, cancelled: int | None) -> Any:
        if not kept and not cancelled:
            return no_update, no_update
        try:
            return await as_it_stands(), None
        except (ApiError, BackendUnreachableError) as error:
            return no_update, explain(error)
