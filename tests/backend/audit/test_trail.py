"""What is recorded, that it is recorded with its act or not at all, and that nothing changes it afterwards."""

import asyncio
import contextlib
import hashlib
import time
from datetime import UTC, datetime
from uuid import uuid4

import asyncpg
import pytest

from chatops_backend.audit.actor import SYSTEM, Actor
from chatops_backend.audit.chain import BEGINNING, Entry, entry_hash
from chatops_backend.audit.cleaning import HIDDEN, MOST_BYTES
from chatops_backend.audit.trail import Target, conclude, intend, intended, note, record
from chatops_backend.audit.verification import verify
from chatops_backend.database.interface import Database
from chatops_backend.database.open import open_database
from chatops_backend.problems import ProblemError
from tests.backend.audit.tampering import broken_log

pytestmark = pytest.mark.anyio

ANN = Actor("person", "ann", 7, "operator", uuid4(), "192.0.2.7")


async def newest(database: Database, count: int = 1) -> list[asyncpg.Record]:
    rows = await database.fetch("SELECT * FROM chatops.audit_log ORDER BY id DESC LIMIT $1", count)
    return list(reversed(rows))


async def test_an_act_and_its_entry_are_stored_together(database) -> None:
    async with database.transaction() as transaction:
        before, after = {"tags": []}, {"tags": ["a"]}
        number = await record(
            transaction, ANN, "server.update", Target("server", 3, "web"), before=before, after=after, detail="why"
        )
    [row] = await newest(database)
    assert row["id"] == number
    assert (row["actor_kind"], row["username"], row["user_id"], row["role"]) == ("person", "ann", 7, "operator")
    assert (row["session_id"], row["address"]) == (ANN.session_id, "192.0.2.7")
    assert (row["target_type"], row["target_id"], row["target_name"], row["server_id"]) == ("server", "3", "web", 3)
    assert (row["before"], row["after"], row["detail"]) == ('{"tags":[]}', '{"tags":["a"]}', "why")
    assert abs((datetime.now(UTC) - row["time"]).total_seconds()) < 60


async def test_an_act_that_fails_leaves_no_entry(database) -> None:
    [before] = await newest(database)

    async def fail() -> None:
        async with database.transaction() as transaction:
            await record(transaction, ANN, "user.create", Target("user", 1, "eve"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    assert await newest(database) == [before]


async def test_an_act_whose_entry_cannot_be_written_is_undone_and_says_so(new_settings) -> None:
    async def create(database: Database) -> None:
        async with database.transaction() as transaction:
            await transaction.execute("INSERT INTO chatops.servers (name) VALUES ('web')")
            await record(transaction, ANN, "server.create", Target("server", 1, "web"))

    async with open_database(await new_settings()) as database, broken_log(database):
        with pytest.raises(ProblemError) as refused:
            await create(database)
        assert refused.value.problem.status == 503
        assert "audit log cannot be written" in refused.value.problem.detail
        assert await database.fetchval("SELECT count(*) FROM chatops.servers") == 0
        done = []
        with pytest.raises(ProblemError):
            async with intended(database, ANN, "command.run", Target("command")):
                done.append("the act")
        assert done == []
        # What nobody may be refused goes on without it.
        await note(database, ANN, "auth.logout", Target("user", 7))


async def stop_container(database: Database, error: BaseException | None) -> None:
    target = Target("container", "ab12", "db", 3)
    async with intended(database, ANN, "container.stop", target, after={"n": 1}) as outcome:
        [intent] = await newest(database)
        assert (intent["result"], intent["after"]) == ("intended", '{"n":1}')
        outcome.detail, outcome.after = "exit code 0", {"state": "exited"}
        if error is not None:
            raise error


@pytest.mark.parametrize(
    ("error", "result", "detail"),
    [
        (None, "ok", "exit code 0"),
        (ProblemError(409, "Not running", "It does not run."), "refused", "409 Not running"),
        (OSError("gone"), "failed", "OSError"),
        (asyncio.CancelledError(), "failed", "CancelledError"),
    ],
)
async def test_an_intended_act_has_an_entry_before_and_one_after_it(database, error, result, detail) -> None:
    with pytest.raises(type(error)) if error is not None else contextlib.nullcontext():
        await stop_container(database, error)
    first, second = await newest(database, 2)
    assert first["result"] == "intended"
    assert (second["intent_id"], second["result"], second["detail"]) == (first["id"], result, detail)
    assert (second["action"], second["target_id"], second["server_id"]) == ("container.stop", "ab12", 3)


async def test_an_act_can_be_concluded_much_later(database) -> None:
    target = Target("command", uuid4(), server_id=3)
    number = await intend(database, ANN, "command.run", target, after={"argv": ["uptime"]})
    await conclude(database, number, SYSTEM, "command.run", target, result="failed", detail="exit code 1")
    [row] = await newest(database)
    assert (row["intent_id"], row["result"], row["actor_kind"]) == (number, "failed", "system")


async def test_what_names_a_secret_is_hidden_at_any_depth(database) -> None:
    canary = "canary-5f1d"
    held = {
        "password": canary,
        "new_password": canary,
        "list": [{"access_token": canary, "Authorization": canary, "api_key": canary}],
        "totp_secret": canary,
        "recovery_codes": [canary],
        "name": "kept",
        "token": None,
    }
    async with database.transaction() as transaction:
        await record(transaction, ANN, "thing.update", Target("thing"), before=held, after=held)
    [row] = await newest(database)
    assert canary not in str(dict(row))
    assert '"name":"kept"' in row["after"]
    assert '"token":null' in row["after"]
    assert HIDDEN in row["after"]


@pytest.mark.parametrize(
    "hostile", ["nul\0", "half \ud800", "'; DROP TABLE chatops.audit_log; --", "日本 \u202e", "x" * 5000]
)
async def test_any_text_is_recorded(database, hostile) -> None:
    actor = Actor("person", hostile, 1, "viewer")
    async with database.transaction() as transaction:
        await record(
            transaction, actor, "thing.do", Target("thing", hostile, hostile), after={hostile: hostile}, detail=hostile
        )
    assert (await verify(database)).valid


async def test_what_is_too_large_is_kept_as_its_size_and_hash(database) -> None:
    async with database.transaction() as transaction:
        await record(transaction, ANN, "thing.do", Target("thing"), after={"text": "x" * MOST_BYTES})
    [row] = await newest(database)
    assert '"omitted_bytes":65547' in row["after"]
    assert len(row["after"]) < 200


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE chatops.audit_log SET detail = 'nothing' WHERE id = 1",
        "UPDATE chatops.audit_log SET detail = 'nothing' WHERE false",
        "DELETE FROM chatops.audit_log",
        "TRUNCATE chatops.audit_log",
        "TRUNCATE chatops.audit_log, chatops.audit_head CASCADE",
        "INSERT INTO chatops.audit_log SELECT * FROM chatops.audit_log ON CONFLICT (id) DO UPDATE SET detail = ''",
        "UPDATE chatops.audit_head SET entries = 0",
        "DELETE FROM chatops.audit_head",
        "TRUNCATE chatops.audit_head",
        "INSERT INTO chatops.audit_head (single, entries, hash) VALUES (true, 0, '') ON CONFLICT DO NOTHING",
        "SET LOCAL session_replication_role = replica; DELETE FROM chatops.audit_log",
        (
            "INSERT INTO chatops.audit_log (id, time, actor_kind, username, action, target_type, result, detail, "
            "previous_hash, hash) VALUES (1000000, now(), 'system', '', 'a', 'b', 'ok', '', '\\x00', '\\x01')"
        ),
    ],
)
async def test_the_database_refuses_what_is_not_the_next_entry(database, statement) -> None:
    await note(database, SYSTEM, "thing.do", Target("thing"))
    head = await database.fetchrow("SELECT * FROM chatops.audit_head")
    with pytest.raises((asyncpg.InsufficientPrivilegeError, asyncpg.CheckViolationError, asyncpg.UniqueViolationError)):
        async with database.transaction() as transaction:
            await transaction.execute(statement)
    assert await database.fetchrow("SELECT * FROM chatops.audit_head") == head


async def test_nobody_was_given_the_right_to_change_entries_and_the_owner_gave_away_its_own(database) -> None:
    rights = await database.fetch(
        "SELECT DISTINCT privilege_type FROM pg_class, aclexplode(relacl) WHERE oid = 'chatops.audit_log'::regclass"
    )
    assert {row[0] for row in rights} >= {"SELECT", "INSERT"}
    assert not {row[0] for row in rights} & {"UPDATE", "DELETE", "TRUNCATE"}


async def test_a_role_that_owns_nothing_adds_entries_and_has_no_right_to_change_them(database) -> None:
    role = f"role_{uuid4().hex}"

    async def act() -> None:
        async with database.transaction() as transaction:
            # As docs/operations.md says.
            await transaction.execute(
                f"CREATE ROLE {role} NOLOGIN; GRANT USAGE ON SCHEMA chatops TO {role}; "
                f"GRANT SELECT, INSERT ON chatops.audit_log TO {role}; "
                f"GRANT SELECT, UPDATE ON chatops.audit_head TO {role}; SET LOCAL ROLE {role}"
            )
            number = await record(transaction, ANN, "thing.do", Target("thing"))
            assert await transaction.fetchval("SELECT max(id) FROM chatops.audit_log") == number
            await transaction.execute("DELETE FROM chatops.audit_log")

    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
        await act()


async def test_many_at_once_make_one_chain(settings, database) -> None:
    async def work(number: int) -> None:
        for turn in range(5):
            await note(database, ANN, "thing.do", Target("thing", f"{number}-{turn}"))

    before = (await verify(database)).checked
    if database.runs_policies:
        # Two backends.
        async with open_database(settings) as other:
            await asyncio.gather(*map(work, range(4)), *(note(other, ANN, "thing.do", Target("t")) for _ in range(20)))
        made = 40
    else:
        await asyncio.gather(*map(work, range(8)))
        made = 40
    found = await verify(database)
    assert (found.valid, found.checked) == (True, before + made)


async def test_an_entry_costs_milliseconds(database) -> None:
    started = time.perf_counter()
    for _ in range(50):
        await note(database, ANN, "thing.do", Target("thing", 1, "a name"), after={"a": list(range(20))})
    assert (time.perf_counter() - started) / 50 < 0.1


def test_a_hash_can_be_computed_by_hand() -> None:
    """Written out, so that the encoding cannot change unnoticed: whatever is stored would look edited."""
    entry = Entry(
        id=1,
        time=datetime(2026, 11, 24, 10, 0, 0, 5, tzinfo=UTC),
        actor_kind="person",
        user_id=7,
        username="änn",
        role="admin",
        session_id=None,
        address="127.0.0.1",
        action="user.create",
        target_type="user",
        target_id="8",
        target_name="bob",
        server_id=None,
        before=None,
        after='{"role":"viewer"}',
        result="ok",
        detail="",
        intent_id=None,
    )
    text = (
        "1:1,16:1795514400000005,6:person,1:7,4:änn,5:admin,-,9:127.0.0.1,11:user.create,4:user,1:8,3:bob,-,-,"
        '17:{"role":"viewer"},2:ok,0:,-'
    ).replace(",", "")
    assert entry_hash(BEGINNING, entry) == hashlib.sha256(bytes(32) + text.encode()).digest()
