"""The containers tab: all containers of a host as they are now; of the chosen one its log, charts and details, and what
can be done to it."""

from collections.abc import Callable
from datetime import tzinfo
from typing import Any

import dash_mantine_components as dmc
from dash import Dash, Input, Output, State, dcc, html, no_update

from chatops_dashboards.browser import in_browser
from chatops_dashboards.components import container_dialogue, container_log
from chatops_dashboards.components.attributes import dashed
from chatops_dashboards.components.container_details import details_frame
from chatops_dashboards.components.container_log import log_view, tail_of
from chatops_dashboards.components.container_table import GRID, container_table
from chatops_dashboards.live import LiveViews, Push, View
from chatops_dashboards.pages.server.container_log_stream import follow_log
from chatops_dashboards.pages.server.container_parts import charts_frame, draw_charts, draw_details
from chatops_dashboards.pages.server.container_stream import HIDDEN, PartStream, stream_tab
from chatops_dashboards.session import Session
from chatops_protocol.container_messages import DEFAULT_TAIL, MAX_CONTAINER_LENGTH

# Of the chosen one: the title of a part, the frame that its stream fills, and that stream.
PARTS: dict[str, tuple[str, Callable[[], Any], PartStream]] = {
    "log": ("Log", log_view, follow_log),
    "charts": ("Charts", charts_frame, draw_charts),
    "details": ("Details", details_frame, draw_details),
}
FIRST_PART = "log"


async def content(session: Session, server_id: int, query: dict[str, str], zone: tzinfo) -> Any:
    """The frame; the stream fills it, since the agent is asked."""
    server = await session.client.server(server_id)
    name, part = query.get("container", "")[:MAX_CONTAINER_LENGTH], part_of(query.get("show"))
    return html.Div(
        [
            html.Div(id="containers-policy"),
            html.Div(id="container-message", className="page-message"),
            html.Div(id="containers-note", className="paged-note"),
            html.Div(outline(), id="containers-state"),
            html.Div(
                [
                    html.Div(
                        [
                            html.Div(id="containers-as-of", className="container-as-of"),
                            dmc.TextInput(
                                id="containers-filter",
                                placeholder="Filter: a name, an image, a state",
                                value="",
                                size="xs",
                                className="containers-filter",
                                **dashed(aria_label="Filter the containers"),
                            ),
                        ],
                        className="live-bar",
                    ),
                    container_table(),
                    html.P(
                        "CPU is a share of one core. Choose a container for its log, its charts and its details.",
                        className="dim small",
                    ),
                ],
                id="containers-table",
                style=HIDDEN,
            ),
            html.Section(
                [
                    html.Div(id="container-head"),
                    dmc.SegmentedControl(
                        id="container-part",
                        value=part,
                        data=[{"value": key, "label": title} for key, (title, _, _) in PARTS.items()],
                        size="xs",
                        className="container-parts",
                        **dashed(aria_label="What to show of it"),
                    ),
                    html.Div(PARTS[part][1]() if name else None, id="container-body"),
                ],
                id="container-panel",
                className="panel container-panel",
                style=HIDDEN,
                **dashed(aria_label="The chosen container"),
            ),
            container_dialogue.dialogue(server.name),
            dcc.Store(id="containers-address"),
            html.Div(id="containers-placed", hidden=True),
            dcc.Store(id="live-view", data=view_of(server_id, name or None, part)),
        ],
        className="containers",
    )


def outline() -> html.Div:
    """Grey lines where the rows will be."""
    return html.Div([dmc.Skeleton(height=30, radius="sm") for _ in range(6)], className="panel stack tight")


def part_of(text: Any) -> str:
    return text if text in PARTS else FIRST_PART


def view_of(server_id: int, name: str | None, part: str = FIRST_PART, tail: int = DEFAULT_TAIL) -> View:
    return {"kind": "server-containers", "server_id": server_id, "container": name, "part": part, "tail": tail}


async def stream(session: Session, view: View, zone: tzinfo, push: Push) -> None:
    await stream_tab(session, view, zone, push, {name: part for name, (_, _, part) in PARTS.items()})


def address_of(server_id: int, name: str, part: str) -> dict[str, str]:
    place = {"place": f"/servers/{server_id}", "tab": "containers", "container": name}
    return place if part == FIRST_PART else {**place, "show": part}


def register(app: Dash, views: LiveViews) -> None:
    views.add("server-containers", stream)
    container_dialogue.register(app)
    container_log.register(app)
    in_browser(
        app, "rememberQuery", Output("containers-placed", "title"), Input("containers-address", "data"), initially=False
    )

    @app.callback(
        Output(GRID, "dashGridOptions"),
        Input("containers-filter", "value"),
        State(GRID, "dashGridOptions"),
        prevent_initial_call=True,
    )
    def filter_rows(text: str | None, options: dict[str, Any]) -> Any:
        return {**options, "quickFilterText": text or ""}

    @app.callback(
        Output("live-view", "data", allow_duplicate=True),
        Output("containers-address", "data"),
        Output("container-panel", "style"),
        Output("container-head", "children"),
        Output("container-body", "children"),
        Input(GRID, "selectedRows"),
        Input("container-part", "value"),
        State("server-id", "data"),
        State("live-view", "data"),
        prevent_initial_call=True,
    )
    def choose(rows: Any, part: str, server_id: int, view: View | None) -> Any:
        before = view or {}
        name = str(rows[0]["name"]) if rows and isinstance(rows, list) else before.get("container")
        part = part_of(part)
        if not name or (before.get("container"), before.get("part")) == (name, part):
            return (no_update,) * 5
        named = no_update if before.get("container") == name else html.H2(name)
        return view_of(server_id, name, part), address_of(server_id, name, part), {}, named, PARTS[part][1]()

    @app.callback(
        Output("live-view", "data", allow_duplicate=True),
        Input("container-tail", "value", allow_optional=True),
        State("live-view", "data"),
        prevent_initial_call=True,
    )
    def lengthen(tail: str | None, view: View | None) -> Any:
        count = tail_of(int(tail)) if tail and tail.isdecimal() else None
        return {**view, "tail": count} if view and count and view.get("tail") != count else no_update
