"""What all charts have in common: layout, axes, text made safe. Colours of ground, text and grid come from CSS."""

from typing import Any

from chatops_dashboards.units import Scale

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, Cantarell, 'Noto Sans', sans-serif"


def plain(text: str, longest: int = 80) -> str:
    """Text from outside for names and titles: Plotly would read a small HTML in it."""
    short = text if len(text) <= longest else text[: longest - 1] + "…"
    return short.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def y_axis(scale: Scale, *, top: float | None = None) -> dict[str, Any]:
    """From zero up; up to `top` when the quantity has an end (100 %)."""
    axis: dict[str, Any] = {
        "ticksuffix": scale.suffix,
        "tickformat": "~g",
        "hoverformat": ".3~g" if scale.divisor == 1 else ".4~g",
        "nticks": 5,
        "zeroline": False,
        "fixedrange": True,
        "automargin": True,
        "ticklabelstandoff": 6,
        "rangemode": "tozero",
    }
    if top is not None:
        axis |= {"range": [0, top], "autorange": False, **({"dtick": 25} if top == 100 else {})}
    return axis


def layout(y: dict[str, Any], *, revision: str, height: int, legend: bool) -> dict[str, Any]:
    """`revision` stays the same while a person's zoom should survive new data."""
    return {
        "height": height,
        "margin": {"l": 8, "r": 12, "t": 8, "b": 8},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": FONT, "size": 12},
        "xaxis": {
            "type": "date",
            "automargin": True,
            "zeroline": False,
            "nticks": 6,
            "ticklabelstandoff": 4,
            "hoverformat": "%Y-%m-%d %H:%M:%S",
        },
        "yaxis": y,
        "showlegend": legend,
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "itemwidth": 30},
        "hovermode": "x unified",
        "hoverlabel": {"namelength": -1},
        "uirevision": revision,
        "dragmode": "zoom",
    }


# Typed loosely: the annotation of dcc.Graph wants its own TypedDict.
GRAPH_CONFIG: Any = {
    "displayModeBar": False,
    "displaylogo": False,
    "responsive": True,
    "doubleClick": "reset+autosize",
    "showAxisDragHandles": False,
    "plotlyServerURL": "",
}
