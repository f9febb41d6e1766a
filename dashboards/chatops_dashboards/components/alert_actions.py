"""Acknowledge, silence and resolve an alert: one dialogue for all three, which says what it will do to what."""

from datetime import UTC, datetime, timedelta
from typing import Any

import dash_mantine_components as dmc
from dash import ALL, Dash, Input, Output, State, ctx, dcc, html, no_update

from chatops_client import ApiError, BackendUnreachableError
from chatops_dashboards.alert_hub import alert_hub
from chatops_dashboards.components.attributes import dashed
from chatops_dashboards.components.states import explain, notice
from chatops_dashboards.quantities import parse_duration, write_duration
from chatops_dashboards.session import Session, current_session
from chatops_protocol.alert_resources import Alert, Silence

TITLES = {"acknowledge": "Acknowledge", "silence": "Silence", "resolve": "Resolve"}
LENGTHS = {"3600": "1 h", "14400": "4 h", "86400": "1 d", "custom": "Other"}
HIDDEN = {"display": "none"}
LONGEST_SILENCE_S = 365 * 86400


def dialogue() -> html.Div:
    """Once on each page that has buttons of `row_actions`; what was done appears in ``alert-action-message``."""
    return html.Div(
        [
            dcc.Store(id="alert-asked"),
            dmc.Modal(
                id="alert-dialogue",
                title="",
                children=dmc.Stack(
                    [
                        html.Div(id="alert-dialogue-words"),
                        html.Div(_silence_choices(), id="alert-silence-box", style=HIDDEN),
                        dmc.Textarea(
                            id="alert-comment",
                            label="Comment",
                            description="Others see it beside your name",
                            autosize=True,
                            minRows=2,
                            **dashed(data_autofocus=True),
                        ),
                        html.Div(id="alert-dialogue-error"),
                        dmc.Group(
                            [
                                dmc.Button("Cancel", id="alert-dialogue-cancel", variant="default"),
                                dmc.Button("Do it", id="alert-dialogue-confirm"),
                            ],
                            justify="flex-end",
                        ),
                    ]
                ),
            ),
        ]
    )


def _silence_choices() -> dmc.Stack:
    return dmc.Stack(
        [
            dmc.Select(
                id="alert-silence-scope",
                label="What",
                value="both",
                allowDeselect=False,
                data=[
                    {"value": "both", "label": "This rule on this server"},
                    {"value": "server", "label": "Everything of this server (maintenance)"},
                    {"value": "rule", "label": "This rule on all servers"},
                ],
            ),
            dmc.SegmentedControl(
                id="alert-silence-length",
                value="3600",
                fullWidth=True,
                data=[{"value": key, "label": word} for key, word in LENGTHS.items()],
                **dashed(aria_label="For how long"),
            ),
            html.Div(
                dmc.TextInput(id="alert-silence-custom", label="For how long", placeholder="2 h 30 min"),
                id="alert-silence-custom-box",
                style=HIDDEN,
            ),
        ]
    )


def words(action: str, alert: Alert) -> str:
    what = f"“{alert.threshold_name}” on {alert.server_name}"
    if action == "acknowledge":
        return f"Says that you look after {what}: no more reminders and no escalation. It stays open until it is over."
    if action == "silence":
        return f"Notifies nobody of {what} for a while. It is still watched and shown."
    return f"Ends {what} now. If its condition still holds, a new alert follows: a silence is what keeps it quiet."


def silence_of(alert: Alert, scope: str, seconds: float, comment: str, now: datetime) -> Silence:
    return Silence(
        comment=comment,
        threshold_id=None if scope == "server" else alert.threshold_id,
        server_id=None if scope == "rule" else alert.server_id,
        starts_at=now,
        ends_at=now + timedelta(seconds=seconds),
    )


async def carry_out(
    session: Session, action: str, alert_id: int, comment: str, scope: str, length: str, custom: str, now: datetime
) -> str:
    """Do it and return what was done. Raises `ValueError` for a duration that is none."""
    if action == "acknowledge":
        alert = (await session.client.alerts.acknowledge(alert_id, comment)).alert
        return f"You look after “{alert.threshold_name}” on {alert.server_name} now."
    if action == "resolve":
        alert = (await session.client.alerts.resolve(alert_id, comment)).alert
        return f"“{alert.threshold_name}” on {alert.server_name} is resolved."
    seconds = parse_duration(custom) if length == "custom" else float(length)
    if not 60 <= seconds <= LONGEST_SILENCE_S:
        raise ValueError("A silence lasts at least a minute and at most a year.")
    alert = await find(session, alert_id)
    await session.client.alerts.create_silence(silence_of(alert, scope, seconds, comment, now))
    what = alert.server_name if scope == "server" else f"“{alert.threshold_name}”"
    return f"Silenced {what} for {write_duration(seconds)}. The silences page can end it early."


async def find(session: Session, alert_id: int) -> Alert:
    known = alert_hub(session).open.get(alert_id)
    return known or (await session.client.alerts.get(alert_id)).alert


def register(app: Dash) -> None:
    @app.callback(
        Output("alert-dialogue", "opened"),
        Output("alert-dialogue", "title"),
        Output("alert-dialogue-words", "children"),
        Output("alert-silence-box", "style"),
        Output("alert-dialogue-confirm", "children"),
        Output("alert-asked", "data"),
        Output("alert-comment", "value"),
        Output("alert-dialogue-error", "children"),
        Input({"type": "alert-action", "action": ALL, "alert": ALL}, "n_clicks"),
        prevent_initial_call=True,
    )
    async def ask(_clicks: list[int | None]) -> Any:
        asked = ctx.triggered_id
        if not isinstance(asked, dict) or not ctx.triggered or not ctx.triggered[0]["value"]:
            return (no_update,) * 8
        action = str(asked["action"])
        try:
            text: Any = words(action, await find(current_session(), int(asked["alert"])))
        except (ApiError, BackendUnreachableError) as error:
            text = explain(error)
        silencing = {} if action == "silence" else HIDDEN
        return True, TITLES.get(action, ""), text, silencing, TITLES.get(action, ""), dict(asked), "", None

    @app.callback(
        Output("alert-dialogue", "opened", allow_duplicate=True),
        Input("alert-dialogue-cancel", "n_clicks"),
        prevent_initial_call=True,
    )
    def cancel(clicks: int | None) -> Any:
        return False if clicks else no_update

    @app.callback(
        Output("alert-silence-custom-box", "style"),
        Input("alert-silence-length", "value"),
        prevent_initial_call=True,
    )
    def show_custom(length: str) -> Any:
        return {} if length == "custom" else HIDDEN

    @app.callback(
        Output("alert-dialogue", "opened", allow_duplicate=True),
        Output("alert-dialogue-error", "children", allow_duplicate=True),
        Output("alert-action-message", "children"),
        Input("alert-dialogue-confirm", "n_clicks"),
        State("alert-asked", "data"),
        State("alert-comment", "value"),
        State("alert-silence-scope", "value"),
        State("alert-silence-length", "value"),
        State("alert-silence-custom", "value"),
        running=[(Output("alert-dialogue-confirm", "loading"), True, False)],
        prevent_initial_call=True,
    )
    async def confirm(
        clicks: int | None, asked: dict[str, Any] | None, comment: str | None, scope: str, length: str, custom: Any
    ) -> Any:
        if not clicks or not asked:
            return no_update, no_update, no_update
        now = datetime.now(UTC)
        try:
            done = await carry_out(
                current_session(),
                str(asked["action"]),
                int(asked["alert"]),
                comment or "",
                scope,
                length,
                custom or "",
                now,
            )
        except ValueError as error:
            return no_update, notice(str(error), "critical"), no_update
        except (ApiError, BackendUnreachableError) as error:
            return no_update, explain(error), no_update
        return False, None, notice(done)
