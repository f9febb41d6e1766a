"""Silences: who is not told of what, until when; the ways to make, change and end one."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any

import dash_mantine_components as dmc
from dash import ALL, Dash, Input, Output, State, ctx, dcc, html, no_update

from chatops_client import ApiError, BackendUnreachableError
from chatops_dashboards.components.alert_navigation import places
from chatops_dashboards.components.confirm import confirm_dialogue
from chatops_dashboards.components.icons import icon
from chatops_dashboards.components.states import empty, explain, notice
from chatops_dashboards.components.tables import data_table
from chatops_dashboards.live import LiveViews
from chatops_dashboards.moments import absolute, zone_named
from chatops_dashboards.page import Page, PageContext
from chatops_dashboards.pages.alerts import silence_form
from chatops_dashboards.session import Session, current_session, request_zone
from chatops_dashboards.settings import DashboardSettings
from chatops_protocol.alert_resources import Silence, StoredSilence


async def layout(context: PageContext) -> Any:
    session, may_act = context.session, context.session.may_act
    rules, servers = await asyncio.gather(session.client.alerts.thresholds(), session.client.servers())
    return html.Div(
        [
            dmc.Group(
                [
                    html.H1("Silences"),
                    dmc.Button("New silence", id="silences-add", leftSection=icon("plus", 16))
                    if may_act
                    else html.Span("Operators make silences.", className="dim small"),
                ],
                justify="space-between",
                className="page-head",
            ),
            places("/alerts/silences"),
            html.Div(id="silences-message", className="page-message"),
            html.Div(await silence_table(session, context.zone), id="silences-table"),
            silence_form.dialogue(
                {rule.id: rule.threshold.name for rule in rules},
                {server.id: server.name for server in servers},
                sorted({tag for server in servers for tag in server.tags}),
            )
            if may_act
            else None,
            confirm_dialogue("silences-ending", "End silence", "", "End now") if may_act else None,
            dcc.Store(id="silences-asked"),
            dcc.Store(id="live-view", data={"kind": "idle"}),
        ]
    )


async def silence_table(session: Session, zone: tzinfo) -> Any:
    silences, rules, servers = await asyncio.gather(
        session.client.alerts.silences(), session.client.alerts.thresholds(), session.client.servers()
    )
    return draw_silences(
        silences,
        {rule.id: rule.threshold.name for rule in rules},
        {server.id: server.name for server in servers},
        datetime.now(UTC),
        zone,
        may_act=session.may_act,
    )


def draw_silences(
    silences: Sequence[StoredSilence],
    rules: Mapping[int, str],
    servers: Mapping[int, str],
    now: datetime,
    zone: tzinfo,
    *,
    may_act: bool,
) -> Any:
    """Those that hold now first, then those to come, then those that are over."""
    if not silences:
        return empty("No silences", "Whoever a rule names is told of everything that fires.", picture="check")
    ordered = sorted(silences, key=lambda stored: (_rank(stored, now), -stored.id))
    table = data_table(
        [("What", False), ("When", False), ("State", False), ("By", False), ("", False)],
        [
            [
                html.Span(
                    [
                        html.Span(target_words(stored.silence, rules, servers), className="strong breakable"),
                        html.Span(stored.silence.comment, className="dim small breakable"),
                    ],
                    className="alert-what",
                ),
                when_words(stored.silence, zone),
                ("Holds now", "To come", "Ended")[_rank(stored, now)],
                html.Span(stored.created_by, className="breakable"),
                _buttons(stored, ended=_rank(stored, now) == 2) if may_act else None,
            ]
            for stored in ordered
        ],
        caption="Silences",
        hide_on_phone=(3,),
        stacked=True,
    )
    return html.Div(table, className="panel flush")


def _buttons(stored: StoredSilence, *, ended: bool) -> html.Div:
    acts = [("edit", "Change…")] if not ended else []
    recurring = stored.silence.recurrence != "none"
    acts.append(("end", "End now…" if stored.active and not recurring else "Delete…"))
    return html.Div(
        [
            dmc.Button(
                word,
                id={"type": f"silence-{act}", "silence": stored.id},
                size="compact-xs",
                variant="default",
            )
            for act, word in acts
        ],
        className="row-buttons",
    )


def _rank(stored: StoredSilence, now: datetime) -> int:
    if stored.active:
        return 0
    return 1 if stored.silence.recurrence != "none" or stored.silence.starts_at > now else 2


def target_words(silence: Silence, rules: Mapping[int, str], servers: Mapping[int, str]) -> str:
    parts = []
    if silence.threshold_id is not None:
        parts.append(f"“{rules.get(silence.threshold_id, f'rule {silence.threshold_id}')}”")
    if silence.server_id is not None:
        parts.append(f"on {servers.get(silence.server_id, f'server {silence.server_id}')}")
    if silence.tag is not None:
        parts.append(f"on servers tagged {silence.tag}")
    text = " ".join(parts)
    return text if silence.threshold_id is not None else f"Everything {text}"


def when_words(silence: Silence, zone: tzinfo) -> str:
    """A recurring one in the clock it repeats by."""
    if silence.recurrence == "none":
        return f"{absolute(silence.starts_at, zone)[:16]} to {absolute(silence.ends_at, zone)[:16]}"
    own = zone_named(silence.timezone)
    start, end = silence.starts_at.astimezone(own), silence.ends_at.astimezone(own)
    if silence.recurrence == "daily":
        return f"every day {start:%H:%M} to {end:%H:%M} ({silence.timezone})"
    return f"every week {start:%a %H:%M} to {end:%a %H:%M} ({silence.timezone})"


def ending_words(stored: StoredSilence, what: str) -> str:
    """What the dialogue says will happen."""
    if stored.silence.recurrence != "none":
        return f"This deletes the silence of {what} with all its repetitions. Alerts that still fire are told of now."
    if stored.active:
        return f"This ends the silence of {what}. Alerts that still fire are told of now."
    return f"This deletes the silence of {what}; it does not hold now."


def register(app: Dash, views: LiveViews, settings: DashboardSettings) -> None:
    silence_form.register(app, silence_table)

    @app.callback(
        Output("silences-ending", "opened"),
        Output("silences-ending-consequence", "children"),
        Output("silences-ending-confirm", "children"),
        Output("silences-ending-message", "children"),
        Output("silences-asked", "data"),
        Output("silences-message", "children", allow_duplicate=True),
        Input({"type": "silence-end", "silence": ALL}, "n_clicks"),
        Input("silences-ending-cancel", "n_clicks"),
        prevent_initial_call=True,
    )
    async def ask(_clicks: list[int | None], _cancel: int | None) -> Any:
        asked = ctx.triggered_id
        if not ctx.triggered or not ctx.triggered[0]["value"]:
            return (no_update,) * 6
        if not isinstance(asked, dict):
            return False, *((no_update,) * 5)
        alerts = current_session().client.alerts
        try:
            silences, rules, servers = await asyncio.gather(
                alerts.silences(), alerts.thresholds(), current_session().client.servers()
            )
        except (ApiError, BackendUnreachableError) as error:
            return *((no_update,) * 5), explain(error)
        stored = next((stored for stored in silences if stored.id == asked["silence"]), None)
        if stored is None:
            return *((no_update,) * 5), notice("This silence is gone.", "warning")
        what = target_words(stored.silence, {r.id: r.threshold.name for r in rules}, {s.id: s.name for s in servers})
        verb = "End now" if stored.active and stored.silence.recurrence == "none" else "Delete"
        return True, ending_words(stored, what[:1].lower() + what[1:]), verb, None, stored.id, None

    @app.callback(
        Output("silences-table", "children", allow_duplicate=True),
        Output("silences-ending", "opened", allow_duplicate=True),
        Output("silences-ending-message", "children", allow_duplicate=True),
        Output("silences-message", "children", allow_duplicate=True),
        Input("silences-ending-confirm", "n_clicks"),
        State("silences-asked", "data"),
        running=[(Output("silences-ending-confirm", "loading"), True, False)],
        prevent_initial_call=True,
    )
    async def end(clicks: int | None, silence_id: int | None) -> Any:
        if not clicks or silence_id is None:
            return (no_update,) * 4
        session = current_session()
        try:
            await session.client.alerts.delete_silence(int(silence_id))
            table = await silence_table(session, request_zone())
        except (ApiError, BackendUnreachableError) as error:
            return no_update, no_update, explain(error), no_update
        return table, False, None, notice("The silence is gone.")


PAGE = Page(
    name="silences",
    title="Silences",
    pattern=re.compile(r"^/alerts/silences/?$"),
    layout=layout,
    register=register,
)
