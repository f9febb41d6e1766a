"""Text to paste elsewhere, and the button that copies it (`chatops.js` does the copying, also without TLS)."""

from dash import html

from chatops_dashboards.components.attributes import dashed


def copyable(text: str, place_id: str, what: str) -> html.Div:
    return html.Div(
        [
            html.Pre(text, id=place_id, className="commands", tabIndex="0"),
            copy_button(place_id, what, "plain-button copy"),
        ],
        className="commands-box",
    )


def copy_button(place_id: str, what: str, class_name: str = "plain-button small") -> html.Button:
    """Copies the text, or the value, of the element with that id; where a browser refuses, it selects it and says
    which keys copy it."""
    return html.Button(
        "Copy", className=class_name, type="button", **dashed(data_copy=place_id, aria_label=f"Copy {what}")
    )
