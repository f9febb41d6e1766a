"""A dialogue before something that cannot be undone: it says what will happen to what, and asks once."""

import dash_mantine_components as dmc
from dash import html

from chatops_dashboards.components.attributes import dashed


def confirm_dialogue(name: str, title: str, consequence: str, action: str) -> dmc.Modal:
    """Ids ``<name>``, ``<name>-cancel``, ``<name>-confirm``; ``<name>-message`` takes what went wrong, and
    ``<name>-consequence`` another text when what it says has changed."""
    return dmc.Modal(
        id=name,
        title=title,
        children=dmc.Stack(
            [
                html.P(consequence, id=f"{name}-consequence", className="tight"),
                html.Div(id=f"{name}-message"),
                dmc.Group(
                    [
                        dmc.Button("Cancel", id=f"{name}-cancel", variant="default", **dashed(data_autofocus=True)),
                        dmc.Button(action, id=f"{name}-confirm", color="red"),
                    ],
                    justify="flex-end",
                ),
            ]
        ),
    )
