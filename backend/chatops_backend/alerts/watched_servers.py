"""The servers that a rule watches, as the database knows them now."""

from msgspec import Struct

from chatops_backend.database.interface import Executor
from chatops_backend.database.queries import load_queries
from chatops_protocol.alert_resources import Threshold


class WatchedServer(Struct, frozen=True):
    id: int
    interval_s: float


async def servers_of(database: Executor, threshold: Threshold) -> list[WatchedServer]:
    rows = load_queries("alerts").find_watched_servers(
        database, server_ids=threshold.server_ids or [], tag=threshold.tag, all_servers=threshold.all_servers
    )
    return [WatchedServer(row["id"], row["interval_s"]) async for row in rows]
