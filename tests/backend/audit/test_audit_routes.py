"""The log as administrators read it over the API."""

import secrets
from datetime import timedelta

import httpx
import pytest

from chatops_backend.audit import routes
from chatops_backend.audit.actor import Actor
from chatops_backend.audit.trail import Target, note

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def audit_app(build_app, database, settings):
    return build_app(database, settings, handlers=tuple(routes.route_handlers))


@pytest.fixture
async def api(audit_app, new_person) -> httpx.AsyncClient:
    return (await new_person("admin", into=audit_app)).api


@pytest.fixture
async def somebody(database) -> str:
    """A name with three entries: a server, a user, and what was refused."""
    name = f"auditor-{secrets.token_hex(4)}"
    actor = Actor("person", name, 12, "admin", None, "192.0.2.9")
    await note(database, actor, "server.update", Target("server", 77, "Web"), after={"description": "Needle in it"})
    await note(database, actor, "user.create", Target("user", 78, "bob"))
    await note(database, actor, "user.delete", Target("user", 79, "eve"), result="refused", detail="409 %_ Last")
    return name


async def names(api: httpx.AsyncClient, **query) -> list[str]:
    answer = await api.get("/audit", params=query)
    assert answer.status_code == 200, answer.text
    return [entry["action"] for entry in answer.json()["items"]]


async def test_an_entry_is_shown_with_everything_in_it(api, somebody) -> None:
    entry = (await api.get("/audit", params={"actor": somebody, "action": "server.update"})).json()["items"][0]
    assert entry["username"] == somebody
    assert entry["after"] == {"description": "Needle in it"}
    assert (entry["before"], entry["result"], entry["server_id"], entry["address"]) == (None, "ok", 77, "192.0.2.9")
    assert entry["time"].endswith("Z")
    assert len(entry["hash"]) == 64


async def test_filters_take_entries_out_of_the_list(api, somebody, database) -> None:
    assert await names(api, actor=somebody.upper()) == ["user.delete", "user.create", "server.update"]
    assert await names(api, actor=somebody, action="user") == ["user.delete", "user.create"]
    assert await names(api, actor=somebody, action="user.create") == ["user.create"]
    assert await names(api, actor=somebody, action="use") == []
    assert await names(api, actor=somebody, target_type="user", target_id="79") == ["user.delete"]
    assert await names(api, actor=somebody, server_id=77) == ["server.update"]
    assert await names(api, actor=somebody, result="refused") == ["user.delete"]
    assert await names(api, actor=somebody, search="needle") == ["server.update"]
    assert await names(api, actor=somebody, search="%_") == ["user.delete"]
    assert await names(api, actor=somebody, user_id=12) == ["user.delete", "user.create", "server.update"]
    assert await names(api, actor="nobody of this name") == []
    moment = await database.fetchval(
        "SELECT time FROM chatops.audit_log WHERE username = $1 AND action = 'user.create'", somebody
    )
    later = (moment + timedelta(microseconds=1)).isoformat()
    assert await names(api, actor=somebody, start=moment.isoformat(), end=later) == ["user.create"]


async def test_pages_have_no_gaps_and_no_repeats(api, somebody) -> None:
    first = (await api.get("/audit", params={"actor": somebody, "limit": 2})).json()
    rest = (await api.get("/audit", params={"actor": somebody, "limit": 2, "cursor": first["next_cursor"]})).json()
    assert [entry["action"] for entry in first["items"] + rest["items"]] == [
        "user.delete",
        "user.create",
        "server.update",
    ]
    assert rest["next_cursor"] is None


@pytest.mark.parametrize(
    "query",
    [
        {"limit": 0},
        {"cursor": "x"},
        {"result": "maybe"},
        {"start": "yesterday"},
        {"start": "2026-11-24T00:00:00"},
        {"user_id": -1},
        {"search": "nul\0"},
        {"actor": "x" * 201},
    ],
)
async def test_a_malformed_filter_is_a_400(api, query) -> None:
    assert (await api.get("/audit", params=query)).status_code == 400


async def test_the_log_verifies_over_the_api_and_against_a_head(api) -> None:
    found = (await api.get("/audit/verify")).json()
    assert found["valid"] is True
    assert found["checked"] == found["head"]["entries"]
    assert "first_bad" not in found
    head = "{entries}:{hash}".format(**found["head"])
    assert (await api.get("/audit/verify", params={"expect": head})).json()["valid"] is True
    other = f"{found['head']['entries']}:{'0' * 64}"
    assert (await api.get("/audit/verify", params={"expect": other})).json()["first_bad"] == found["checked"]
    assert (await api.get("/audit/verify", params={"expect": "x"})).status_code == 400


@pytest.mark.parametrize("role", ["viewer", "operator"])
@pytest.mark.parametrize("path", ["/audit", "/audit/verify"])
async def test_only_administrators_read_the_log(audit_app, new_person, role, path) -> None:
    assert (await (await new_person(role, into=audit_app)).api.get(path)).status_code == 403
