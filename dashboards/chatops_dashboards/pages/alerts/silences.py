"""Silences: who is not told of what, until when; make one, once or every day or week; end one now."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

import dash_mantine_components as dmc
from dash import ALL, Dash, Input, Output, State, ctx, dcc, html, no_update

from chatops_client import ApiError, BackendUnreachableError
from chatops_dashboards.components.alert_navigation import places
from chatops_dashboards.components.icons import icon
from chatops_dashboards.components.states import empty, explain, notice
from chatops_dashboards.components.tables import data_table
from chatops_dashboards.live import LiveViews
from chatops_dashboards.moments import absolute, from_axis, zone_label, zone_named
from chatops_dashboards.page import Page, PageContext
from chatops_dashboards.session import Session, current_session, request_zone
from chatops_dashboards.settings import DashboardSettings
from chatops_protocol.alert_resources import Silence, StoredSilence

RECURRENCES = {"none": "Once", "daily": "Every day", "weekly": "Every week"}


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
            _dialogue(
                {rule.id: rule.threshold.name for rule in rules},
                {server.id: server.name for server in servers},
                sorted({tag for server in servers for tag in server.tags}),
                context.zone,
            )
            if may_act
            else None,
            dcc.Store(id="live-view", data={"kind": "idle"}),
        ]
    )


def _dialogue(rules: Mapping[int, str], servers: Mapping[int, str], tags: Sequence[str], zone: tzinfo) -> dmc.Modal:
    def choices(names: Mapping[int, str]) -> list[dict[str, str]]:
        return [{"value": str(key), "label": name} for key, name in names.items()]

    def moment(name: str, label: str) -> dmc.DateTimePicker:
        return dmc.DateTimePicker(
            id=f"silences-{name}", label=label, valueFormat="YYYY-MM-DD HH:mm", withSeconds=False, clearable=False
        )

    anything = {"placeholder": "any", "clearable": True, "searchable": True}
    return dmc.Modal(
        id="silences-dialogue",
        title="New silence",
        children=dmc.Stack(
            [
                html.P("An alert is silenced when it matches everything that is named here.", className="dim tight"),
                dmc.Select(id="silences-rule", label="Rule", data=choices(rules), **anything),
                dmc.Select(id="silences-server", label="Server", data=choices(servers), **anything),
                dmc.Select(id="silences-tag", label="Servers with the tag", data=list(tags), **anything),
                dmc.SimpleGrid([moment("start", "From"), moment("end", "To")], cols={"base": 1, "xs": 2}),
                html.Span(f"Times in {zone_label(zone, datetime.now(UTC))}", className="dim small"),
                dmc.Select(
                    id="silences-recurrence",
                    label="Repeated",
                    value="none",
                    allowDeselect=False,
                    data=[{"value": key, "label": word} for key, word in RECURRENCES.items()],
                ),
                dmc.TextInput(id="silences-comment", label="Comment"),
                html.Div(id="silences-error"),
                dmc.Group([dmc.Button("Silence", id="silences-submit")], justify="flex-end"),
            ]
        ),
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
                ("Holds now", "To come", "Over")[_rank(stored, now)],
                html.Span(stored.created_by, className="breakable"),
                dmc.Button(
                    "Remove" if _rank(stored, now) == 2 else "End now",
                    id={"type": "silence-end", "silence": stored.id},
                    size="compact-xs",
                    variant="default",
                )
                if may_act
                else None,
            ]
            for stored in ordered
        ],
        caption="Silences",
        hide_on_phone=(3,),
    )
    return html.Div(table, className="panel flush")


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


def silence_from(form: Mapping[str, Any], zone: tzinfo) -> Silence:
    """The silence of a filled form. Raises `ValueError` with what to correct."""
    if not any(form.get(name) for name in ("rule", "server", "tag")):
        raise ValueError("Name a rule, a server or a tag; a silence of nothing silences nothing.")
    try:
        start, end = from_axis(form.get("start") or "", zone), from_axis(form.get("end") or "", zone)
    except ValueError:
        raise ValueError("Say from when to when.") from None
    return Silence(
        comment=form.get("comment") or "",
        threshold_id=int(form["rule"]) if form.get("rule") else None,
        server_id=int(form["server"]) if form.get("server") else None,
        tag=form.get("tag") or None,
        starts_at=start,
        ends_at=end,
        recurrence=form.get("recurrence") or "none",
        timezone=getattr(zone, "key", "UTC"),
    )


def register(app: Dash, views: LiveViews, settings: DashboardSettings) -> None:
    @app.callback(
        Output("silences-dialogue", "opened"),
        Output("silences-start", "value"),
        Output("silences-end", "value"),
        Output("silences-error", "children"),
        Input("silences-add", "n_clicks"),
        prevent_initial_call=True,
    )
    def open_dialogue(clicks: int | None) -> Any:
        if not clicks:
            return no_update, no_update, no_update, no_update
        now = datetime.now(UTC).astimezone(request_zone()).replace(second=0)
        text = "%Y-%m-%d %H:%M:%S"
        return True, now.strftime(text), (now + timedelta(hours=1)).strftime(text), None

    @app.callback(
        Output("silences-table", "children"),
        Output("silences-dialogue", "opened", allow_duplicate=True),
        Output("silences-error", "children", allow_duplicate=True),
        Output("silences-message", "children"),
        Input("silences-submit", "n_clicks"),
        State("silences-rule", "value"),
        State("silences-server", "value"),
        State("silences-tag", "value"),
        State("silences-start", "value"),
        State("silences-end", "value"),
        State("silences-recurrence", "value"),
        State("silences-comment", "value"),
        running=[(Output("silences-submit", "loading"), True, False)],
        prevent_initial_call=True,
    )
    async def add(clicks: int | None, *values: Any) -> Any:
        if not clicks:
            return no_update, no_update, no_update, no_update
        names = ("rule", "server", "tag", "start", "end", "recurrence", "comment")
        session, zone = current_session(), request_zone()
        try:
            await session.client.alerts.create_silence(silence_from(dict(zip(names, values, strict=True)), zone))
            table = await silence_table(session, zone)
        except ValueError as error:
            return no_update, no_update, notice(str(error), "critical"), no_update
        except (ApiError, BackendUnreachableError) as error:
            return no_update, no_update, explain(error), no_update
        return table, False, None, notice("Silenced. Alerts are still watched and shown.")

    @app.callback(
        Output("silences-table", "children", allow_duplicate=True),
        Output("silences-message", "children", allow_duplicate=True),
        Input({"type": "silence-end", "silence": ALL}, "n_clicks"),
        prevent_initial_call=True,
    )
    async def end(_clicks: list[int | None]) -> Any:
        asked = ctx.triggered_id
        if not isinstance(asked, dict) or not ctx.triggered or not ctx.triggered[0]["value"]:
            return no_update, no_update
        session = current_session()
        try:
            await session.client.alerts.delete_silence(int(asked["silence"]))
            table = await silence_table(session, request_zone())
        except (ApiError, BackendUnreachableError) as error:
            return no_update, explain(error)
        return table, notice("The silence is over. Alerts that still fire are told of now.")


PAGE = Page(
    name="silences",
    title="Silences",
    pattern=re.compile(r"^/alerts/silences/?$"),
    layout=layout,
    register=register,
)
