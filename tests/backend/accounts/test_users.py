"""Accounts as administrators see them, and the last administrator, who stays."""

import asyncio

import pytest

from chatops_backend.accounts import users
from chatops_backend.accounts.service import STATE_KEY
from chatops_backend.audit.actor import SYSTEM
from chatops_backend.database.open import open_database
from chatops_backend.problems import ProblemError
from chatops_protocol.resources import UpdateUserRequest

pytestmark = pytest.mark.anyio

MISSING = 2_000_000_000


async def test_an_administrator_creates_reads_changes_and_deletes_a_user(admin, anonymous, unique_name) -> None:
    new = {"username": unique_name, "password": "a long enough one", "role": "operator", "display_name": "Ann Ö."}
    created = await admin.api.post("/users", json=new)
    assert created.status_code == 201
    user = created.json()
    assert user.keys() >= {"id", "username", "role", "display_name", "active", "created_at"}
    assert not any("password" in name for name in user)
    assert user["created_at"].endswith("Z")
    assert (await admin.api.get(f"/users/{user['id']}")).json() == user
    changed = await admin.api.put(f"/users/{user['id']}", json={"display_name": "Ann"})
    assert changed.json() == user | {"display_name": "Ann"}
    login = {"username": unique_name, "password": "a long enough one"}
    assert (await anonymous.post("/auth/login", json=login)).status_code == 200
    assert (await admin.api.delete(f"/users/{user['id']}")).status_code == 204
    assert (await admin.api.get(f"/users/{user['id']}")).status_code == 404
    assert (await anonymous.post("/auth/login", json=login)).status_code == 401


async def test_a_name_is_taken_whatever_its_case(admin, viewer) -> None:
    new = {"username": viewer.username.upper(), "password": "a long enough one", "role": "viewer"}
    answer = await admin.api.post("/users", json=new)
    assert (answer.status_code, answer.json()["title"]) == (409, "Name taken")


@pytest.mark.parametrize("role", ["viewer", "operator"])
@pytest.mark.parametrize(
    ("method", "path"), [("GET", ""), ("POST", ""), ("GET", "/1"), ("PUT", "/1"), ("PATCH", "/1"), ("DELETE", "/1")]
)
async def test_others_do_not_get_to_the_accounts(new_person, role, method, path) -> None:
    person = await new_person(role)
    assert (await person.api.request(method, "/users" + path, json={})).status_code == 403


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("user_id", [0, MISSING, 2**40, 2**63 - 1])
async def test_a_missing_user_is_a_404(admin, method, user_id) -> None:
    body = {} if method in ("GET", "DELETE") else {"json": {"display_name": "x"}}
    answer = await admin.api.request(method, f"/users/{user_id}", **body)
    assert answer.status_code == 404
    assert str(user_id) in answer.json()["detail"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"username": "with space"}, "username"),
        ({"username": "newline\n"}, "username"),
        ({"username": ""}, "username"),
        ({"username": "x" * 65}, "username"),
        ({"username": "nul\0"}, "username"),
        ({"password": "short"}, "password"),
        ({"password": "x" * 257}, "password"),
        ({"role": "root"}, "role"),
        ({"role": None}, "role"),
        ({"display_name": "nul\0"}, "display_name"),
        ({"display_name": ["x"]}, "display_name"),
        ({"active": True}, None),
        ({"id": 1}, None),
    ],
)
async def test_a_malformed_user_is_a_400_that_names_the_field(admin, unique_name, change, field) -> None:
    new = {"username": unique_name, "password": "a long enough one", "role": "viewer"} | change
    answer = await admin.api.post("/users", json=new)
    assert answer.status_code == 400
    assert field is None or answer.json()["extra"][0]["key"] == field


@pytest.mark.parametrize("path", ["/users/x", "/users/-1", "/users/1.5", f"/users/{2**64}", "/users/1/more"])
async def test_an_address_that_is_none_is_refused(admin, path) -> None:
    assert (await admin.api.get(path)).status_code in (400, 404)


async def test_the_list_comes_in_pages_without_gaps_or_repeats(admin, new_person) -> None:
    made = {(await new_person()).id for _ in range(5)}
    seen: list[int] = []
    cursor = {}
    while True:
        page = (await admin.api.get("/users", params={"limit": 2, **cursor})).json()
        assert len(page["items"]) <= 2
        seen += [user["id"] for user in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert seen == sorted(set(seen))
    assert made <= set(seen)


@pytest.mark.parametrize(
    "query",
    [{"limit": 0}, {"limit": -1}, {"limit": 1001}, {"limit": "x"}]
    + [{"cursor": cursor} for cursor in ("x", "AAAA", "WzFd\0", "é", "W10", "WyJ4Il0", "Wy0xXQ", "Wzk5OTk5OTk5OTk5XQ")],
)
async def test_a_malformed_limit_or_cursor_is_a_400(admin, query) -> None:
    assert (await admin.api.get("/users", params=query)).status_code == 400


async def test_me_is_the_caller_and_takes_a_display_name_only(viewer) -> None:
    answer = await viewer.api.put("/auth/me", json={"display_name": "Vera"})
    assert (answer.status_code, answer.json()["display_name"]) == (200, "Vera")
    for body in ({}, {"display_name": None}, {"display_name": "x", "role": "admin"}, {"display_name": "nul\0"}):
        assert (await viewer.api.put("/auth/me", json=body)).status_code == 400
    assert (await viewer.api.get("/auth/me")).json()["role"] == "viewer"


async def refusals(database, person, action: str) -> list[str]:
    rows = await database.fetch(
        "SELECT detail FROM chatops.audit_log WHERE user_id = $1 AND action = $2 AND result = 'refused'",
        person.id,
        action,
    )
    return [row["detail"] for row in rows]


async def test_the_own_password_is_not_set_without_the_current_one(admin, new_person, database) -> None:
    other = await new_person("admin")
    change = {"password": "another long password", "display_name": "Changed"}
    for method in ("PUT", "PATCH"):
        answer = await admin.api.request(method, f"/users/{admin.id}", json=change)
        assert (answer.status_code, "/auth/change-password" in answer.json()["detail"]) == (403, True)
    assert (await admin.api.get("/auth/me")).json()["display_name"] == ""
    assert (await new_person(again=admin)).username == admin.username
    assert await refusals(database, admin, "user.update") == ["the own account"] * 2
    # Of somebody else it is, and they are logged out.
    assert (await other.api.patch(f"/users/{admin.id}", json=change)).status_code == 200
    assert (await admin.api.get("/auth/me")).status_code == 401
    assert (await other.api.patch(f"/users/{other.id}", json={"display_name": "Mine"})).status_code == 200


@pytest.fixture
async def lonely_app(new_settings, build_app):
    settings = await new_settings()
    async with open_database(settings) as database:
        yield build_app(database, settings)


async def test_the_last_active_administrator_stays(lonely_app, new_person) -> None:
    boss = await new_person("admin", into=lonely_app)
    for change in ({"role": "operator"}, {"role": "viewer"}, {"active": False}, {"active": False, "role": "admin"}):
        answer = await boss.api.patch(f"/users/{boss.id}", json=change)
        assert (answer.status_code, answer.json()["title"]) == (409, "Last administrator")
    assert (await boss.api.delete(f"/users/{boss.id}")).status_code == 409

    # A disabled administrator is none, and one who may only look is none either.
    second = await new_person("admin", into=lonely_app)
    await new_person("operator", into=lonely_app)
    assert (await boss.api.patch(f"/users/{second.id}", json={"active": False})).status_code == 200
    assert (await boss.api.delete(f"/users/{boss.id}")).status_code == 409
    assert (await boss.api.patch(f"/users/{second.id}", json={"active": True})).status_code == 200

    # Two who remove each other at once: one of them is refused.
    third = await new_person("admin", into=lonely_app)
    assert (await boss.api.delete(f"/users/{second.id}")).status_code == 204
    answers = await asyncio.gather(
        boss.api.delete(f"/users/{third.id}"), third.api.patch(f"/users/{boss.id}", json={"role": "viewer"})
    )
    assert sorted(answer.status_code for answer in answers) in ([200, 401], [200, 409], [204, 401], [204, 409])
    database = lonely_app.state[STATE_KEY].database
    count = "SELECT count(*) FROM chatops.users WHERE role = 'admin' AND active"
    assert await database.fetchval(count) == 1


async def test_two_administrators_who_remove_each_other_at_once_do_not_both_succeed(lonely_app, new_person) -> None:
    service = lonely_app.state[STATE_KEY]
    first, second = await new_person("admin", into=lonely_app), await new_person("admin", into=lonely_app)
    lower, raised = UpdateUserRequest(role="viewer"), UpdateUserRequest(role="admin")

    async def change(person, request: UpdateUserRequest) -> None:
        await users.update_user(service.database, service.principals, person.id, request, None, SYSTEM)

    for _ in range(20):
        answers = await asyncio.gather(change(first, lower), change(second, lower), return_exceptions=True)
        refused = [answer for answer in answers if answer is not None]
        assert [type(error) for error in refused] == [ProblemError]
        for person in (first, second):
            await change(person, raised)
