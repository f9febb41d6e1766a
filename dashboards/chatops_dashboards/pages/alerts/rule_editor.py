"""The editor of one rule: a form, and beside it what the rule would have done, over the metric with lines to drag."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from typing import Any

import dash_mantine_components as dmc
import msgspec
from dash import ALL, Dash, Input, Output, State, ctx, dcc, html, no_update

from chatops_client import ApiError, BackendUnreachableError
from chatops_dashboards.alert_words import rule_words
from chatops_dashboards.browser import in_browser
from chatops_dashboards.components.alert_navigation import places
from chatops_dashboards.components.attributes import dashed
from chatops_dashboards.components.confirm import confirm_dialogue
from chatops_dashboards.components.rule_fields import (
    HIDDEN,
    KIND_WORDS,
    field_id,
    label_fields,
    metric_description,
    parts_shown,
    rule_fields,
)
from chatops_dashboards.components.states import explain, notice
from chatops_dashboards.live import LiveViews
from chatops_dashboards.page import Page, PageContext
from chatops_dashboards.pages.alerts import rule_chart_panel, rule_suggest
from chatops_dashboards.pages.alerts.rule_chart_panel import trial_panel
from chatops_dashboards.pages.alerts.rule_form import DEFAULT, Form, form_of, place_problems, rule_of
from chatops_dashboards.pages.alerts.rule_trial import RANGES
from chatops_dashboards.pages.alerts.rules import say_in_list
from chatops_dashboards.session import current_session
from chatops_dashboards.settings import DashboardSettings
from chatops_protocol.alert_resources import Threshold
from chatops_protocol.catalog import find_metric


async def layout(context: PageContext) -> Any:
    session, asked = context.session, context.parts["rule"]
    rules = session.client.alerts
    servers, channels = await asyncio.gather(session.client.servers(), rules.channels())
    stored = None if asked == "new" else await rules.threshold(int(asked))
    rule = stored.threshold if stored else _new_rule(context.query)
    form = form_of(rule)
    locked = not session.may_act
    names = {server.id: server.name for server in servers}
    first = _chart_server(context.query.get("server"), rule, [server.id for server in servers])
    period = context.query.get("range", "1d")
    return html.Div(
        [
            html.Div(html.H1(rule.name if stored else "New rule"), className="page-head"),
            places("/alerts/rules", below=True),
            notice(f"It cannot be evaluated: {stored.broken}", "critical") if stored and stored.broken else None,
            notice("Your account looks on; operators change rules.") if locked else None,
            html.Div(
                [
                    html.Section(
                        [
                            rule_fields(
                                form,
                                names,
                                sorted({tag for server in servers for tag in server.tags}),
                                {channel.id: channel.name for channel in channels},
                                locked=locked,
                            ),
                            html.Div(id="rule-message"),
                            _buttons(stored is not None) if not locked else None,
                        ],
                        className="panel form",
                        **dashed(aria_label="The rule"),
                    ),
                    trial_panel(names, first, period if period in RANGES else "1d"),
                ],
                className="editor",
            ),
            confirm_dialogue(
                "rule-delete",
                "Delete rule",
                f"This deletes “{rule.name}” with its alerts. Those that fire now end, and their channels hear of it.",
                "Delete",
            )
            if stored and not locked
            else None,
            dcc.Store(id="rule-id", data=stored.id if stored else None),
            dcc.Store(id="rule-settled"),
            dcc.Store(id="rule-draft"),
            dcc.Store(id="rule-trial"),
            dcc.Store(id="rule-drawn"),
            dcc.Store(id="rule-incidents", data=[]),
            dcc.Store(id="rule-suggestion"),
            dcc.Store(id="rule-query"),
            dcc.Store(id="rule-done"),
            html.Div(id="rule-address", hidden=True),
            html.Div(id="rule-went", hidden=True),
            dcc.Store(id="live-view", data={"kind": "idle"}),
        ],
    )


def _new_rule(query: Mapping[str, str]) -> Threshold:
    """The default, or for the metric that a link names."""
    metric = query.get("metric", "")
    found = find_metric(metric)
    if found is None:
        return DEFAULT
    critical = 90.0 if found[1].unit == "percent" else None
    return msgspec.structs.replace(DEFAULT, metric=metric, critical=critical)


def _chart_server(asked: str | None, rule: Threshold, ids: Sequence[int]) -> int | None:
    wanted = [int(asked)] if asked and asked.isdecimal() else list(rule.server_ids or [])
    return next((server_id for server_id in wanted if server_id in ids), ids[0] if ids else None)


def _buttons(stored: bool) -> dmc.Group:
    return dmc.Group(
        [
            dmc.Button("Delete…", id="rule-delete-ask", variant="subtle", color="red") if stored else None,
            dmc.Button("Save" if stored else "Create rule", id="rule-save"),
        ],
        justify="space-between" if stored else "flex-end",
    )


def register(app: Dash, views: LiveViews, settings: DashboardSettings) -> None:
    # Everything the form holds, newest first hand: a field without debounce tells each key stroke to the page at once.
    fields = ("rule-field", "value"), ("rule-label", "value")
    changed = [Input({"type": kind, "name": ALL}, prop) for kind, prop in fields]
    form_states = [State({"type": kind, "name": ALL}, prop) for kind, prop in fields]
    form_states += [State("rule-kind", "value"), State("rule-on", "checked")]
    errors = Output({"type": "rule-field", "name": ALL}, "error")
    rule_chart_panel.register(app)
    rule_suggest.register(app)
    in_browser(app, "goTo", Output("rule-went", "title"), Input("rule-done", "data"), initially=False)

    # The server hears of the form when typing rests, not of every key.
    in_browser(
        app,
        "settle",
        Output("rule-settled", "data"),
        *changed,
        Input("rule-kind", "value"),
        Input("rule-on", "checked"),
    )

    @app.callback(
        Output("rule-draft", "data"),
        errors,
        Output({"type": "rule-part", "name": ALL}, "style"),
        Output("rule-kind-words", "children"),
        Output("rule-words", "children"),
        Input("rule-settled", "data"),
        *form_states,
        prevent_initial_call=True,
    )
    def collect(_settled: Any, _fields: Any, _labels: Any, kind: str, on: bool) -> Any:
        form = read_form(ctx.states_list[0], ctx.states_list[1], kind, on)
        rule, problems = rule_of(form)
        shown = parts_shown(kind, form["scope"], form["comparison"])
        return (
            {"form": form, "problems": problems},
            [problems.get(item["id"]["name"]) for item in ctx.outputs_list[1]],
            [{} if shown[item["id"]["name"]] else HIDDEN for item in ctx.outputs_list[2]],
            KIND_WORDS[kind],
            rule_words(rule, {}) if rule.server_ids is None else rule_words(rule, {}).rpartition(", on ")[0],
        )

    @app.callback(
        Output("rule-labels", "children"),
        Output(field_id("metric"), "description"),
        Input(field_id("metric"), "value"),
        prevent_initial_call=True,
    )
    def show_labels(metric: str | None) -> Any:
        return label_fields(metric, {}), metric_description(metric)

    @app.callback(
        Output("rule-message", "children"),
        Output("rule-done", "data"),
        Output({"type": "rule-field", "name": ALL}, "error", allow_duplicate=True),
        Input("rule-save", "n_clicks"),
        *form_states,
        State("rule-id", "data"),
        running=[(Output("rule-save", "loading"), True, False)],
        prevent_initial_call=True,
    )
    async def save(clicks: int | None, _fields: Any, _labels: Any, kind: str, on: bool, rule_id: int | None) -> Any:
        unchanged = [no_update for _ in ctx.outputs_list[2]]
        if not clicks:
            return no_update, no_update, unchanged
        names = [item["id"]["name"] for item in ctx.outputs_list[2]]
        rule, problems = rule_of(read_form(ctx.states_list[0], ctx.states_list[1], kind, on))
        if not rule.name:
            problems["name"] = "Give the rule a name."
        if problems:
            marked = [problems.get(name) for name in names]
            return notice("Nothing was saved: correct the marked fields.", "critical"), no_update, marked
        session = current_session()
        rules = session.client.alerts
        try:
            await (rules.create_threshold(rule) if rule_id is None else rules.update_threshold(int(rule_id), rule))
        except ApiError as error:
            placed, rest = place_problems(error.extra, set(names))
            text = "; ".join(rest) if placed else error.detail
            message = notice(f"Nothing was saved. {text or 'Correct the marked fields.'}", "critical")
            return message, no_update, [placed.get(name) for name in names]
        except BackendUnreachableError as error:
            return explain(error), no_update, unchanged
        say_in_list(session, f"“{rule.name}” is {'created' if rule_id is None else 'saved'}.")
        return no_update, {"path": "/alerts/rules"}, unchanged

    @app.callback(
        Output("rule-delete", "opened"),
        Input("rule-delete-ask", "n_clicks"),
        Input("rule-delete-cancel", "n_clicks"),
        prevent_initial_call=True,
    )
    def ask_deletion(_open: Any, _cancel: Any) -> Any:
        return ctx.triggered_id == "rule-delete-ask" if ctx.triggered and ctx.triggered[0]["value"] else no_update

    @app.callback(
        Output("rule-delete-message", "children"),
        Output("rule-done", "data", allow_duplicate=True),
        Input("rule-delete-confirm", "n_clicks"),
        State("rule-id", "data"),
        running=[(Output("rule-delete-confirm", "loading"), True, False)],
        prevent_initial_call=True,
    )
    async def delete(clicks: int | None, rule_id: int | None) -> Any:
        if not clicks or rule_id is None:
            return no_update, no_update
        session = current_session()
        try:
            rule = await session.client.alerts.threshold(int(rule_id))
            await session.client.alerts.delete_threshold(rule.id)
        except (ApiError, BackendUnreachableError) as error:
            return explain(error), no_update
        say_in_list(session, f"“{rule.threshold.name}” is deleted.")
        return no_update, {"path": "/alerts/rules", "replace": True}


def read_form(values: Sequence[Mapping[str, Any]], labels: Sequence[Mapping[str, Any]], kind: str, on: bool) -> Form:
    """The form of what Dash lists of the pattern-matching inputs."""
    form: Form = {item["id"]["name"]: item.get("value") for item in values}
    form["labels"] = {item["id"]["name"]: str(item.get("value") or "") for item in labels}
    return form | {"kind": kind, "enabled": on}


PAGE = Page(
    name="rule",
    title="Rule",
    pattern=re.compile(r"^/alerts/rules/(?P<rule>new|\d{1,9})/?$"),
    layout=layout,
    register=register,
)
