"""The logs tab: the newest lines of a host, and what happened to it between them; filters, search, a live end.

`chatops_logs.js` draws the lines and keeps a bounded number; here is what is asked for.
"""

import dataclasses
from datetime import UTC, datetime, tzinfo
from typing import Any

from dash import Dash, Input, Output, State, html, no_update

from chatops_client import ApiError, BackendUnreachableError
from chatops_dashboards.browser import in_browser
from chatops_dashboards.components.states import explain, failure
from chatops_dashboards.live import LiveViews
from chatops_dashboards.moments import from_axis
from chatops_dashboards.pages.server.log_lines import around, batch, marker, newest, older
from chatops_dashboards.pages.server.log_query import LogQuery
from chatops_dashboards.pages.server.log_stream import stream
from chatops_dashboards.pages.server.log_view import ANY, content, nothing_found, nothing_then
from chatops_dashboards.pages.server.past.moment import read
from chatops_dashboards.session import current_session, request_zone

__all__ = ["content", "register"]


def query_from(
    level: Any, source: Any, search: Any, preset: str, start: str | None, end: str | None, zone: tzinfo
) -> LogQuery | None:
    """What the controls say; None: a range that ends before it starts."""
    first = last = None
    if preset == "custom":
        try:
            first, last = from_axis(start or "", zone), from_axis(end or "", zone)
        except ValueError:
            return None
        if first >= last:
            return None
    return LogQuery.of(None if level == ANY else level, source, search, preset, first, last)


def register(app: Dash, views: LiveViews) -> None:
    views.add("server-logs", stream)

    @app.callback(
        Output("logs-batch", "data"),
        Output("logs-state", "children"),
        Output("logs-custom", "style"),
        Output("logs-query", "data"),
        Output("logs-link", "data", allow_duplicate=True),
        Output("live-view", "data", allow_duplicate=True),
        Input("logs-level", "value"),
        Input("logs-source", "value"),
        Input("logs-search", "value"),
        Input("logs-range", "value"),
        Input("logs-start", "value"),
        Input("logs-end", "value"),
        Input("logs-resume", "data"),
        Input("logs-moment", "data"),
        State("server-id", "data"),
        prevent_initial_call="initial_duplicate",
    )
    async def draw(
        level: str, source: str, search: str, preset: str, start: str, end: str, _resume: Any, stored: str | None,
        server_id: int,
    ) -> Any:  # fmt: skip
        zone, session, now = request_zone(), current_session(), datetime.now(UTC)
        moment = read(stored, zone, now)
        asked = query_from(level, source, search, preset, start, end, zone)
        shown = {} if preset == "custom" else {"display": "none"}
        idle, nothing = {"kind": "idle", "server_id": server_id}, batch("reset", [], zone)
        if asked is None:
            message = html.Div("The range ends before it starts.", className="state-line", role="alert")
            return nothing, message, shown, no_update, "none", idle
        try:
            if moment is not None:
                asked = dataclasses.replace(asked, start=None, end=None)
                after, before, more = await around(session, int(server_id), asked, moment)
                shown_lines = batch("reset", [*after, *before], zone, more=more)
                if shown_lines["lines"]:
                    shown_lines["lines"].append(marker(moment, zone))
                query = {**asked.to_query(), "place": f"/servers/{server_id}"}
                return shown_lines, nothing_then(asked, moment, zone), shown, query, "past", idle
            lines, more = await newest(session, int(server_id), asked, now)
        except (ApiError, BackendUnreachableError) as error:
            if isinstance(error, ApiError) and error.status == 400:
                return nothing, explain(error), shown, asked.to_query(), "none", idle
            return nothing, failure(error, "Logs"), shown, asked.to_query(), "none", idle
        view = {**idle, "kind": "server-logs", **asked.filters, "range": asked.preset} if asked.follows else idle
        return (
            batch("reset", lines, zone, more=more),
            nothing_found(asked),
            shown,
            {**asked.to_query(), "place": f"/servers/{server_id}"},
            "" if asked.follows else "still",
            view,
        )

    @app.callback(
        Output("logs-batch", "data", allow_duplicate=True),
        Output("logs-older-message", "children"),
        Input("logs-older", "n_clicks"),
        State("logs-shown", "data"),
        State("logs-level", "value"),
        State("logs-source", "value"),
        State("logs-search", "value"),
        State("logs-range", "value"),
        State("logs-start", "value"),
        State("logs-end", "value"),
        State("logs-moment", "data"),
        State("server-id", "data"),
        running=[(Output("logs-older", "disabled"), True, False)],
        prevent_initial_call=True,
    )
    async def read_older(
        clicks: int | None,
        shown: dict[str, Any] | None,
        level: str,
        source: str,
        search: str,
        preset: str,
        start: str,
        end: str,
        stored: str | None,
        server_id: int,
    ) -> Any:
        zone, now = request_zone(), datetime.now(UTC)
        asked = query_from(level, source, search, preset, start, end, zone)
        if not clicks or not shown or asked is None:
            return no_update, no_update
        if (moment := read(stored, zone, now)) is not None:
            asked, now = dataclasses.replace(asked, start=None, end=None), moment
        try:
            at = datetime.fromisoformat(str(shown["at"]))
            lines, more = await older(current_session(), int(server_id), asked, at, int(shown["id"]), now)
        except (ApiError, BackendUnreachableError) as error:
            return no_update, explain(error)
        return batch("older", lines, zone, more=more), None

    # A store of this tab: Dash wants all inputs of a callback on the page once one of its outputs is, and every tab has
    # a `live-view`.
    @app.callback(Output("logs-moment", "data"), Input("server-moment", "data"), prevent_initial_call=True)
    def follow_moment(stored: str | None) -> Any:
        return stored

    @app.callback(
        Output("logs-level", "value"),
        Output("logs-source", "value"),
        Output("logs-search", "value"),
        Input("logs-clear", "n_clicks", allow_optional=True),
        prevent_initial_call=True,
    )
    def clear(clicks: int | None) -> Any:
        return (ANY, None, "") if clicks else (no_update,) * 3

    in_browser(app, "logsBatch", Output("logs-shown", "data"), Input("logs-batch", "data"), initially=False)
    in_browser(
        app,
        "logsBatch",
        Output("logs-shown", "data", allow_duplicate=True),
        Input("logs-news", "data"),
        initially=False,
    )
    in_browser(app, "logsLink", Output("logs-note", "data-link"), Input("logs-link", "data"), initially=False)
    in_browser(app, "logsFollow", Output("logs-resume", "data"), Input("logs-follow", "n_clicks"), initially=False)
    in_browser(app, "rememberQuery", Output("logs-list", "data-query"), Input("logs-query", "data"), initially=False)
