"""The callbacks of the Explore page: thin, what they do is in the modules beside them."""

from datetime import UTC, datetime
from typing import Any

from dash import ALL, Dash, Input, Output, State, ctx, no_update

from chatops_dashboards.browser import in_browser
from chatops_dashboards.components.states import notice
from chatops_dashboards.moments import from_axis
from chatops_dashboards.newest_only import newest_only, stop
from chatops_dashboards.pages.explore.controls import group_data, local
from chatops_dashboards.pages.explore.drawing import download_links, drawn, query_of
from chatops_dashboards.pages.explore.explain import explanation, selected_stretch, stretch_words
from chatops_dashboards.pages.explore.heat import clicked_cell
from chatops_dashboards.pages.explore.query import MOST_METRICS, PLACE, SeriesChoice, groups
from chatops_dashboards.pages.explore.reading import all_servers
from chatops_dashboards.session import Session, current_session, request_zone
from chatops_dashboards.settings import DashboardSettings

CONTROLS = {
    "metrics": ("explore-metrics", "value"),
    "servers": ("explore-servers", "value"),
    "tag": ("explore-tag", "value"),
    "preset": ("explore-preset", "value"),
    "start": ("explore-start", "value"),
    "end": ("explore-end", "value"),
    "aggregate": ("explore-aggregate", "value"),
    "group": ("explore-group", "value"),
    "top": ("explore-top", "value"),
    "by": ("explore-by", "value"),
    "events": ("explore-events", "checked"),
    "view": ("explore-view", "value"),
    "series": ("explore-series", "value"),
    "forecast": ("explore-forecast", "checked"),
}
# What drawing sets. Where "Custom" starts is an input of the same callback too: what it writes itself does not call it
# again.
DRAWN = {
    "charts": Output("explore-charts", "children"),
    "note": Output("explore-note", "children"),
    "range": Output("explore-range", "children"),
    "query": Output("explore-query", "data"),
    "read_at": Output("explore-read-at", "data"),
    "series": Output("explore-series", "data"),
    "target": Output("explore-series", "value", allow_duplicate=True),
    "forecast": Output("explore-forecast-words", "children"),
    "forecasts": Output("explore-forecasts", "children"),
    "python": Output("explore-python", "children"),
    "downloads": Output("explore-downloads", "children"),
    "custom": Output("explore-custom", "style"),
    "start": Output("explore-start", "value", allow_duplicate=True),
    "end": Output("explore-end", "value", allow_duplicate=True),
    "all": Output("explore-servers", "placeholder"),
    "how": Output("explore-how", "style"),
    "bar": Output("explore-bar", "style"),
    "take": Output("explore-take", "style"),
    "selection": Output("explore-selection", "data", allow_duplicate=True),
}
HIDDEN = {"display": "none"}
NO_STRETCH = "Drag over a chart to choose a stretch of time. Without one, the whole range is explained."


def register_explore(app: Dash, settings: DashboardSettings) -> None:
    _register_drawing(app, settings)
    _register_explaining(app)
    in_browser(
        app, "exploreAddress", Output("explore-link", "children"), Input("explore-query", "data"), initially=False
    )
    in_browser(app, "goTo", Output("explore-went", "title"), Input("explore-goes", "data"), initially=False)

    @app.callback(
        Output("explore-goes", "data"),
        Input("explore-heat", "clickData"),
        State("explore-heat-rows", "data"),
        prevent_initial_call=True,
    )
    def enter(click: dict[str, Any] | None, rows: dict[str, Any] | None) -> Any:
        path = clicked_cell(click, rows, request_zone())
        return {"path": path} if path else no_update

    @app.callback(
        Output("explore-group", "data"),
        Output("explore-group", "value"),
        Output("explore-group", "disabled"),
        Input("explore-metrics", "value"),
        Input("explore-aggregate", "value"),
        State("explore-group", "value"),
        prevent_initial_call=True,
    )
    def offer_groups(metrics: list[str] | None, aggregate: str | None, chosen: list[str] | None) -> Any:
        names = tuple(metrics or ())
        kept = list(groups(chosen, names))
        return group_data(names), kept if kept != (chosen or []) else no_update, not aggregate

    @app.callback(
        Output("explore-metrics", "value"),
        Input({"type": "explore-add", "metric": ALL, "row": ALL}, "n_clicks"),
        State("explore-metrics", "value"),
        prevent_initial_call=True,
    )
    def add_metric(_clicks: Any, chosen: list[str] | None) -> Any:
        asked = ctx.triggered_id
        pressed = isinstance(asked, dict) and ctx.triggered and ctx.triggered[0]["value"]
        if not pressed or asked["metric"] in (chosen or []):
            return no_update
        return [*(chosen or []), asked["metric"]][-MOST_METRICS:]

    @app.callback(
        Output("explore-series", "value", allow_duplicate=True),
        Input({"type": "explore-forecast-row", "series": ALL}, "n_clicks"),
        prevent_initial_call=True,
    )
    def choose_series(_clicks: Any) -> Any:
        asked = ctx.triggered_id
        pressed = isinstance(asked, dict) and ctx.triggered and ctx.triggered[0]["value"]
        return asked["series"] if pressed else no_update


def _register_drawing(app: Dash, settings: DashboardSettings) -> None:
    @app.callback(
        output=DRAWN,
        inputs={
            "values": {name: Input(*place) for name, place in CONTROLS.items()},
            "clicks": Input("explore-refresh", "n_clicks"),
            "read_at": State("explore-read-at", "data"),
            "tab": State("tab", "data"),
        },
        prevent_initial_call="initial_duplicate",
    )
    async def draw(values: dict[str, Any], clicks: Any, read_at: str | None, tab: str) -> Any:
        session, zone, now = current_session(), request_zone(), datetime.now(UTC)
        asked = query_of(values, zone)
        shown_at = datetime.fromisoformat(read_at) if read_at else None
        running = session.shared.setdefault("explore-drawing", {})
        found = await newest_only(
            running, str(tab), lambda: drawn(session, asked, zone, now, settings.api_url, shown_at)
        )
        if found is None:
            return dict.fromkeys(DRAWN, no_update)
        custom, kept = values.get("preset") == "custom", found.charts is None
        begin, finish = asked.range(now)
        only_ranges = {"explore-preset.value", "explore-start.value", "explore-end.value"}
        moved = {one["prop_id"] for one in ctx.triggered} & only_ranges
        shown = bool(asked.metrics)
        return {
            "charts": no_update if kept else found.charts,
            "note": found.note,
            "range": no_update if kept else found.range,
            "query": {"place": PLACE, **asked.to_query()},
            "read_at": found.read_at.isoformat() if found.read_at else None,
            "series": no_update if kept else found.series,
            "target": no_update if kept else found.target,
            "forecast": found.forecast,
            "forecasts": found.forecasts,
            "python": found.python,
            "downloads": download_links(asked) if shown else [],
            "custom": {} if custom else HIDDEN,
            "start": no_update if custom else local(begin, zone),
            "end": no_update if custom else local(finish, zone),
            "all": "" if asked.servers else "All" if not asked.tag else "Those with the tag",
            "how": HIDDEN if asked.view == "heat" else {},
            "bar": {} if shown and asked.view == "chart" else HIDDEN,
            "take": {} if shown else HIDDEN,
            "selection": None if moved else no_update,
        }


def _register_explaining(app: Dash) -> None:
    @app.callback(
        Output("explore-selection", "data"),
        Input({"type": "explore-chart", "metric": ALL}, "selectedData"),
        Input("explore-clear", "n_clicks"),
        prevent_initial_call=True,
    )
    def select(_selected: Any, _clear: Any) -> Any:
        if ctx.triggered_id == "explore-clear":
            return None
        zone = request_zone()
        found = [selected_stretch(one["value"], zone) for one in ctx.triggered]
        stretch = next((one for one in found if one is not None), None)
        return [moment.isoformat() for moment in stretch] if stretch else no_update

    @app.callback(
        Output("explore-selected", "children"),
        Output("explore-zoom", "disabled"),
        Output("explore-clear", "disabled"),
        Input("explore-selection", "data"),
    )
    def show_selection(stretch: list[str] | None) -> Any:
        if not stretch:
            return NO_STRETCH, True, True
        start, end = (datetime.fromisoformat(text) for text in stretch)
        return f"Chosen: {stretch_words(start, end, request_zone())}", False, False

    @app.callback(
        Output("explore-preset", "value"),
        Output("explore-start", "value"),
        Output("explore-end", "value"),
        Input("explore-zoom", "n_clicks"),
        State("explore-selection", "data"),
        prevent_initial_call=True,
    )
    def zoom(clicks: int | None, stretch: list[str] | None) -> Any:
        if not clicks or not stretch:
            return no_update, no_update, no_update
        zone = request_zone()
        return "custom", *(local(datetime.fromisoformat(text), zone) for text in stretch)

    @app.callback(
        Output("explore-explanation", "children"),
        Input("explore-explain", "n_clicks"),
        State("explore-series", "value"),
        State("explore-selection", "data"),
        State("explore-start", "value"),
        State("explore-end", "value"),
        State("tab", "data"),
        running=[
            (Output("explore-explain", "loading"), True, False),
            (Output("explore-stop", "style"), {}, HIDDEN),
        ],
        prevent_initial_call=True,
    )
    async def explain(
        clicks: int | None, series: str | None, stretch: list[str] | None, first: str, last: str, tab: str
    ) -> Any:
        if not clicks:
            return no_update
        return await explained(current_session(), series, stretch, first, last, str(tab))

    @app.callback(
        Output("explore-stop", "title"),
        Input("explore-stop", "n_clicks"),
        State("tab", "data"),
        prevent_initial_call=True,
    )
    def give_up(clicks: int | None, tab: str) -> Any:
        if clicks:
            stop(current_session().shared.setdefault("explore-explaining", {}), str(tab))
        return no_update


async def explained(
    session: Session, series: str | None, stretch: list[str] | None, first: str, last: str, tab: str
) -> Any:
    """`stretch` or else `first` to `last`, which are of the zone of whoever looks."""
    target, zone = SeriesChoice.read(series), request_zone()
    if target is None:
        return notice("There is no series to explain: choose a metric that has readings in this range.", "warning")
    if stretch:
        start, end = (datetime.fromisoformat(text) for text in stretch)
    else:
        start, end = from_axis(first, zone), from_axis(last, zone)
    names = {server.id: server.name for server in await all_servers(session)}
    running = session.shared.setdefault("explore-explaining", {})
    found = await newest_only(running, tab, lambda: explanation(session, target, start, end, names, zone))
    return notice("Given up.") if found is None else found
