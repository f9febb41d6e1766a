"""Routes under ``/alerts``: alerts, rules, channels and silences."""

from litestar import Router

from chatops_backend.alerts import alert_routes, channel_routes, rule_routes, silence_routes

route_handlers: list[Router] = [
    Router(
        "/alerts",
        route_handlers=[
            *alert_routes.handlers,
            *rule_routes.handlers,
            *channel_routes.handlers,
            *silence_routes.handlers,
        ],
        tags=["alerts"],
    )
]
