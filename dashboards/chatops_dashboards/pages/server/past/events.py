"""What fired and what ran at a moment: two short lists for the tabs of the past."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta, tzinfo
from typing import Any

from dash import dcc, html

from chatops_client import ApiError, BackendUnreachableError
from chatops_dashboards.alert_words import alert_value, labels_text
from chatops_dashboards.command_words import STATE_MARKS, STATE_WORDS, duration_text
from chatops_dashboards.components.alert_status import level_badge
from chatops_dashboards.components.attributes import dashed
from chatops_dashboards.components.states import failure
from chatops_dashboards.components.tables import data_table
from chatops_dashboards.moments import since_text
from chatops_dashboards.pages.server.past.moment import write
from chatops_dashboards.session import Session
from chatops_dashboards.units import format_duration
from chatops_protocol.alert_resources import Alert
from chatops_protocol.command_resources import Command

ONE_SECOND = timedelta(seconds=1)
# Most commands are over in less than a slider's step: those nearby are listed too.
NEARBY = timedelta(minutes=5)
MOST = 50


async def event_panels(session: Session, server_id: int, moment: datetime, now: datetime, zone: tzinfo) -> list[Any]:
    return list(
        await asyncio.gather(
            firing_panel(session, server_id, moment, zone), commands_panel(session, server_id, moment, now, zone)
        )
    )


async def firing_panel(session: Session, server_id: int, moment: datetime, zone: tzinfo) -> html.Section:
    try:
        alerts = await session.client.alerts.list(
            states=["firing", "acknowledged", "resolved"],
            server_id=server_id,
            start=moment,
            end=moment + ONE_SECOND,
            limit=MOST,
        )
    except (ApiError, BackendUnreachableError) as error:
        return _panel("Firing then", failure(error, "What fired then"))
    return _panel("Firing then", firing_table(alerts, moment, zone), len(alerts))


def firing_table(alerts: Sequence[Alert], moment: datetime, zone: tzinfo) -> html.Div:
    if not alerts:
        return html.Div("No alert fired at that moment.", className="state-line")
    rows = [
        [
            level_badge(alert.level),
            html.Span(
                [
                    dcc.Link(alert.threshold_name, href=f"/alerts/{alert.id}", className="strong-link breakable"),
                    html.Span(f" {labels_text(alert.labels)}" if alert.labels else "", className="dim small"),
                ]
            ),
            alert_value(alert),
            since_text(alert.started_at, moment, zone) if alert.started_at else "",
            since_text(alert.resolved_at, moment, zone) if alert.resolved_at else "still fires",
        ]
        for alert in alerts
    ]
    heads = [("Level", False), ("What", False), ("Value", False), ("Since", False), ("Until", False)]
    return data_table(heads, rows, caption="Alerts that fired at the moment", hide_on_phone=(2,))


async def commands_panel(
    session: Session, server_id: int, moment: datetime, now: datetime, zone: tzinfo
) -> html.Section:
    try:
        page = await session.client.commands.page(
            server_id=server_id, start=moment - NEARBY, end=min(moment + NEARBY, now), limit=MOST
        )
    except (ApiError, BackendUnreachableError) as error:
        return _panel("Commands then", failure(error, "What ran then"))
    return _panel("Commands then", commands_table(page.items, server_id, moment, zone), len(page.items))


def commands_table(commands: Sequence[Command], server_id: int, moment: datetime, zone: tzinfo) -> html.Div:
    if not commands:
        minutes = f"{NEARBY.total_seconds() / 60:.0f} minutes"
        return html.Div(f"No command ran at that moment, nor {minutes} before or after it.", className="state-line")
    rows = [
        [
            when_text(command, moment),
            # Of the same page: a link of Dash would change nothing but the address.
            html.A(
                command.title,
                href=f"/servers/{server_id}?tab=console&run={command.id}&at={write(moment)}",
                className="strong-link breakable",
            ),
            f"{STATE_MARKS[command.state]} {STATE_WORDS[command.state]}",
            command.username,
            since_text(command.started_at or command.created_at, moment, zone),
            duration_text(command),
        ]
        for command in commands
    ]
    heads = [
        *(("Then", False), ("Command", False), ("In the end", False)),
        *(("By", False), ("From", False), ("Took", True)),
    ]
    return data_table(heads, rows, caption="Commands around the moment", hide_on_phone=(2, 4, 5))


def when_text(command: Command, moment: datetime) -> str:
    """How it stood at the moment, or how far away it was."""
    began = command.started_at
    if command.finished_at is not None and command.finished_at < moment:
        return f"over, {_apart(moment - command.finished_at)} before"
    if began is not None and began > moment + ONE_SECOND:
        return f"{_apart(began - moment)} later"
    if began is None:
        return "waited"
    return "▶ ran"


def _apart(gap: timedelta) -> str:
    return format_duration(max(1.0, gap.total_seconds()))


def _panel(title: str, content: Any, count: int = 0) -> html.Section:
    more = html.Span(f"the newest {MOST}", className="dim small") if count >= MOST else None
    return html.Section(
        [html.Div([html.H2(title), more], className="panel-head"), content],
        className="panel",
        **dashed(aria_label=title),
    )
