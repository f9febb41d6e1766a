"""Rules as the API takes them, and the alerts' routes on the session's database."""

import itertools
from typing import Any

from litestar import Litestar, Router
from litestar.di import Provide

from chatops_backend.alerts import alert_routes, rule_routes
from chatops_backend.alerts.replays import Replays

# Names that are the same in every process that collects the tests: they are part of test ids.
_numbers = itertools.count(1)


def rule(**changes: Any) -> dict[str, Any]:
    """A good rule in JSON; a change to None takes a field away."""
    whole = {
        "name": f"rule {next(_numbers)}",
        "metric": "host.cpu_percent",
        "all_servers": True,
        "warning": 80,
        "critical": 95,
        "clear": 70,
        "for_s": 300,
    } | changes
    return {name: value for name, value in whole.items() if value is not None}


def alerts_app(build_app: Any, database: Any, settings: Any) -> Litestar:
    handlers = [*alert_routes.handlers, *rule_routes.handlers]
    replays = Provide(lambda: Replays(database), sync_to_thread=False, use_cache=True)
    router = Router("/alerts", route_handlers=handlers, dependencies={"replays": replays})
    app: Litestar = build_app(database, settings, handlers=(router,))
    return app
