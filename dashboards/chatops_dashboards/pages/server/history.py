"""The history tab: any metric over any range. The address bar holds its state, so a link restores the view."""

from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any

import dash_mantine_components as dmc
from dash import ALL, Dash, Input, Output, State, ctx, dcc, html, no_update

from chatops_dashboards.browser import in_browser
from chatops_dashboards.components.attributes import dashed
from chatops_dashboards.components.icons import icon
from chatops_dashboards.components.states import loading_cards, while_loading
from chatops_dashboards.figures.history_chart import HEIGHT
from chatops_dashboards.live import LiveViews
from chatops_dashboards.moments import absolute, from_axis, zone_label
from chatops_dashboards.pages.server.head import idle_view
from chatops_dashboards.pages.server.history_charts import charts
from chatops_dashboards.pages.server.history_query import MOST_METRICS, PRESET_WORDS, HistoryQuery
from chatops_dashboards.pages.server.past.moment import read
from chatops_dashboards.session import Session, current_session, request_zone
from chatops_protocol.catalog import MEASUREMENTS, find_metric


def metric_choices() -> list[dict[str, Any]]:
    """The catalogue as groups of the picker."""
    return [
        {
            "group": measurement.description,
            "items": [
                {"value": f"{measurement.name}.{field.name}", "label": f"{measurement.name}.{field.name}"}
                for field in measurement.fields
            ],
        }
        for measurement in MEASUREMENTS
    ]


async def content(session: Session, server_id: int, query: dict[str, str], zone: tzinfo) -> Any:
    """The controls, set as the address says; the charts follow by callback."""
    asked = HistoryQuery.from_query(query)
    now = datetime.now(UTC)
    start, end = asked.range(now)
    return html.Div(
        [
            html.Div(
                [
                    dmc.MultiSelect(
                        id="history-metrics",
                        data=metric_choices(),
                        value=list(asked.metrics),
                        maxValues=MOST_METRICS,
                        searchable=True,
                        hidePickedOptions=True,
                        label="Metrics",
                        className="grow",
                        maxDropdownHeight=360,
                    ),
                    dmc.MultiSelect(
                        id="history-series",
                        data=sorted(asked.series),
                        value=list(asked.series),
                        label="Series",
                        placeholder="the first few",
                        clearable=True,
                        searchable=True,
                        w=260,
                        style={"display": "none"},
                    ),
                ],
                className="toolbar",
            ),
            html.Div(
                [
                    dmc.SegmentedControl(
                        id="history-preset",
                        value="custom" if asked.start else asked.preset,
                        data=[{"value": key, "label": word} for key, word in PRESET_WORDS.items()]
                        + [{"value": "custom", "label": "Custom"}],
                        size="xs",
                        **dashed(aria_label="Range"),
                    ),
                    html.Div(
                        [
                            dmc.DateTimePicker(
                                id="history-start",
                                value=_local(start, zone),
                                label="From",
                                size="xs",
                                w=190,
                                withSeconds=False,
                                valueFormat="YYYY-MM-DD HH:mm",
                            ),
                            dmc.DateTimePicker(
                                id="history-end",
                                value=_local(end, zone),
                                label="To",
                                size="xs",
                                w=190,
                                withSeconds=False,
                                valueFormat="YYYY-MM-DD HH:mm",
                            ),
                        ],
                        id="history-custom",
                        className="custom-range",
                        style={} if asked.start else {"display": "none"},
                    ),
                    dmc.Button(
                        [icon("refresh", 16), html.Span("Refresh", className="button-word")],
                        id="history-refresh",
                        variant="default",
                        size="xs",
                    ),
                ],
                className="toolbar",
            ),
            html.Div(id="history-range", className="dim small"),
            while_loading("history-charts", loading_cards(2, HEIGHT), class_name="stack", delay_ms=400),
            dcc.Store(id="history-query"),
            idle_view(server_id),
        ]
    )


def range_words(start: datetime, end: datetime, zone: tzinfo) -> str:
    return f"{absolute(start, zone)} to {absolute(end, zone)} · times in {zone_label(zone, end)}"


def _local(moment: datetime, zone: tzinfo) -> str:
    return moment.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")


def zoomed_range(events: Sequence[dict[str, Any] | None], zone: tzinfo) -> tuple[datetime, datetime] | None:
    """The range a person dragged on a chart, if one of the events is that."""
    for event in events:
        first, last = (event or {}).get("xaxis.range[0]"), (event or {}).get("xaxis.range[1]")
        if isinstance(first, str) and isinstance(last, str):
            try:
                start, end = from_axis(first, zone), from_axis(last, zone)
            except ValueError:
                continue
            if (end - start).total_seconds() >= 5:
                return start, end
    return None


def register(app: Dash, views: LiveViews) -> None:
    @app.callback(
        Output("history-charts", "children"),
        Output("history-series", "data"),
        Output("history-series", "style"),
        Output("history-range", "children"),
        Output("history-query", "data"),
        Output("history-custom", "style"),
        # Where "Custom" starts. Inputs of this callback too: what it writes itself does not call it again.
        Output("history-start", "value", allow_duplicate=True),
        Output("history-end", "value", allow_duplicate=True),
        Input("history-metrics", "value"),
        Input("history-series", "value"),
        Input("history-preset", "value"),
        Input("history-start", "value"),
        Input("history-end", "value"),
        Input("history-refresh", "n_clicks"),
        Input("server-moment", "data"),
        State("server-id", "data"),
        prevent_initial_call="initial_duplicate",
    )
    async def draw(
        metrics: list[str] | None,
        series: list[str] | None,
        preset: str,
        start: str | None,
        end: str | None,
        _clicks: Any,
        stored: str | None,
        server_id: int,
    ) -> Any:
        zone, now = request_zone(), datetime.now(UTC)
        moment = read(stored, zone, now)
        custom = preset == "custom"
        try:
            first, last = (from_axis(start or "", zone), from_axis(end or "", zone)) if custom else (None, None)
        except ValueError:
            first = last = None
        chosen = tuple(name for name in metrics or () if find_metric(name))[:MOST_METRICS]
        asked = HistoryQuery(chosen, tuple(series or ()), "1h" if custom else preset, first, last)
        shown_custom = {} if custom else {"display": "none"}
        if custom and first is not None and last is not None and first >= last:
            return (
                [html.Div("The range ends before it starts.", className="state-line", role="alert")],
                no_update,
                no_update,
                "",
                no_update,
                shown_custom,
                no_update,
                no_update,
            )
        if not chosen:
            return (
                [html.Div("Choose a metric above.", className="state-line")],
                [],
                {"display": "none"},
                "",
                no_update,
                shown_custom,
                no_update,
                no_update,
            )
        panels, names = await charts(current_session(), int(server_id), asked, zone, now, moment)
        begin, finish = asked.range(now, moment)
        picker = {} if len(names) > 1 else {"display": "none"}
        return (
            panels,
            sorted({*names, *(series or ())}),
            picker,
            range_words(begin, finish, zone),
            asked.to_query(),
            shown_custom,
            no_update if custom else _local(begin, zone),
            no_update if custom else _local(finish, zone),
        )

    @app.callback(
        Output("history-preset", "value"),
        Output("history-start", "value"),
        Output("history-end", "value"),
        Input({"type": "history-chart", "metric": ALL}, "relayoutData"),
        prevent_initial_call=True,
    )
    def zoom(_events: list[dict[str, Any] | None]) -> Any:
        zone = request_zone()
        found = zoomed_range([item.get("value") for item in ctx.triggered], zone)
        if found is None:
            return no_update, no_update, no_update
        return "custom", _local(found[0], zone), _local(found[1], zone)

    in_browser(
        app, "rememberQuery", Output("history-range", "data-query"), Input("history-query", "data"), initially=False
    )
