"""Saved views of the Explore page: everybody's own, by name. Opening one sets the controls; nothing is loaded anew."""

from datetime import UTC, datetime, tzinfo
from typing import Any

import dash_mantine_components as dmc
from dash import Dash, Input, Output, State, ctx, dcc, html, no_update

from chatops_client import ApiError, BackendUnreachableError
from chatops_dashboards.components.confirm import confirm_dialogue
from chatops_dashboards.components.states import explain, notice
from chatops_dashboards.pages.explore.controls import group_data, local
from chatops_dashboards.pages.explore.query import ExploreQuery
from chatops_dashboards.session import Session, current_session, request_zone
from chatops_protocol.view_resources import SavedView

# The controls that a view sets, in the order of `settings_of`.
SET = (
    ("explore-metrics", "value"),
    ("explore-servers", "value"),
    ("explore-tag", "value"),
    ("explore-preset", "value"),
    ("explore-start", "value"),
    ("explore-end", "value"),
    ("explore-aggregate", "value"),
    ("explore-group", "value"),
    ("explore-group", "data"),
    ("explore-top", "value"),
    ("explore-by", "value"),
    ("explore-events", "checked"),
    ("explore-view", "value"),
    ("explore-series", "value"),
    ("explore-forecast", "checked"),
)


def settings_of(asked: ExploreQuery, now: datetime, zone: tzinfo) -> list[Any]:
    start, end = asked.range(now)
    return [
        list(asked.metrics),
        [str(one) for one in asked.servers],
        asked.tag or None,
        "custom" if asked.start else asked.preset,
        local(start, zone),
        local(end, zone),
        asked.aggregate,
        list(asked.group_by),
        group_data(asked.metrics),
        str(asked.top),
        asked.top_by,
        asked.events,
        asked.view,
        asked.series.text() if asked.series else None,
        asked.forecast,
    ]


def view_choices(views: list[SavedView]) -> list[dict[str, str]]:
    return [{"value": str(one.id), "label": one.name} for one in sorted(views, key=lambda one: one.name.lower())]


async def read_views(session: Session) -> list[SavedView] | None:
    """None when the backend does not tell; the page works without."""
    try:
        return await session.client.views.list()
    except (ApiError, BackendUnreachableError):
        return None


def saved_views(views: list[SavedView] | None) -> html.Div:
    return html.Div(
        [
            dmc.Select(
                id="explore-saved",
                data=view_choices(views or []),
                placeholder="Saved views" if views else "No saved views yet" if views is not None else "Not known now",
                searchable=True,
                clearable=True,
                size="xs",
                w=200,
                **{"aria-label": "Open a saved view"},
            ),
            dmc.Button("Save view…", id="explore-save", variant="default", size="xs"),
            dmc.Button("Rename…", id="explore-rename", variant="default", size="xs", disabled=True),
            dmc.Button("Delete…", id="explore-delete", variant="default", size="xs", disabled=True),
            _name_dialogue(),
            confirm_dialogue("explore-deleting", "Delete this view", "", "Delete"),
            dcc.Store(id="explore-naming"),
            html.Div(id="explore-saved-message", role="status"),
        ],
        className="explore-saved",
    )


def _name_dialogue() -> dmc.Modal:
    return dmc.Modal(
        id="explore-name-dialogue",
        title="Name this view",
        children=dmc.Stack(
            [
                dmc.TextInput(id="explore-name", label="Name", autoComplete="off"),
                html.P(
                    "Kept for you alone: metrics, servers, range and how they are shown.", className="dim small tight"
                ),
                html.Div(id="explore-name-message"),
                dmc.Group(
                    [
                        dmc.Button("Cancel", id="explore-name-cancel", variant="default"),
                        dmc.Button("Save", id="explore-name-confirm"),
                    ],
                    justify="flex-end",
                ),
            ]
        ),
    )


async def keep(session: Session, view_id: int | None, name: str, query: dict[str, str]) -> SavedView:
    """A new view, or an old one by another name. Raises `ApiError` for what cannot be."""
    if view_id is None:
        return await session.client.views.create(name.strip(), query)
    before = await session.client.views.get(view_id)
    return await session.client.views.replace(view_id, name.strip(), before.query)


def register_saved(app: Dash) -> None:
    @app.callback(
        *(Output(name, prop, allow_duplicate=True) for name, prop in SET),
        Output("explore-saved-message", "children", allow_duplicate=True),
        Output("explore-rename", "disabled"),
        Output("explore-delete", "disabled"),
        Input("explore-saved", "value"),
        prevent_initial_call=True,
    )
    async def open_view(chosen: str | None) -> Any:
        unchanged = [no_update] * len(SET)
        if not chosen:
            return *unchanged, no_update, True, True
        try:
            view = await current_session().client.views.get(int(chosen))
        except (ApiError, BackendUnreachableError) as error:
            return *unchanged, explain(error), True, True
        asked = ExploreQuery.from_query(view.query)
        return *settings_of(asked, datetime.now(UTC), request_zone()), no_update, False, False

    @app.callback(
        Output("explore-name-dialogue", "opened"),
        Output("explore-naming", "data"),
        Output("explore-name", "value"),
        Output("explore-name-message", "children", allow_duplicate=True),
        Input("explore-save", "n_clicks"),
        Input("explore-rename", "n_clicks"),
        Input("explore-name-cancel", "n_clicks"),
        State("explore-saved", "value"),
        State("explore-saved", "data"),
        prevent_initial_call=True,
    )
    def name_it(
        save: int | None, rename: int | None, _cancel: Any, chosen: str | None, known: list[dict[str, str]] | None
    ) -> Any:
        if ctx.triggered_id == "explore-save" and save:
            return True, None, "", None
        if ctx.triggered_id == "explore-rename" and rename and chosen:
            name = next((one["label"] for one in known or () if one["value"] == chosen), "")
            return True, int(chosen), name, None
        return False, no_update, no_update, None

    @app.callback(
        Output("explore-name-dialogue", "opened", allow_duplicate=True),
        Output("explore-saved", "data"),
        Output("explore-saved", "value", allow_duplicate=True),
        Output("explore-name-message", "children"),
        Output("explore-saved-message", "children"),
        Input("explore-name-confirm", "n_clicks"),
        Input("explore-name", "n_submit"),
        State("explore-name", "value"),
        State("explore-naming", "data"),
        State("explore-query", "data"),
        running=[(Output("explore-name-confirm", "loading"), True, False)],
        prevent_initial_call=True,
    )
    async def save(
        clicks: int | None, submits: int | None, name: str | None, view_id: int | None, query: dict[str, str] | None
    ) -> Any:
        if not clicks and not submits:
            return (no_update,) * 5
        if not (name or "").strip():
            return no_update, no_update, no_update, notice("Give it a name.", "warning"), no_update
        session = current_session()
        try:
            view = await keep(session, view_id, name or "", without_place(query))
            views = await session.client.views.list()
        except (ApiError, BackendUnreachableError) as error:
            return no_update, no_update, no_update, explain(error), no_update
        word = "Saved" if view_id is None else "Renamed"
        return False, view_choices(views), str(view.id), None, f"{word}: {view.name}"

    @app.callback(
        Output("explore-deleting", "opened"),
        Output("explore-deleting-consequence", "children"),
        Output("explore-deleting-message", "children", allow_duplicate=True),
        Input("explore-delete", "n_clicks"),
        Input("explore-deleting-cancel", "n_clicks"),
        State("explore-saved", "value"),
        State("explore-saved", "data"),
        prevent_initial_call=True,
    )
    def ask(clicks: int | None, _cancel: Any, chosen: str | None, known: list[dict[str, str]] | None) -> Any:
        if ctx.triggered_id != "explore-delete" or not clicks or not chosen:
            return False, no_update, None
        name = next((one["label"] for one in known or () if one["value"] == chosen), "")
        return True, f"The view “{name}” is deleted for good. No reading is touched.", None

    @app.callback(
        Output("explore-deleting", "opened", allow_duplicate=True),
        Output("explore-saved", "data", allow_duplicate=True),
        Output("explore-saved", "value"),
        Output("explore-deleting-message", "children"),
        Output("explore-saved-message", "children", allow_duplicate=True),
        Input("explore-deleting-confirm", "n_clicks"),
        State("explore-saved", "value"),
        prevent_initial_call=True,
    )
    async def delete(clicks: int | None, chosen: str | None) -> Any:
        if not clicks or not chosen:
            return (no_update,) * 5
        session = current_session()
        try:
            await session.client.views.delete(int(chosen))
            views = await session.client.views.list()
        except (ApiError, BackendUnreachableError) as error:
            return no_update, no_update, no_update, explain(error), no_update
        return False, view_choices(views), None, None, "Deleted."


def without_place(query: dict[str, str] | None) -> dict[str, str]:
    return {name: value for name, value in (query or {}).items() if name != "place"}
