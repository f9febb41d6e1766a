"""``/metrics/storage``: what each measurement takes on disk in each tier. For administrators: it is of all servers."""

from litestar import get
from litestar.di import NamedDependency

from chatops_backend.accounts.access import allow
from chatops_backend.database.interface import Database
from chatops_backend.database.queries import load_queries
from chatops_protocol.storage_resources import Storage, TierStorage


@get("/storage", opt=allow("admin"))
async def get_storage(database: NamedDependency[Database]) -> Storage:
    """Bytes per measurement and tier, from chunk statistics."""
    queries = load_queries("storage")
    tiers = [TierStorage(**row) async for row in queries.list_tiers(database)]
    return Storage(database_bytes=await queries.database_size(database), tiers=tiers)


route_handlers = [get_storage]
