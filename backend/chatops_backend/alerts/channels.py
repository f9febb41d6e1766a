"""Channels as they are kept: where notifications go. Their addresses hold secrets and leave here only towards a sender.

Used by the routes; refuses what could not be sent to, and the end of a channel that rules count on.
"""

import time
from collections.abc import Callable
from uuid import uuid4

import asyncpg
from asyncpg import Record

from chatops_backend.alerts.message import trial
from chatops_backend.alerts.transports.sender import Sender
from chatops_backend.alerts.transports.transport import ChannelRefusedError, DeliveryError
from chatops_backend.audit.actor import Actor
from chatops_backend.audit.trail import Target, intended, record
from chatops_backend.database.interface import Database, Executor
from chatops_backend.database.queries import load_queries
from chatops_backend.problems import ProblemError, not_found
from chatops_protocol.alert_resources import Channel, ChannelTest, ChannelType, StoredChannel, UpdateChannelRequest


async def list_channels(database: Database, sender: Sender, after: int, count: int) -> list[StoredChannel]:
    rows = load_queries("notifications").list_channels(database, after=after, channel_id=None, count=count)
    return [_stored(row, sender) async for row in rows]


async def find_channel(database: Database, sender: Sender, channel_id: int) -> StoredChannel:
    return _stored(await _find(database, channel_id), sender)


async def create_channel(database: Database, sender: Sender, channel: Channel, actor: Actor) -> StoredChannel:
    await _check(sender, channel.type, channel.url)
    async with database.transaction() as transaction:
        channel_id = await load_queries("notifications").create_channel(
            transaction,
            name=channel.name,
            type=channel.type,
            url=sender.to_store(channel.url),
            enabled=channel.enabled,
        )
        if channel_id is None:
            raise _name_taken(channel.name)
        row = await _find(transaction, channel_id)
        await record(transaction, actor, "channel.create", _target(row), after=_settings(row, sender))
    return await find_channel(database, sender, channel_id)


async def update_channel(
    database: Database, sender: Sender, channel_id: int, changes: UpdateChannelRequest, actor: Actor
) -> StoredChannel:
    kind: ChannelType = (await _find(database, channel_id))["type"]
    if changes.url is not None:
        await _check(sender, kind, changes.url)
    queries = load_queries("notifications")
    try:
        async with database.transaction() as transaction:
            await queries.lock_channel(transaction, channel_id=channel_id)
            before = await _find(transaction, channel_id)
            await queries.update_channel(
                transaction,
                channel_id=channel_id,
                name=changes.name,
                url=sender.to_store(changes.url) if changes.url is not None else None,
                enabled=changes.enabled,
            )
            if changes.enabled is False:
                # What waits would come as a surprise when the channel is switched on again.
                await queries.give_up_waiting(transaction, channel_id=channel_id)
            row = await _find(transaction, channel_id)
            was, now = _settings(before, sender), _settings(row, sender)
            detail = "the address was replaced" if changes.url is not None else ""
            await record(transaction, actor, "channel.update", _target(row), before=was, after=now, detail=detail)
    except asyncpg.UniqueViolationError:
        raise _name_taken(changes.name or "") from None
    return await find_channel(database, sender, channel_id)


async def delete_channel(database: Database, sender: Sender, channel_id: int, actor: Actor) -> None:
    queries = load_queries("notifications")
    rules = [row["name"] async for row in queries.rules_using_channel(database, channel_id=channel_id)]
    if rules:
        names = ", ".join(rules[:5]) + (" …" if len(rules) > 5 else "")
        raise ProblemError(
            409, "Channel in use", f"These rules notify it: {names}. Give them another channel first, or disable this."
        )
    async with database.transaction() as transaction:
        before = await _find(transaction, channel_id)
        await queries.delete_channel(transaction, channel_id=channel_id)
        await record(transaction, actor, "channel.delete", _target(before), before=_settings(before, sender))


async def try_channel(
    database: Database,
    sender: Sender,
    channel_id: int,
    external_url: str,
    actor: Actor,
    clock: Callable[[], float] = time.time,
) -> ChannelTest:
    """Send a message now, whether the channel is enabled or not, and say how it went."""
    row = await _find(database, channel_id)
    error: str | None = None
    async with intended(database, actor, "channel.test", _target(row)) as outcome:
        try:
            await sender.send(row["type"], row["url"], trial(row["name"], external_url, clock(), uuid4().hex))
        except DeliveryError as failure:
            error = str(failure)
            outcome.result, outcome.detail = "failed", error
    await load_queries("notifications").note_test(database, channel_id=channel_id, error=error, now=clock())
    if error is not None:
        return ChannelTest(False, error)
    return ChannelTest(True, "the receiver took the message")


async def _find(database: Executor, channel_id: int) -> Record:
    rows = load_queries("notifications").list_channels(database, after=0, channel_id=channel_id, count=1)
    async for row in rows:
        return row
    raise not_found("channel", channel_id)


async def _check(sender: Sender, kind: ChannelType, url: str) -> None:
    try:
        await sender.check(kind, url)
    except ChannelRefusedError as error:
        raise ProblemError(
            400,
            "The address is not usable",
            f"Correct url: {error}.",
            extra=[{"message": str(error), "key": "url", "source": "body"}],
        ) from None


def _target(row: Record) -> Target:
    return Target("channel", row["id"], row["name"])


def _settings(row: Record, sender: Sender) -> dict[str, object]:
    """What the audit log keeps: of the address no more than people are shown."""
    shown = _stored(row, sender)
    return {"name": shown.name, "type": shown.type, "shown_url": shown.shown_url, "enabled": shown.enabled}


def _stored(row: Record, sender: Sender) -> StoredChannel:
    return StoredChannel(
        id=row["id"],
        name=row["name"],
        type=row["type"],
        shown_url=sender.shown(row["type"], row["url"]),
        enabled=row["enabled"],
        created_at=row["created_at"],
        last_delivered_at=row["last_delivered_at"],
        last_error=sender.fault_of(row["url"]) or row["last_error"],
        waiting=row["waiting"],
        given_up=row["given_up"],
    )


def _name_taken(name: str) -> ProblemError:
    return ProblemError(409, "Name taken", f"There is a channel {name} already; choose another name.")
