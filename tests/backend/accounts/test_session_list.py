"""Sessions as people see and end them: their own, and administrators everybody's."""

import asyncio
import uuid

import httpx
import pytest

from chatops_backend.accounts import sessions

pytestmark = pytest.mark.anyio


async def listed(api: httpx.AsyncClient, path: str = "/auth/sessions", **query) -> list[dict]:
    answer = await api.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


async def test_a_session_is_listed_with_where_it_came_from(app, client_of, viewer) -> None:
    login = {"username": viewer.username, "password": viewer.password}
    agent = {"User-Agent": "Browser of the test\x7f " + "x" * 500}
    async with client_of(app, address="192.0.2.44") as elsewhere:
        tokens = (await elsewhere.post("/auth/login", json=login, headers=agent)).json()
        newest, first = await listed(viewer.api)
        assert (newest["address"], newest["current"], first["current"]) == ("192.0.2.44", False, True)
        assert newest["client"].startswith("Browser of the test x")
        assert len(newest["client"]) == 200
        assert newest["last_used_at"] == newest["created_at"]
        assert (await elsewhere.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})).is_success
    assert (await listed(viewer.api))[0]["last_used_at"] > newest["last_used_at"]
    assert not any("token" in name for name in newest)


async def test_the_list_comes_in_pages(viewer, new_person) -> None:
    for _ in range(4):
        await new_person(again=viewer)
    seen, cursor = [], {}
    while True:
        page = (await viewer.api.get("/auth/sessions", params={"limit": 2, **cursor})).json()
        seen += [session["id"] for session in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert len(seen) == len(set(seen)) == 5


async def test_one_ends_one_of_the_own_sessions_and_not_the_others(viewer, new_person) -> None:
    other, kept = await new_person(again=viewer), await new_person(again=viewer)
    [mine] = [session for session in await listed(other.api) if session["current"]]
    assert (await viewer.api.delete(f"/auth/sessions/{mine['id']}")).status_code == 204
    assert (await other.api.get("/auth/me")).status_code == 401
    assert (await viewer.api.post("/auth/refresh", json={"refresh_token": other.refresh_token})).status_code == 401
    assert (await kept.api.get("/auth/me")).status_code == 200
    assert mine["id"] not in [session["id"] for session in await listed(viewer.api)]
    assert (await viewer.api.delete(f"/auth/sessions/{mine['id']}")).status_code == 404


async def test_all_others_end_at_once(viewer, new_person) -> None:
    other = await new_person(again=viewer)
    assert (await viewer.api.delete("/auth/sessions")).status_code == 204
    assert (await other.api.get("/auth/me")).status_code == 401
    assert [session["current"] for session in await listed(viewer.api)] == [True]


async def test_nobody_ends_a_session_of_somebody_else(viewer, operator) -> None:
    [theirs] = await listed(operator.api)
    assert (await viewer.api.delete(f"/auth/sessions/{theirs['id']}")).status_code == 404
    assert (await viewer.api.get(f"/users/{operator.id}/sessions")).status_code == 403
    assert (await viewer.api.delete(f"/users/{operator.id}/sessions/{theirs['id']}")).status_code == 403
    assert (await operator.api.get("/auth/me")).status_code == 200


async def test_administrators_see_and_end_the_sessions_of_others(admin, viewer, operator, new_person) -> None:
    second = await new_person(again=viewer)
    found = await listed(admin.api, f"/users/{viewer.id}/sessions")
    assert [session["current"] for session in found] == [False, False]
    [of_operator] = await listed(admin.api, f"/users/{operator.id}/sessions")
    # The path names whose it is.
    assert (await admin.api.delete(f"/users/{viewer.id}/sessions/{of_operator['id']}")).status_code == 404
    assert (await admin.api.delete(f"/users/{viewer.id}/sessions/{found[0]['id']}")).status_code == 204
    assert (await second.api.get("/auth/me")).status_code == 401
    assert (await viewer.api.get("/auth/me")).status_code == 200
    assert (await admin.api.delete(f"/users/{viewer.id}/sessions")).status_code == 204
    assert (await viewer.api.get("/auth/me")).status_code == 401
    assert (await operator.api.get("/auth/me")).status_code == 200


@pytest.mark.parametrize("session_id", ["x", "1", str(uuid.UUID(int=0))])
async def test_what_is_no_session_is_not_found(admin, session_id) -> None:
    assert (await admin.api.delete(f"/auth/sessions/{session_id}")).status_code in (400, 404)
    assert (await admin.api.delete(f"/users/{admin.id}/sessions/{session_id}")).status_code in (400, 404)
    assert (await admin.api.get("/users/2000000000/sessions")).status_code == 404


async def test_a_session_that_is_over_is_not_listed(viewer, new_person, database, monkeypatch) -> None:
    monkeypatch.setattr(sessions, "IDLE_S", 0.05)
    await new_person(again=viewer)
    async with asyncio.timeout(5):
        while len(await listed(viewer.api)) > 1:
            await asyncio.sleep(0.02)
