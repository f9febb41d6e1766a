"""Explore: any metrics of any servers over any range, as charts, table or heat map, and what explains a stretch of
them. The address holds the view."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import dash_mantine_components as dmc
from dash import Dash, dcc, html

from chatops_dashboards.components.attributes import dashed
from chatops_dashboards.components.copyable import copy_button, copyable
from chatops_dashboards.components.states import loading_cards, while_loading
from chatops_dashboards.figures.explore_chart import HEIGHT
from chatops_dashboards.live import LiveViews
from chatops_dashboards.page import Page, PageContext
from chatops_dashboards.pages.explore.callbacks import register_explore
from chatops_dashboards.pages.explore.controls import controls
from chatops_dashboards.pages.explore.query import PLACE, ExploreQuery
from chatops_dashboards.pages.explore.reading import all_servers
from chatops_dashboards.pages.explore.saved import read_views, register_saved, saved_views
from chatops_dashboards.settings import DashboardSettings
from chatops_protocol.resources import Server


async def layout(context: PageContext) -> Any:
    """The controls, set as the address says; what they show follows by callback."""
    asked = ExploreQuery.from_query(context.query)
    servers: Sequence[Server] = await all_servers(context.session)
    views = await read_views(context.session)
    return html.Div(
        [
            html.Div([html.H1("Explore"), saved_views(views)], className="page-head explore-head"),
            *controls(asked, servers, datetime.now(UTC), context.zone),
            html.Div(id="explore-note"),
            html.Div(id="explore-range", className="dim small explore-range"),
            while_loading("explore-charts", loading_cards(2, HEIGHT), class_name="stack", delay_ms=400),
            _explain_bar(asked),
            _explanation_place(),
            _take_along(),
            dcc.Store(id="explore-query"),
            dcc.Store(id="explore-read-at"),
            dcc.Store(id="explore-selection"),
            dcc.Store(id="explore-goes"),
            html.Div(id="explore-went", hidden=True),
            html.Div(id="explore-placed", hidden=True),
            dcc.Store(id="live-view", data={"kind": "idle"}),
        ],
        className="explore",
    )


def _explanation_place() -> dcc.Loading:
    """Empty until somebody asks; its outline stands there while the analyses run."""
    target: Any = {"explore-explanation": "children"}
    return dcc.Loading(
        html.Div(id="explore-explanation", className="stack tight", tabIndex="-1"),
        custom_spinner=loading_cards(3, 160),
        delay_show=400,
        target_components=target,
        parent_className="explore-explanation",
    )


def _explain_bar(asked: ExploreQuery) -> html.Section:
    target = asked.series.text() if asked.series else None
    return html.Section(
        [
            html.Div(id="explore-forecast-words"),
            html.Div(
                [
                    html.Div(
                        dmc.Select(
                            id="explore-series",
                            data=[{"value": target, "label": target}] if target else [],
                            value=target,
                            label="Series to explain",
                            placeholder="the highest",
                            searchable=True,
                            allowDeselect=False,
                            size="xs",
                        ),
                        className="explore-field",
                    ),
                    dmc.Button("Explain this", id="explore-explain", size="xs"),
                    dmc.Button("Stop", id="explore-stop", size="xs", variant="default", style={"display": "none"}),
                    dmc.Button("Zoom in", id="explore-zoom", size="xs", variant="default", disabled=True),
                    dmc.Button("Clear", id="explore-clear", size="xs", variant="subtle", disabled=True),
                    dmc.Switch(id="explore-forecast", label="Forecast", checked=asked.forecast, size="xs", mb=6),
                ],
                className="toolbar",
            ),
            html.Div(id="explore-selected", className="dim small", role="status"),
            html.Div(id="explore-forecasts"),
        ],
        id="explore-bar",
        className="panel explore-bar",
        **dashed(aria_label="Explain a stretch of time"),
    )


def _take_along() -> html.Div:
    return html.Div(
        [
            html.Div(
                [
                    html.Span("Take it along:", className="dim small"),
                    copy_button("explore-link", "the link to this view"),
                    html.Span("link", className="dim small"),
                    html.Span(id="explore-downloads", className="row-buttons"),
                ],
                className="explore-take-row",
            ),
            html.Span(id="explore-link", className="visually-hidden"),
            html.Details(
                [
                    html.Summary("As Python"),
                    copyable("", "explore-python", "the Python of this view"),
                ],
                className="explore-python-box",
            ),
        ],
        id="explore-take",
        className="explore-take",
    )


def register(app: Dash, views: LiveViews, settings: DashboardSettings) -> None:
    register_explore(app, settings)
    register_saved(app)


PAGE = Page(
    name="explore",
    title="Explore",
    pattern=re.compile(r"^/explore/?$"),
    layout=layout,
    register=register,
    navigation=PLACE,
    icon="chart",
)
