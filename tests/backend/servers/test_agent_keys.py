"""Keys of agents: shown once, stored as hashes, checked before the database is asked, and over when they are over."""

import secrets
from datetime import UTC, datetime, timedelta

import pytest

from chatops_backend.servers.agent_keys import (
    STATE_KEY,
    generate_key,
    hash_key,
    identify_agent,
    is_well_formed,
    still_valid,
)

pytestmark = pytest.mark.anyio

MISSING = 2_000_000_000


@pytest.fixture
async def server(admin) -> dict:
    return (await admin.api.post("/servers", json={"name": f"server {secrets.token_hex(6)}"})).json()


@pytest.fixture
async def key(admin, server) -> dict:
    answer = await admin.api.post("/api-keys", json={"server_id": server["id"], "name": "first"})
    assert answer.status_code == 201
    return answer.json()


@pytest.fixture
def revoked(app):
    """The ids that were announced as over."""
    announced: list[int] = []
    unsubscribe = app.state[STATE_KEY].subscribe(announced.extend)
    yield announced
    unsubscribe()


async def test_a_key_is_shown_once_and_stored_as_a_hash(admin, database, server, key) -> None:
    assert key["key"].startswith("chatops_agent_")
    assert key["key"].startswith(key["hint"])
    assert len(key["hint"]) == len("chatops_agent_") + 4
    listed = await admin.api.get("/api-keys", params={"server_id": server["id"]})
    assert key["key"] not in listed.text
    shown = {"key": key["key"], "command_key": key["command_key"]}
    assert [item | shown for item in listed.json()["items"]] == [key | {"last_used_at": None}]
    row = await database.fetchrow("SELECT * FROM chatops.api_keys WHERE id = $1", key["id"])
    assert bytes(row["key_hash"]) == hash_key(key["key"])
    assert key["key"] not in str(dict(row))


async def test_a_key_speaks_for_its_server_and_its_use_is_noted(admin, database, server, key) -> None:
    identity = await identify_agent(database, key["key"])
    assert identity is not None
    assert (identity.server_id, identity.key_id, identity.server_name) == (server["id"], key["id"], server["name"])
    listed = (await admin.api.get("/api-keys", params={"server_id": server["id"]})).json()["items"]
    assert listed[0]["last_used_at"] is not None


class NoDatabase:
    def __getattr__(self, name: str) -> object:
        raise AssertionError("the database was asked")


async def test_a_mistyped_key_is_refused_without_a_query(key) -> None:
    good = key["key"]
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    wrong = {good[:end] for end in range(len(good))} | {good + "0", " " + good, good + "\n", good.upper(), good.lower()}
    for at in range(len("chatops_agent_"), len(good)):
        wrong.add(good[:at] + digits[(digits.index(good[at]) + 1) % 62] + good[at + 1 :])
        if good[at - 1] != good[at] and at > len("chatops_agent_"):
            wrong.add(good[: at - 1] + good[at] + good[at - 1] + good[at + 1 :])
    wrong |= {"", "chatops_agent_", "\0", "chatops_agent_" + "é" * 49, "chatops_agent_" + "٣" * 49}
    for candidate in wrong:
        assert await identify_agent(NoDatabase(), candidate) is None  # type: ignore[arg-type]


def test_keys_are_well_formed_and_never_the_same() -> None:
    keys = {generate_key() for _ in range(2000)}
    assert len(keys) == 2000
    assert all(is_well_formed(key) and len(key) == 63 for key in keys)


async def test_a_well_formed_key_that_nobody_made_speaks_for_nobody(database) -> None:
    assert await identify_agent(database, generate_key()) is None


async def test_a_deactivated_key_is_over_at_once_and_stays_listed(admin, database, server, key, revoked) -> None:
    assert await still_valid(database, [key["id"], MISSING]) == {key["id"]}
    answer = await admin.api.post(f"/api-keys/{key['id']}/deactivate")
    assert (answer.status_code, answer.json()["active"]) == (200, False)
    assert revoked == [key["id"]]
    assert await identify_agent(database, key["key"]) is None
    assert await still_valid(database, [key["id"]]) == set()
    assert (await admin.api.post(f"/api-keys/{key['id']}/deactivate")).status_code == 200
    listed = (await admin.api.get("/api-keys", params={"server_id": server["id"]})).json()["items"]
    assert [item["active"] for item in listed] == [False]


async def test_a_deleted_key_is_over_and_gone(admin, database, server, key, revoked) -> None:
    assert (await admin.api.delete(f"/api-keys/{key['id']}")).status_code == 204
    assert revoked == [key["id"]]
    assert await identify_agent(database, key["key"]) is None
    assert (await admin.api.get("/api-keys", params={"server_id": server["id"]})).json()["items"] == []


async def test_the_keys_of_a_deleted_server_are_over(admin, database, server, key, revoked) -> None:
    assert (await admin.api.delete(f"/servers/{server['id']}")).status_code == 204
    assert revoked == [key["id"]]
    assert await identify_agent(database, key["key"]) is None
    assert await still_valid(database, [key["id"]]) == set()


async def test_an_expired_key_is_over(admin, database, server) -> None:
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    key = (await admin.api.post("/api-keys", json={"server_id": server["id"], "name": "k", "expires_at": later})).json()
    assert await identify_agent(database, key["key"]) is not None
    await database.execute("UPDATE chatops.api_keys SET expires_at = now() WHERE id = $1", key["id"])
    assert await identify_agent(database, key["key"]) is None
    assert await still_valid(database, [key["id"]]) == set()


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "x"},
        {"name": ""},
        {"name": "x", "server_id": "one"},
        {"name": "x", "server_id": None},
        {"name": "x", "server_id": -1},
        {"name": "x", "server_id": 2**64},
        {"name": "x", "server_id": []},
        {"name": "x", "server_id": "all"},
        {"name": "x", "server_id": 1, "expires_at": "2020-01-01T00:00:00Z"},
        {"name": "x", "server_id": 1, "expires_at": "2099-01-01T00:00:00"},
        {"name": "x", "server_id": 1, "expires_at": "tomorrow"},
        {"name": "x", "server_id": 1, "key": "chatops_agent_mine"},
    ],
)
async def test_a_malformed_key_request_is_a_400(admin, body) -> None:
    assert (await admin.api.post("/api-keys", json=body)).status_code == 400


async def test_what_is_missing_is_a_404(admin) -> None:
    answers = [
        await admin.api.post("/api-keys", json={"server_id": MISSING, "name": "x"}),
        await admin.api.post("/api-keys", json={"server_id": 2**60, "name": "x"}),
        await admin.api.post(f"/api-keys/{MISSING}/deactivate"),
        await admin.api.delete(f"/api-keys/{MISSING}"),
        await admin.api.delete(f"/api-keys/{2**63 - 1}"),
    ]
    assert [answer.status_code for answer in answers] == [404] * 5
    assert (await admin.api.get("/api-keys", params={"server_id": MISSING})).json()["items"] == []


async def test_only_administrators_see_or_make_keys(viewer, operator, key) -> None:
    for person in (viewer, operator):
        answers = [
            await person.api.get("/api-keys"),
            await person.api.post("/api-keys", json={"server_id": key["server_id"], "name": "x"}),
            await person.api.post(f"/api-keys/{key['id']}/deactivate"),
            await person.api.delete(f"/api-keys/{key['id']}"),
        ]
        assert [answer.status_code for answer in answers] == [403] * 4
