"""Beside the form of the rule editor: the metric with lines to drag, and what the unsaved rule would have done."""

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any

import dash_mantine_components as dmc
import msgspec
from dash import ALL, Dash, Input, Output, State, ctx, dcc, html, no_update

from chatops_client import ApiError, BackendUnreachableError
from chatops_dashboards.browser import in_browser
from chatops_dashboards.components.attributes import dashed
from chatops_dashboards.components.rule_fields import field_id
from chatops_dashboards.components.states import failure, notice
from chatops_dashboards.figures.bounds import dragged, rule_lines
from chatops_dashboards.figures.rule_chart import (
    CONFIG,
    HEIGHT,
    firing_spans,
    no_figure,
    rule_figure,
    rule_scale,
)
from chatops_dashboards.newest_only import newest_only, stop
from chatops_dashboards.pages.alerts.rule_form import place_problems, rule_of
from chatops_dashboards.pages.alerts.rule_trial import RANGE_WORDS, RANGES, chart_series, summary_words, where_words
from chatops_dashboards.quantities import write_quantity
from chatops_dashboards.session import Session, current_session, request_zone
from chatops_dashboards.units import Scale
from chatops_protocol.alert_resources import Firing, Threshold

# Typing and dragging come in bursts; the backtest waits for their end.
SETTLE_S = 0.3
LINE_FIELDS = ("warning", "critical", "clear", "warning_high", "critical_high", "clear_high")


def trial_panel(names: Mapping[int, str], server_id: int | None, period: str) -> html.Section:
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
                figure=no_figure(),
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


def register(app: Dash) -> None:
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
        State("url", "pathname"),
    )
    async def redraw(
        draft: dict[str, Any] | None,
        trial: dict[str, Any] | None,
        server: str | None,
        period: str,
        incidents: list[list[str]],
        marking: bool,
        _labels: Any,
        place: str,
    ) -> Any:
        label_ids = [item["id"]["name"] for item in ctx.outputs_list[3]]
        unchanged = [no_update for _ in label_ids]
        if draft is None:
            return no_update, no_update, no_update, unchanged, no_update
        if server is None:
            return no_update, None, notice("There is no server yet to draw."), unchanged, no_update
        rule, _ = rule_of(draft["form"])
        query = {"place": place, "server": server, "range": period}
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
