"""Every way in which the log can be tampered with is found, and the first entry at fault is named."""

import asyncio
import logging

import pytest

from chatops_backend.audit import verification
from chatops_backend.audit.actor import SYSTEM
from chatops_backend.audit.head_log import HeadLog
from chatops_backend.audit.trail import Target, note
from chatops_backend.audit.verification import read_head, verify
from chatops_backend.database.open import open_database
from chatops_protocol.audit_resources import AuditHead
from tests.backend.audit.tampering import tampering

pytestmark = pytest.mark.anyio

ENTRIES = 30


@pytest.fixture(scope="module")
async def log(new_settings):
    async with open_database(await new_settings()) as database:
        for number in range(ENTRIES):
            await note(database, SYSTEM, "thing.do", Target("thing", number, f"thing {number}"), after={"n": number})
        yield database


@pytest.fixture(autouse=True)
def small_batches(monkeypatch) -> None:
    monkeypatch.setattr(verification, "BATCH", 7)


async def found_after(log, *statements: str):
    """The verification after tampering, which is undone."""
    async with tampering(log) as transaction:
        for statement in statements:
            await transaction.execute(statement)
        found = await verify(transaction)
    assert (await verify(log)).valid
    return found


async def test_an_untouched_log_is_valid(log) -> None:
    found = await verify(log)
    assert (found.valid, found.checked, found.first_bad, found.reason) == (True, ENTRIES, None, None)
    assert found.head == await read_head(log)


@pytest.mark.parametrize(
    "change",
    [
        "detail = 'nothing happened'",
        "username = 'eve'",
        "user_id = 1",
        "role = 'viewer'",
        "session_id = gen_random_uuid()",
        "address = '192.0.2.1'",
        "actor_kind = 'nobody'",
        "action = 'thing.look'",
        "target_type = 'user'",
        "target_id = '99'",
        "target_name = NULL",
        "server_id = 4",
        "before = '{}'",
        """after = '{"n":12} '""",
        "after = NULL",
        "result = 'refused'",
        "intent_id = 3",
        "time = time + INTERVAL '1 microsecond'",
        "hash = decode(repeat('11', 32), 'hex')",
    ],
)
async def test_an_edited_entry_is_found(log, change) -> None:
    found = await found_after(log, f"UPDATE chatops.audit_log SET {change} WHERE id = 13")
    assert (found.valid, found.first_bad, found.checked) == (False, 13, 12)
    assert found.reason == "this entry was changed after it was written"


async def test_an_edited_link_is_found(log) -> None:
    found = await found_after(log, "UPDATE chatops.audit_log SET previous_hash = '\\x22' WHERE id = 13")
    assert (found.valid, found.first_bad) == (False, 13)
    assert found.reason == "this entry does not continue the one before it"


async def test_every_column_is_hashed_or_a_hash(log) -> None:
    columns = await log.fetch(
        "SELECT column_name FROM information_schema.columns "
        "WHERE table_schema = 'chatops' AND table_name = 'audit_log' ORDER BY ordinal_position"
    )
    assert [row[0] for row in columns] == [*verification.FIELDS, "previous_hash", "hash"]


@pytest.mark.parametrize("number", [1, 7, 8, 29])
async def test_a_deleted_entry_is_found(log, number) -> None:
    found = await found_after(log, f"DELETE FROM chatops.audit_log WHERE id = {number}")
    assert (found.valid, found.first_bad) == (False, number)


async def test_a_deleted_entry_is_found_though_the_rest_was_moved_up(log) -> None:
    found = await found_after(
        log, "DELETE FROM chatops.audit_log WHERE id = 10", "UPDATE chatops.audit_log SET id = id - 1 WHERE id > 10"
    )
    assert (found.valid, found.first_bad) == (False, 10)


async def test_exchanged_entries_are_found(log) -> None:
    found = await found_after(
        log,
        "UPDATE chatops.audit_log SET id = 1000 WHERE id = 20",
        "UPDATE chatops.audit_log SET id = 20 WHERE id = 21",
        "UPDATE chatops.audit_log SET id = 21 WHERE id = 1000",
    )
    assert (found.valid, found.first_bad) == (False, 20)


@pytest.mark.parametrize("kept", [0, 7, 29])
async def test_entries_cut_off_at_the_end_are_found(log, kept) -> None:
    found = await found_after(log, f"DELETE FROM chatops.audit_log WHERE id > {kept}")
    assert (found.valid, found.first_bad) == (False, kept + 1)
    assert f"had {ENTRIES} entries" in found.reason


async def test_an_entry_that_the_head_does_not_know_is_found(log) -> None:
    found = await found_after(
        log,
        "INSERT INTO chatops.audit_log "
        "SELECT 31, time, actor_kind, user_id, username, role, session_id, address, action, target_type, "
        "target_id, target_name, server_id, before, after, result, detail, intent_id, hash, '\\x07' "
        "FROM chatops.audit_log WHERE id = 30",
    )
    assert (found.valid, found.first_bad) == (False, 31)


async def test_a_head_that_is_gone_or_false_is_found(log) -> None:
    assert not (await found_after(log, "DELETE FROM chatops.audit_head")).valid
    assert (await found_after(log, "UPDATE chatops.audit_head SET hash = '\\x00'")).first_bad == ENTRIES
    assert not (await found_after(log, "UPDATE chatops.audit_head SET entries = 29")).valid


async def test_a_cut_with_a_head_to_match_is_found_by_a_head_kept_elsewhere_only(log) -> None:
    kept = await read_head(log)
    async with tampering(log) as transaction:
        await transaction.execute("DELETE FROM chatops.audit_log WHERE id > 20")
        await transaction.execute(
            "UPDATE chatops.audit_head SET (entries, hash) = (SELECT id, hash FROM chatops.audit_log WHERE id = 20)"
        )
        found = [await verify(transaction), await verify(transaction, kept)]
    assert found[0].valid
    assert (found[1].valid, found[1].first_bad) == (False, 21)


async def test_the_backends_own_log_has_the_head_in_it(log, caplog) -> None:
    with caplog.at_level(logging.INFO):
        task = asyncio.create_task(HeadLog(log).run())
        async with asyncio.timeout(5):
            while not caplog.records:
                await asyncio.sleep(0.01)
        task.cancel()
    head = await read_head(log)
    assert f"head {ENTRIES}:{head.hash}" in caplog.text


async def test_a_head_of_former_times_lies_on_the_chain_or_not(log) -> None:
    past = await log.fetchval("SELECT encode(hash, 'hex') FROM chatops.audit_log WHERE id = 11")
    assert (await verify(log, AuditHead(11, past))).valid
    found = await verify(log, AuditHead(12, past))
    assert (found.valid, found.first_bad) == (False, 12)
