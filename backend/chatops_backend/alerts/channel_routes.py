"""Routes under ``/alerts/channels``. Everybody sees which there are, administrators change and test them."""

from typing import Any

from litestar import HttpMethod, delete, get, post, route
from litestar.di import NamedDependency
from litestar.params import JSONBody

from chatops_backend.accounts.access import allow
from chatops_backend.alerts import channels
from chatops_backend.alerts.transports.sender import Sender
from chatops_backend.audit.actor import RequestActor
from chatops_backend.database.interface import Database
from chatops_backend.paging import DEFAULT_LIMIT, Cursor, Id, IdKey, Limit, page, read_id_cursor
from chatops_backend.settings import Settings
from chatops_protocol.alert_resources import Channel, ChannelTest, StoredChannel, UpdateChannelRequest
from chatops_protocol.resources import Page


@get("/channels", opt=allow("viewer"))
async def list_channels(
    database: NamedDependency[Database],
    sender: NamedDependency[Sender],
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Page[StoredChannel]:
    found = await channels.list_channels(database, sender, read_id_cursor(cursor), limit + 1)
    return page(found, limit, lambda channel: IdKey(channel.id))


@post("/channels", opt=allow("admin"))
async def create_channel(
    data: JSONBody[Channel],
    database: NamedDependency[Database],
    sender: NamedDependency[Sender],
    actor: RequestActor,
) -> StoredChannel:
    return await channels.create_channel(database, sender, data, actor)


@get("/channels/{channel_id:int}", opt=allow("viewer"))
async def read_channel(
    channel_id: Id, database: NamedDependency[Database], sender: NamedDependency[Sender]
) -> StoredChannel:
    return await channels.find_channel(database, sender, channel_id)


@route(
    "/channels/{channel_id:int}",
    http_method=[HttpMethod.PUT, HttpMethod.PATCH],
    opt=allow("admin"),
    status_code=200,
)
async def update_channel(
    channel_id: Id,
    data: JSONBody[UpdateChannelRequest],
    database: NamedDependency[Database],
    sender: NamedDependency[Sender],
    actor: RequestActor,
) -> StoredChannel:
    """What is left out stays as it is, the address too, which is never shown."""
    return await channels.update_channel(database, sender, channel_id, data, actor)


@delete("/channels/{channel_id:int}", opt=allow("admin"))
async def delete_channel(
    channel_id: Id, database: NamedDependency[Database], sender: NamedDependency[Sender], actor: RequestActor
) -> None:
    await channels.delete_channel(database, sender, channel_id, actor)


@post("/channels/{channel_id:int}/test", opt=allow("admin"), status_code=200)
async def test_channel(
    channel_id: Id,
    database: NamedDependency[Database],
    sender: NamedDependency[Sender],
    settings: NamedDependency[Settings],
    actor: RequestActor,
) -> ChannelTest:
    """Sends a real message now and answers within 15 s how it went."""
    return await channels.try_channel(database, sender, channel_id, settings.origins[0].rstrip("/"), actor)


handlers: list[Any] = [list_channels, create_channel, read_channel, update_channel, delete_channel, test_channel]
