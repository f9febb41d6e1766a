"""What the Explore page says where there is nothing to show, and the words over what it shows."""

from typing import Any

from dash import html

from chatops_dashboards.components.states import empty
from chatops_dashboards.pages.explore.query import ExploreQuery
from chatops_dashboards.pages.explore.reading import Reading
from chatops_protocol.catalog import find_metric

EXAMPLES = {
    "Busy processors": "?metric=host.cpu_percent",
    "Memory": "?metric=host.memory_used_percent&range=24h",
    "Full file systems": "?metric=filesystem.used_percent&range=30d&by=max&forecast=on",
    "Heat map of the fleet": "?metric=host.cpu_percent&view=heat&range=24h",
}


def no_metric() -> html.Div:
    """Nothing chosen yet: what to do next, and where to begin."""
    links = [html.A(word, href=f"/explore{query}", className="plain-button") for word, query in EXAMPLES.items()]
    return empty(
        "Choose a metric",
        "Search it above by its name or by what it means, or begin with one of these.",
        picture="search",
        action=html.Div(links, className="explore-examples"),
    )


def no_servers(asked: ExploreQuery) -> html.Div:
    if asked.servers or asked.tag:
        return empty(
            "No such server", "None of the chosen servers is there for you, and none has the tag.", picture="search"
        )
    return empty("No servers yet", "Add one on the fleet page; its readings can be explored seconds later.")


def no_readings(reading: Reading) -> html.Div:
    count = len(reading.servers)
    whom = next(iter(reading.servers.values())).name if count == 1 else f"{count} servers"
    return html.Div(
        f"No readings of {whom} in this range. Choose a longer one, or other servers.", className="state-line"
    )


def metric_title(metric: str) -> html.Div:
    found = find_metric(metric)
    description: Any = html.Span(found[1].description if found else "", className="dim small")
    return html.Div([html.H2(metric), description])
