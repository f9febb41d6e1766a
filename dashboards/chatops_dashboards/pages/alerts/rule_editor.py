"""The editor of one rule: a form, and beside it what the rule would have done, over the metric with lines to drag."""

import asyncio
import re
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, tzinfo
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
from chatops_dashboards.components.states import explain, failure, notice
from chatops_dashboards.figures.bounds import dragged, rule_lines
from chatops_dashboards.figures.rule_chart import CONFIG, HEIGHT, firing_spans, rule_figure, rule_scale
from chatops_dashboards.live import LiveViews
from chatops_dashboards.moments import from_axis
from chatops_dashboards.newest_only import newest_only, stop
from chatops_dashboards.page import Page, PageContext
from chatops_dashboards.pages.alerts.rule_form import DEFAULT, Form, Problems, form_of, place_problems, rule_of
from chatops_dashboards.pages.alerts.rule_trial import (
    RANGE_WORDS,
    RANGES,
    chart_series,
    suggestion_request,
    summary_words,
    where_words,
)
from chatops_dashboards.quantities import write_duration, write_quantity
from chatops_dashboards.session import Session, current_session, request_zone
from chatops_dashboards.settings import DashboardSettings
from chatops_dashboards.units import Scale, format_duration, format_value
from chatops_protocol.alert_resources import Firing, Threshold
from chatops_protocol.catalog import find_metric

# Typing and dragging come in bursts; the backtest waits for their end.
SETTLE_S = 0.3
LINE_FIELDS = ("warning", "critical", "clear", "warning_high", "critical_high", "clear_high")


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
                    _trial_panel(names, first, period if period in RANGES else "1d"),
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
            dcc.Store(id="rule-draft"),
            dcc.Store(id="rule-trial"),
            dcc.Store(id="rule-drawn"),
            dcc.Store(id="rule-incidents", data=[]),
            dcc.Store(id="rule-suggestion"),
            dcc.Store(id="rule-query"),
            html.Div(id="rule-address", hidden=True),
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


def _trial_panel(names: Mapping[int, str], server_id: int | None, period: str) -> html.Section:
    return html.Section(
        [
            html.Div(
                [html.H2("What it would have done"), html.Span(id="rule-words", className="dim small breakable")],
                className="stack tight",
            ),
            html.Div(
                [
                    dmc.Select(
                        id="rule-server",
                        data=[{"value": str(key), "label": name} for key, name in names.items()],
                        value=str(server_id) if server_id is not None else None,
                        allowDeselect=False,
                        searchable=True,
                        size="xs",
                        className="grow",
                        **dashed(aria_label="Server in the chart"),
                    ),
                    dmc.SegmentedControl(
                        id="rule-range",
                        value=period,
                        data=[{"value": key, "label": word} for key, word in RANGE_WORDS.items()],
                        size="xs",
                        **dashed(aria_label="Range"),
                    ),
                    dmc.Switch(id="rule-marking", label="Mark incidents", checked=False, size="xs"),
                ],
                className="toolbar",
            ),
            html.Div(
                [
                    html.Span("Trying it…", id="rule-busy", className="dim", hidden=True, role="status"),
                    html.Button("Stop", id="rule-stop", className="plain-button small", hidden=True),
                    html.Span(id="rule-summary", className="strong", role="status"),
                ],
                className="trial-line",
            ),
            html.Div(id="rule-where", className="dim small breakable"),
            dcc.Graph(
                id="rule-chart",
                figure={
                    "data": [],
                    "layout": {"height": HEIGHT, "xaxis": {"visible": False}, "yaxis": {"visible": False}},
                },
                config=CONFIG,
                style={"height": HEIGHT},
                className="chart",
            ),
            html.Div(id="rule-chart-message"),
            html.P(
                "Drag a line to move a level. Coloured: when it would have fired on this server.",
                className="dim small tight",
            ),
            html.Div(id="rule-incident-box"),
        ],
        className="panel trial",
        **dashed(aria_label="What it would have done"),
    )


def incident_box(incidents: Sequence[Sequence[str]], marking: bool) -> Any:
    """What is marked, and the way to a suggestion."""
    if not incidents:
        text = "Drag over the chart to mark a time in which somebody should have been told." if marking else ""
        return html.P(text, className="dim small tight") if marking else None
    count = len(incidents)
    return html.Div(
        [
            html.Span(f"{count} {'incident' if count == 1 else 'incidents'} marked.", className="small"),
            dmc.Button("Suggest a level", id={"type": "rule-suggest", "do": "ask"}, size="compact-sm"),
            dmc.Button("Forget them", id={"type": "rule-suggest", "do": "clear"}, size="compact-sm", variant="default"),
            html.Div(id={"type": "rule-suggested", "place": "text"}, className="small"),
        ],
        className="trial-line",
    )


def read_form(values: Sequence[Mapping[str, Any]], labels: Sequence[Mapping[str, Any]], kind: str, on: bool) -> Form:
    """The form of what Dash lists of the pattern-matching inputs."""
    form: Form = {item["id"]["name"]: item.get("value") for item in values}
    form["labels"] = {item["id"]["name"]: str(item.get("value") or "") for item in labels}
    return form | {"kind": kind, "enabled": on}


def read_rule(form: Mapping[str, Any]) -> tuple[Threshold, Problems]:
    return rule_of(form)


async def try_rule(
    session: Session, rule: Threshold, period: str, now: datetime, names: Mapping[int, str]
) -> dict[str, Any]:
    """The backtest for the page: firings, the sentence, where. Raises what the client raises."""
    await asyncio.sleep(SETTLE_S)
    named = rule if rule.name else msgspec.structs.replace(rule, name="draft")
    found = await session.client.alerts.backtest(named, now - RANGES[period], now)
    return {
        "firings": msgspec.to_builtins(found.firings),
        "summary": summary_words(found, period),
        "where": where_words(found, names),
    }


async def draw(
    session: Session,
    rule: Threshold,
    server_id: int,
    period: str,
    trial: Mapping[str, Any] | None,
    incidents: Sequence[Sequence[str]],
    marking: bool,
    now: datetime,
    zone: tzinfo,
) -> tuple[dict[str, Any], dict[str, Any], dict[str, list[str]]]:
    """The figure, what a drag on it is counted by, and the values that each label has."""
    start = now - RANGES[period]
    answer = await chart_series(session, rule, server_id, start, now)
    lines = rule_lines(rule)
    scale = rule_scale(answer, lines)
    firings = msgspec.convert((trial or {}).get("firings") or [], list[Firing])
    figure = rule_figure(
        answer,
        lines,
        firing_spans(firings, server_id),
        [(datetime.fromisoformat(first), datetime.fromisoformat(last)) for first, last in incidents],
        start,
        now,
        zone,
        marking=marking,
        revision=secrets.token_hex(4),
    )
    values: dict[str, set[str]] = {}
    for series in answer.series:
        for name, value in series.labels.items():
            values.setdefault(name, set()).add(str(value))
    drawn = {"divisor": scale.divisor, "suffix": scale.suffix, "lines": lines, "unit": answer.unit}
    return figure, drawn, {name: sorted(found)[:200] for name, found in values.items()}


def moved_fields(event: Mapping[str, Any] | None, drawn: Mapping[str, Any] | None) -> dict[str, str]:
    """The field that a dragged line belongs to, with its new text."""
    if not drawn:
        return {}
    found = dragged(event, drawn["lines"], Scale(drawn["divisor"], drawn["suffix"]))
    if found is None:
        return {}
    name, value = found
    field = name.removesuffix("_low")
    return {field: write_quantity(value, drawn["unit"])}


def marked_incident(selected: Mapping[str, Any] | None, zone: tzinfo) -> list[str] | None:
    """The stretch of a box that a person drew, as RFC 3339."""
    ends = ((selected or {}).get("range") or {}).get("x")
    if not ends or len(ends) != 2:
        return None
    try:
        first, last = sorted(from_axis(str(end), zone) for end in ends)
    except ValueError:
        return None
    return [first.isoformat(), last.isoformat()] if (last - first).total_seconds() >= 60 else None


def register(app: Dash, views: LiveViews, settings: DashboardSettings) -> None:
    fields, labels = (
        Input({"type": "rule-field", "name": ALL}, "value"),
        Input({"type": "rule-label", "name": ALL}, "value"),
    )
    kind, on = Input("rule-kind", "value"), Input("rule-on", "checked")
    errors = Output({"type": "rule-field", "name": ALL}, "error")

    @app.callback(
        Output("rule-draft", "data"),
        errors,
        Output({"type": "rule-part", "name": ALL}, "style"),
        Output("rule-kind-words", "children"),
        Output("rule-words", "children"),
        fields,
        labels,
        kind,
        on,
    )
    def collect(_fields: Any, _labels: Any, kind: str, on: bool) -> Any:
        form = read_form(ctx.inputs_list[0], ctx.inputs_list[1], kind, on)
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
        Output("rule-trial", "data"),
        Output("rule-summary", "children"),
        Output("rule-where", "children"),
        Output({"type": "rule-field", "name": ALL}, "error", allow_duplicate=True),
        Input("rule-draft", "data"),
        Input("rule-range", "value"),
        State("tab", "data"),
        State("rule-server", "data"),
        running=[(Output("rule-busy", "hidden"), False, True), (Output("rule-stop", "hidden"), False, True)],
        prevent_initial_call="initial_duplicate",
    )
    async def trial(draft: dict[str, Any] | None, period: str, tab: str, servers: list[dict[str, str]]) -> Any:
        unchanged = [no_update for _ in ctx.outputs_list[3]]
        if draft is None:
            return no_update, no_update, no_update, unchanged
        rule, problems = rule_of(draft["form"])
        if problems:
            return None, "Correct the marked fields to see what it would have done.", "", unchanged
        session = current_session()
        names = {int(item["value"]): item["label"] for item in servers or []}
        try:
            found = await newest_only(
                session.shared.setdefault("rule-trials", {}),
                str(tab),
                lambda: try_rule(session, rule, period, datetime.now(UTC), names),
            )
        except ApiError as error:
            placed, rest = place_problems(error.extra, {item["id"]["name"] for item in ctx.outputs_list[3]})
            text = "; ".join(rest) if rest else "" if placed else error.detail
            marked = [placed.get(item["id"]["name"]) for item in ctx.outputs_list[3]]
            return None, f"It cannot be tried yet. {text}".strip(), "", marked
        except BackendUnreachableError:
            return None, "The backend does not answer; change something to try again.", "", unchanged
        if found is None:
            return no_update, no_update, no_update, unchanged
        return found, found["summary"], found["where"], unchanged

    @app.callback(
        Output("rule-summary", "children", allow_duplicate=True),
        Input("rule-stop", "n_clicks"),
        State("tab", "data"),
        prevent_initial_call=True,
    )
    async def stop_trial(clicks: int | None, tab: str) -> Any:
        if not clicks:
            return no_update
        stopped = stop(current_session().shared.setdefault("rule-trials", {}), str(tab))
        return "Stopped. Change something to try again." if stopped else no_update

    @app.callback(
        Output("rule-chart", "figure"),
        Output("rule-drawn", "data"),
        Output("rule-chart-message", "children"),
        Output({"type": "rule-label", "name": ALL}, "data"),
        Output("rule-query", "data"),
        Input("rule-draft", "data"),
        Input("rule-trial", "data"),
        Input("rule-server", "value"),
        Input("rule-range", "value"),
        Input("rule-incidents", "data"),
        Input("rule-marking", "checked"),
        State({"type": "rule-label", "name": ALL}, "value"),
    )
    async def redraw(
        draft: dict[str, Any] | None,
        trial: dict[str, Any] | None,
        server: str | None,
        period: str,
        incidents: list[list[str]],
        marking: bool,
        _labels: Any,
    ) -> Any:
        label_ids = [item["id"]["name"] for item in ctx.outputs_list[3]]
        unchanged = [no_update for _ in label_ids]
        if draft is None:
            return no_update, no_update, no_update, unchanged, no_update
        if server is None:
            return no_update, None, notice("There is no server yet to draw."), unchanged, no_update
        rule, _ = rule_of(draft["form"])
        query = {"server": server, "range": period}
        try:
            figure, drawn, values = await draw(
                current_session(),
                rule,
                int(server),
                period,
                trial,
                incidents,
                marking,
                datetime.now(UTC),
                request_zone(),
            )
        except (ApiError, BackendUnreachableError) as error:
            return no_update, None, failure(error, "The chart"), unchanged, query
        empty = not any(value is not None for trace in figure["data"] for value in trace["y"])
        message = notice("This server has no readings of it in this range.") if empty else None
        return figure, drawn, message, [values.get(name, []) for name in label_ids], query

    in_browser(app, "rememberQuery", Output("rule-address", "title"), Input("rule-query", "data"), initially=False)

    @app.callback(
        *[Output(field_id(name), "value", allow_duplicate=True) for name in LINE_FIELDS],
        Input("rule-chart", "relayoutData"),
        State("rule-drawn", "data"),
        prevent_initial_call=True,
    )
    def drag(event: dict[str, Any] | None, drawn: dict[str, Any] | None) -> Any:
        moved = moved_fields(event, drawn)
        return tuple(moved.get(name, no_update) for name in LINE_FIELDS)

    @app.callback(
        Output("rule-incidents", "data"),
        Input("rule-chart", "selectedData"),
        Input({"type": "rule-suggest", "do": ALL}, "n_clicks"),
        State("rule-incidents", "data"),
        State("rule-marking", "checked"),
        prevent_initial_call=True,
    )
    def mark(selected: dict[str, Any] | None, _clicks: Any, incidents: list[list[str]], marking: bool) -> Any:
        asked = ctx.triggered_id
        if isinstance(asked, dict):
            pressed = asked["do"] == "clear" and ctx.triggered and ctx.triggered[0]["value"]
            return [] if pressed else no_update
        found = marked_incident(selected, request_zone()) if marking else None
        return [*incidents, found] if found is not None and found not in incidents else no_update

    @app.callback(
        Output("rule-incident-box", "children"), Input("rule-incidents", "data"), Input("rule-marking", "checked")
    )
    def show_incidents(incidents: list[list[str]], marking: bool) -> Any:
        return incident_box(incidents or [], bool(marking))

    @app.callback(
        Output({"type": "rule-suggested", "place": ALL}, "children"),
        Output("rule-suggestion", "data"),
        Input({"type": "rule-suggest", "do": ALL}, "n_clicks"),
        State("rule-incidents", "data"),
        State("rule-draft", "data"),
        State("rule-server", "value"),
        State("rule-range", "value"),
        prevent_initial_call=True,
    )
    async def suggest(
        _clicks: Any, incidents: list[list[str]], draft: dict[str, Any], server: str | None, period: str
    ) -> Any:
        places_for_text = len(ctx.outputs_list[0])
        asked = ctx.triggered_id
        pressed = ctx.triggered and ctx.triggered[0]["value"] and isinstance(asked, dict) and asked["do"] == "ask"
        if not pressed or not incidents or server is None:
            return [no_update] * places_for_text, no_update
        rule, _ = rule_of(draft["form"])
        rule = rule if rule.name else msgspec.structs.replace(rule, name="draft")
        now = datetime.now(UTC)
        try:
            found = await current_session().client.alerts.suggest(
                suggestion_request(rule, incidents, int(server), now - RANGES[period], now)
            )
        except (ApiError, BackendUnreachableError) as error:
            return [explain(error)] * places_for_text, no_update
        unit = metric_unit(rule)
        text = (
            f"{format_value(found.level, unit)} for {format_duration(found.for_s)}: "
            f"fires {found.firings} times in {RANGE_WORDS[period]} and catches all. "
        )
        fields_now = {
            "warning": "",
            "critical": write_quantity(found.level, unit),
            "clear": write_quantity(found.clear, unit),
            "for": write_duration(found.for_s),
        }
        use = dmc.Button("Use it", id={"type": "rule-use", "place": "suggestion"}, size="compact-sm")
        return [[text, use]] * places_for_text, fields_now

    @app.callback(
        *[Output(field_id(name), "value", allow_duplicate=True) for name in ("warning", "critical", "clear", "for")],
        Input({"type": "rule-use", "place": ALL}, "n_clicks"),
        State("rule-suggestion", "data"),
        prevent_initial_call=True,
    )
    def use(clicks: list[int | None], suggestion: dict[str, str] | None) -> Any:
        if not any(clicks) or not suggestion:
            return (no_update,) * 4
        return tuple(suggestion[name] for name in ("warning", "critical", "clear", "for"))

    @app.callback(
        Output("rule-message", "children"),
        Output("url", "pathname", allow_duplicate=True),
        Output({"type": "rule-field", "name": ALL}, "error", allow_duplicate=True),
        Input("rule-save", "n_clicks"),
        State({"type": "rule-field", "name": ALL}, "value"),
        State({"type": "rule-label", "name": ALL}, "value"),
        State("rule-kind", "value"),
        State("rule-on", "checked"),
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
        rules = current_session().client.alerts
        try:
            await (rules.create_threshold(rule) if rule_id is None else rules.update_threshold(int(rule_id), rule))
        except ApiError as error:
            placed, rest = place_problems(error.extra, set(names))
            text = "; ".join(rest) if placed else error.detail
            message = notice(f"Nothing was saved. {text or 'Correct the marked fields.'}", "critical")
            return message, no_update, [placed.get(name) for name in names]
        except BackendUnreachableError as error:
            return explain(error), no_update, unchanged
        return no_update, "/alerts/rules", unchanged

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
        Output("url", "pathname", allow_duplicate=True),
        Input("rule-delete-confirm", "n_clicks"),
        State("rule-id", "data"),
        running=[(Output("rule-delete-confirm", "loading"), True, False)],
        prevent_initial_call=True,
    )
    async def delete(clicks: int | None, rule_id: int | None) -> Any:
        if not clicks or rule_id is None:
            return no_update, no_update
        try:
            await current_session().client.alerts.delete_threshold(int(rule_id))
        except (ApiError, BackendUnreachableError) as error:
            return explain(error), no_update
        return no_update, "/alerts/rules"


def metric_unit(rule: Threshold) -> str:
    found = find_metric(rule.metric or "")
    return found[1].unit if found else "value"


PAGE = Page(
    name="rule",
    title="Rule",
    pattern=re.compile(r"^/alerts/rules/(?P<rule>new|\d{1,9})/?$"),
    layout=layout,
    register=register,
)
