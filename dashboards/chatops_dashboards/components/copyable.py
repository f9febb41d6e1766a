"""Text to paste elsewhere, with a button that copies it (`chatops.js` does the copying, also without TLS)."""

from dash import html

from chatops_dashboards.components.attributes import dashed


def copyable(text: str, place_id: str, what: str) -> html.Div:
    return html.Div(
        [
            html.Pre(text, id=place_id, className="commands", tabIndex="0"),
            html.Button("Copy", className="plain-button copy", **dashed(data_copy=place_id, aria_label=f"Copy {what}")),
        ],
        className="commands-box",
    )
