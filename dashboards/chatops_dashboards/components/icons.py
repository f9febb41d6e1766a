"""Icons by name: a span whose shape `icons.css` masks from inline SVG, in the colour of the text around it."""

from dash import html

from chatops_dashboards.components.attributes import dashed


def icon(name: str, size: int = 18) -> html.Span:
    """A decorative icon: a screen reader skips it, so a word or an aria-label goes with it."""
    return html.Span(className=f"icon icon-{name}", style={"width": size, "height": size}, **dashed(aria_hidden="true"))
