"""The legend of Explore's charts: a button per series. Pure.

A click shows that series alone, another all again; a click with Shift, or a double click, switches it off and on
(`chatops_explore.js` does it in the browser)."""

from collections.abc import Mapping, Sequence
from typing import Any

from dash import html

from chatops_dashboards.components.attributes import dashed
from chatops_dashboards.figures.explore_chart import NamedSeries, highest, mean
from chatops_dashboards.figures.series_styles import Style
from chatops_dashboards.units import format_value


def legend(shown: Sequence[NamedSeries], style_of: Mapping[str, Style], unit: str) -> html.Div:
    return html.Div(
        [_entry(one, style_of.get(one.key), unit) for one in shown],
        className="explore-legend",
        role="group",
        **dashed(aria_label="Series; choose one to see it alone"),
    )


def _entry(one: NamedSeries, style: Style | None, unit: str) -> html.Button:
    last = next((value for value in reversed(one.series.avg) if value is not None), None)
    figures = f"mean {format_value(mean(one.series), unit)}, highest {format_value(highest(one.series), unit)}"
    swatch: dict[str, Any] = {}
    if style is not None:
        line = {"dash": "dashed", "dot": "dotted", "dashdot": "double"}.get(style.dash, "solid")
        swatch = {"borderTopColor": style.colour, "borderTopStyle": line}
    return html.Button(
        [
            html.Span(className="explore-swatch", style=swatch, **dashed(aria_hidden="true")),
            html.Span(one.name, className="explore-legend-name"),
            html.Span(format_value(last, unit), className="numeric dim"),
        ],
        type="button",
        className="explore-legend-entry",
        title=f"{one.name}: {figures}",
        **dashed(data_series=one.key, aria_pressed="false"),
    )
