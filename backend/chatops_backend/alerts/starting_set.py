"""The rules that a new installation starts with. Made once each: who deletes or changes one is left alone for ever."""

from chatops_backend.alerts.rules import encoded
from chatops_backend.database.interface import Database
from chatops_backend.database.queries import load_queries
from chatops_protocol.alert_resources import Threshold

STARTING_SET: dict[str, Threshold] = {
    "cpu_busy": Threshold(
        name="CPU busy",
        metric="host.cpu_percent",
        all_servers=True,
        window_s=300,
        warning=90.0,
        critical=97.0,
        clear=85.0,
        for_s=600,
    ),
    "memory_full": Threshold(
        name="Memory nearly full",
        metric="host.memory_used_percent",
        all_servers=True,
        window_s=300,
        warning=90.0,
        critical=95.0,
        clear=87.0,
        for_s=300,
    ),
    "disk_full": Threshold(
        name="File system nearly full",
        metric="filesystem.used_percent",
        all_servers=True,
        aggregate="last",
        window_s=300,
        warning=85.0,
        critical=95.0,
        clear=83.0,
        for_s=300,
    ),
    "disk_forecast": Threshold(
        name="File system full within a day",
        kind="forecast",
        metric="filesystem.used_percent",
        all_servers=True,
        window_s=21_600,
        within_s=86_400,
        warning=95.0,
        clear=90.0,
        for_s=1_800,
    ),
    # Sixty seconds, or three intervals of an agent that reports more seldom.
    "host_down": Threshold(name="Host down", kind="offline", all_servers=True, window_s=60),
}


async def ensure_starting_set(database: Database) -> None:
    """Called at every start; two backends may do so at once."""
    queries = load_queries("alerts")
    for key, rule in STARTING_SET.items():
        await queries.create_starting_threshold(database, key=key, name=rule.name, definition=encoded(rule))
