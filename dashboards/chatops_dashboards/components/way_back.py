"""The way from a page to the one above it."""

from dash import dcc, html

from chatops_dashboards.components.attributes import dashed


def way_back(word: str, path: str) -> html.Nav:
    return html.Nav(
        dcc.Link([html.Span("← ", **dashed(aria_hidden="true")), word], href=path),
        **dashed(aria_label="Breadcrumb"),
        className="crumb",
    )
