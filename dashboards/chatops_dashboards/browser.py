"""Callbacks that run in the browser: functions of ``chatops.js`` by name. They only touch the page around the data."""

from dash import ClientsideFunction, Dash, Input, Output


def in_browser(app: Dash, function: str, output: Output, *inputs: Input, initially: bool = True) -> None:
    """Call `chatops.<function>` when an input changes."""
    app.clientside_callback(  # type: ignore[no-untyped-call]
        ClientsideFunction("chatops", function), output, *inputs, prevent_initial_call=not initially
    )
