"""The rules: what each watches in words, whether it is on, whether it works, and whom it tells."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from typing import Any

import dash_mantine_components as dmc
from dash import ALL, Dash, Input, Output, ctx, dcc, html, no_update
from msgspec.structs import replace

from chatops_client import ApiError, BackendUnreachableError
from chatops_dashboards.alert_words import LEVEL_WORDS, rule_words
from chatops_dashboards.components.alert_navigation import places
from chatops_dashboards.components.alert_status import SHAPES
from chatops_dashboards.components.attributes import dashed
from chatops_dashboards.components.icons import icon
from chatops_dashboards.components.states import empty, explain, notice
from chatops_dashboards.components.tables import data_table
from chatops_dashboards.live import LiveViews
from chatops_dashboards.page import Page, PageContext
from chatops_dashboards.session import Session, current_session
from chatops_dashboards.settings import DashboardSettings
from chatops_protocol.alert_resources import StoredThreshold, Threshold


async def layout(context: PageContext) -> Any:
    return html.Div(
        [
            dmc.Group(
                [
                    html.H1("Rules"),
                    dcc.Link(
                        [icon("plus", 16), " New rule"], href="/alerts/rules/new", className="plain-button main-button"
                    )
                    if context.session.may_act
                    else html.Span("Operators change rules.", className="dim small"),
                ],
                justify="space-between",
                className="page-head",
            ),
            places("/alerts/rules"),
            html.Div(_said(context.session), id="rules-message", className="page-message"),
            html.Div(await rule_table(context.session), id="rules-table"),
            dcc.Store(id="live-view", data={"kind": "idle"}),
        ]
    )


def say_in_list(session: Session, text: str) -> None:
    """What the list tells when it is shown next: the editor leads there when it has done something."""
    session.shared["rules-said"] = text


def _said(session: Session) -> Any:
    text = session.shared.pop("rules-said", None)
    return notice(text) if text else None


async def rule_table(session: Session) -> Any:
    rules, servers, channels = await asyncio.gather(
        session.client.alerts.thresholds(), session.client.servers(), session.client.alerts.channels()
    )
    return draw_rules(
        rules,
        {server.id: server.name for server in servers},
        {channel.id: channel.name for channel in channels},
        may_act=session.may_act,
    )


def draw_rules(
    rules: Sequence[StoredThreshold],
    server_names: Mapping[int, str],
    channel_names: Mapping[int, str],
    *,
    may_act: bool,
) -> Any:
    if not rules:
        return empty("No rules", "Nothing is watched for yet. A rule says what is too much, and for how long.")
    table = data_table(
        [("Rule", False), ("Levels", False), ("Tells", False), ("On", False)],
        [
            [
                html.Span(
                    [
                        dcc.Link(
                            rule.threshold.name, href=f"/alerts/rules/{rule.id}", className="strong-link breakable"
                        ),
                        html.Span(rule_words(rule.threshold, server_names), className="dim small breakable"),
                        _broken(rule),
                    ],
                    className="alert-what",
                ),
                html.Span(levels(rule.threshold), className="rule-levels"),
                html.Span(_channels(rule.threshold, channel_names), className="breakable small"),
                dmc.Switch(
                    id={"type": "rule-enabled", "rule": rule.id},
                    checked=rule.threshold.enabled,
                    **dashed(aria_label=f"{rule.threshold.name} is switched on"),
                )
                if may_act
                else ("On" if rule.threshold.enabled else html.Span("Off", className="dim")),
            ]
            for rule in rules
        ],
        caption="Rules",
        hide_on_phone=(1, 2),
    )
    return html.Div(table, className="panel flush")


def levels(rule: Threshold) -> list[Any]:
    """The levels it can fire at, each as shape and word."""
    have = {"warning": rule.warning is not None, "critical": rule.critical is not None or rule.kind == "offline"}
    return [
        html.Span([SHAPES[level], " ", LEVEL_WORDS[level]], className=f"level-{level} small")
        for level in ("warning", "critical")
        if have[level]
    ]


def _broken(rule: StoredThreshold) -> Any:
    if rule.broken is None:
        return None
    return html.Span([icon("alert", 14), f" Cannot be evaluated: {rule.broken}"], className="level-critical small")


def _channels(rule: Threshold, names: Mapping[int, str]) -> Any:
    if not rule.channel_ids:
        return html.Span("nobody", className="dim", title="It is shown here and notifies no channel")
    return ", ".join(names.get(channel, f"channel {channel}") for channel in rule.channel_ids)


def register(app: Dash, views: LiveViews, settings: DashboardSettings) -> None:
    @app.callback(
        Output("rules-table", "children"),
        Output("rules-message", "children"),
        Input({"type": "rule-enabled", "rule": ALL}, "checked"),
        prevent_initial_call=True,
    )
    async def switch(_checked: list[bool]) -> Any:
        asked = ctx.triggered_id
        if not isinstance(asked, dict) or not ctx.triggered or ctx.triggered[0]["value"] is None:
            return no_update, no_update
        session, on = current_session(), bool(ctx.triggered[0]["value"])
        try:
            rule = await session.client.alerts.threshold(int(asked["rule"]))
            if rule.threshold.enabled == on:
                return no_update, no_update
            await session.client.alerts.update_threshold(rule.id, replace(rule.threshold, enabled=on))
            table = await rule_table(session)
        except (ApiError, BackendUnreachableError) as error:
            return no_update, explain(error)
        return table, notice(f"“{rule.threshold.name}” is switched {'on' if on else 'off'}.")


PAGE = Page(
    name="rules",
    title="Rules",
    pattern=re.compile(r"^/alerts/rules/?$"),
    layout=layout,
    register=register,
)
