"""The end of an order and the audit log's word on it are stored together, or the second as soon as it can be."""

import secrets
from uuid import uuid4

import pytest

from chatops_backend.audit.actor import Actor
from chatops_backend.audit.verification import verify
from chatops_backend.commands.changes import CommandChanges
from chatops_backend.commands.endings import Endings
from chatops_backend.commands.orders import AddressedServer, Asked, Orders
from chatops_backend.commands.signing import OrderSigner
from chatops_backend.database.queries import load_queries
from chatops_protocol.control_messages import RunCommand
from tests.backend.audit.tampering import broken_log
from tests.conftest import SECRET_KEY

pytestmark = pytest.mark.anyio
ACTOR = Actor("person", "somebody", 1, "operator", uuid4(), "192.0.2.1")


@pytest.fixture
def changes() -> CommandChanges:
    return CommandChanges()


@pytest.fixture
async def given(database, changes):
    """A function that gives an order to so many new servers, and returns the orders' ids."""

    async def give(count: int) -> list[int]:
        names = [f"ends-{secrets.token_hex(6)}" for _ in range(count)]
        rows = await database.fetch(
            "INSERT INTO chatops.servers (name) SELECT unnest($1::text[]) RETURNING id, name", names
        )
        servers = [AddressedServer(row["id"], row["name"]) for row in rows]
        asked = Asked("command", "command.run", "true", RunCommand(["true"], 60.0), 60.0)
        async with database.transaction() as transaction:
            return await Orders(database, OrderSigner(SECRET_KEY), changes).give(transaction, ACTOR, servers, asked)

    return give


@pytest.fixture
def endings(database, changes) -> Endings:
    return Endings(database, changes, lambda: None, lambda: 1000.0)


async def end(database, endings: Endings, ids: list[int]) -> None:
    """As if somebody had cancelled them before they went out."""
    await database.execute("UPDATE chatops.commands SET cancel_requested_at = now() WHERE id = ANY($1)", ids)

    async def run(executor):
        return [row async for row in load_queries("commands").end_queued(executor)]

    await endings.store(run)


async def told(database, ids: list[int]) -> list[tuple[int, str]]:
    rows = await database.fetch(
        "SELECT target_id, result FROM chatops.audit_log WHERE target_type = 'command' AND target_id = ANY($1) "
        "ORDER BY id",
        [str(number) for number in ids],
    )
    return [(int(row["target_id"]), row["result"]) for row in rows]


async def states(database, ids: list[int]) -> set[str]:
    rows = await database.fetch("SELECT state FROM chatops.commands WHERE id = ANY($1)", ids)
    return {row["state"] for row in rows}


async def test_orders_to_many_are_recorded_each_and_in_order(database, given, endings) -> None:
    ids = await given(600)
    assert await told(database, ids) == [(number, "intended") for number in ids]
    linked = await database.fetchval(
        "SELECT count(*) FROM chatops.commands AS c JOIN chatops.audit_log AS a ON a.id = c.audit_id "
        "WHERE c.id = ANY($1) AND a.target_id = c.id::text AND a.server_id = c.server_id",
        ids,
    )
    assert linked == 600
    await end(database, endings, ids)
    assert (await told(database, ids))[600:] == [(number, "failed") for number in ids]
    assert (await verify(database)).valid


async def test_an_end_is_not_stored_without_its_word_in_the_audit_log(database, given, endings, monkeypatch) -> None:
    """Whatever happens between the two."""
    ids = await given(2)

    async def dies(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("chatops_backend.commands.endings.record_all", dies)
    with pytest.raises(KeyboardInterrupt):
        await end(database, endings, ids)
    assert await states(database, ids) == {"queued"}
    monkeypatch.undo()
    await end(database, endings, ids)
    assert await states(database, ids) == {"cancelled"}
    assert await told(database, ids) == [(number, result) for result in ("intended", "failed") for number in ids]


async def test_an_end_is_stored_although_the_audit_log_cannot_be_written_and_told_later(
    database, given, endings, changes
) -> None:
    ids = await given(3)
    async with broken_log(database):
        await end(database, endings, ids)
        assert await states(database, ids) == {"cancelled"}
        await Endings(database, changes, lambda: None, lambda: 2000.0).tell_what_is_owed()
    assert await told(database, ids) == [(number, "intended") for number in ids]
    await endings.tell_what_is_owed()
    # A backend that starts does it too, and nothing is told twice.
    await Endings(database, changes, lambda: None, lambda: 2000.0).tell_what_is_owed()
    assert (await told(database, ids))[3:] == [(number, "failed") for number in ids]
