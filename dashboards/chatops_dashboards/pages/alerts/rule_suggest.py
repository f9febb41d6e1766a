"""In the rule editor: a person marks incidents on the chart and gets the quietest level that would have caught them."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any

import dash_mantine_components as dmc
import msgspec
from dash import ALL, Dash, Input, Output, State, ctx, html, no_update

from chatops_client import ApiError, BackendUnreachableError
from chatops_dashboards.alert_words import unit_of
from chatops_dashboards.components.rule_fields import field_id
from chatops_dashboards.components.states import explain
from chatops_dashboards.moments import from_axis
from chatops_dashboards.pages.alerts.rule_form import rule_of
from chatops_dashboards.pages.alerts.rule_trial import RANGE_WORDS, RANGES, suggestion_request, times
from chatops_dashboards.quantities import write_duration, write_quantity
from chatops_dashboards.session import current_session, request_zone
from chatops_dashboards.units import format_duration, format_value


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


def register(app: Dash) -> None:
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
        unit = unit_of(rule.metric)
        text = (
            f"{format_value(found.level, unit)} for {format_duration(found.for_s)}: "
            f"fires {times(found.firings)} in {RANGE_WORDS[period]} and catches all. "
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
