"""Log-in, refresh, logout: what a session allows, and everything that ends it at once."""

import asyncio

import httpx
import pytest

from chatops_backend.database.interface import Database

pytestmark = pytest.mark.anyio


async def refresh(client: httpx.AsyncClient, token: str) -> httpx.Response:
    return await client.post("/auth/refresh", json={"refresh_token": token})


async def test_a_login_answers_both_tokens_and_the_person(anonymous, viewer) -> None:
    answer = await anonymous.post(
        "/auth/login", json={"username": viewer.username.upper(), "password": viewer.password}
    )
    body = answer.json()
    assert answer.status_code == 200
    assert (body["token_type"], body["expires_in"]) == ("Bearer", 900)
    assert body["refresh_token"].startswith("chatops_refresh_")
    assert (body["user"]["username"], body["user"]["role"], body["user"]["active"]) == (viewer.username, "viewer", True)


async def test_the_access_token_opens_what_the_role_may(viewer) -> None:
    assert (await viewer.api.get("/auth/me")).json()["username"] == viewer.username
    refused = await viewer.api.get("/users")
    assert refused.status_code == 403
    assert refused.headers["content-type"] == "application/problem+json"
    assert "needs the role admin" in refused.json()["detail"]


async def test_a_refresh_answers_new_tokens_that_work(anonymous, viewer) -> None:
    first = await refresh(anonymous, viewer.refresh_token)
    assert first.status_code == 200
    viewer.api.headers["Authorization"] = f"Bearer {first.json()['access_token']}"
    assert (await viewer.api.get("/auth/me")).status_code == 200
    assert (await refresh(anonymous, first.json()["refresh_token"])).status_code == 200


async def test_a_refresh_token_used_twice_ends_its_session_at_once(anonymous, viewer, new_person) -> None:
    other = await new_person(again=viewer)
    following = (await refresh(anonymous, viewer.refresh_token)).json()
    assert (await viewer.api.get("/auth/me")).status_code == 200
    assert (await refresh(anonymous, viewer.refresh_token)).status_code == 401
    assert (await viewer.api.get("/auth/me")).status_code == 401
    assert (await refresh(anonymous, following["refresh_token"])).status_code == 401
    assert (await other.api.get("/auth/me")).status_code == 200


async def test_of_fifty_uses_at_once_one_has_a_successor_and_the_session_dies(anonymous, viewer) -> None:
    answers = await asyncio.gather(*(refresh(anonymous, viewer.refresh_token) for _ in range(50)))
    successors = [answer.json()["refresh_token"] for answer in answers if answer.status_code == 200]
    assert len(successors) == 1
    assert {answer.status_code for answer in answers} == {200, 401}
    assert (await refresh(anonymous, successors[0])).status_code == 401
    assert (await viewer.api.get("/auth/me")).status_code == 401


@pytest.mark.parametrize("with_what", ["refresh token", "access token", "both"])
async def test_a_logout_ends_the_session_and_no_other(anonymous, viewer, new_person, with_what) -> None:
    other = await new_person(again=viewer)
    client = anonymous if with_what == "refresh token" else viewer.api
    body = {} if with_what == "access token" else {"json": {"refresh_token": viewer.refresh_token}}
    assert (await viewer.api.get("/auth/me")).status_code == 200
    assert (await client.post("/auth/logout", **body)).status_code == 204
    assert (await viewer.api.get("/auth/me")).status_code == 401
    assert (await refresh(anonymous, viewer.refresh_token)).status_code == 401
    assert (await other.api.get("/auth/me")).status_code == 200


async def test_a_logout_without_any_token_is_refused(anonymous) -> None:
    assert (await anonymous.post("/auth/logout")).status_code == 401
    unknown = {"refresh_token": "chatops_refresh_" + "a" * 43}
    assert (await anonymous.post("/auth/logout", json=unknown)).status_code == 401


async def test_a_changed_password_ends_the_other_sessions(anonymous, viewer, new_person) -> None:
    other = await new_person(again=viewer)
    assert (await other.api.get("/auth/me")).status_code == 200
    change = {"current_password": viewer.password, "new_password": "another long password"}
    assert (await viewer.api.post("/auth/change-password", json=change)).status_code == 204
    assert (await other.api.get("/auth/me")).status_code == 401
    assert (await viewer.api.get("/auth/me")).status_code == 200
    for password, status in ((viewer.password, 401), ("another long password", 200)):
        answer = await anonymous.post("/auth/login", json={"username": viewer.username, "password": password})
        assert answer.status_code == status


async def test_a_wrong_current_password_changes_nothing(anonymous, viewer) -> None:
    change = {"current_password": "not the password", "new_password": "another long password"}
    assert (await viewer.api.post("/auth/change-password", json=change)).status_code == 403
    short = {"current_password": viewer.password, "new_password": "short"}
    refused = await viewer.api.post("/auth/change-password", json=short)
    assert refused.status_code == 400
    assert refused.json()["extra"][0]["key"] == "new_password"
    login = {"username": viewer.username, "password": viewer.password}
    assert (await anonymous.post("/auth/login", json=login)).status_code == 200


async def test_a_higher_role_counts_at_once_and_a_lower_one_ends_the_sessions(admin, viewer) -> None:
    assert (await viewer.api.get("/users")).status_code == 403
    assert (await admin.api.patch(f"/users/{viewer.id}", json={"role": "admin"})).status_code == 200
    assert (await viewer.api.get("/users")).status_code == 200
    assert (await admin.api.patch(f"/users/{viewer.id}", json={"role": "operator"})).status_code == 200
    assert (await viewer.api.get("/users")).status_code == 401


@pytest.mark.parametrize("change", [{"active": False}, {"password": "set by the administrator"}])
async def test_a_disabled_account_or_a_reset_password_ends_the_sessions(admin, viewer, anonymous, change) -> None:
    assert (await viewer.api.get("/auth/me")).status_code == 200
    assert (await admin.api.patch(f"/users/{viewer.id}", json=change)).status_code == 200
    assert (await viewer.api.get("/auth/me")).status_code == 401
    assert (await refresh(anonymous, viewer.refresh_token)).status_code == 401
    login = {"username": viewer.username, "password": viewer.password}
    assert (await anonymous.post("/auth/login", json=login)).status_code == 401


async def test_what_another_process_changes_counts_within_a_second(viewer, database: Database) -> None:
    assert (await viewer.api.get("/auth/me")).status_code == 200
    await database.execute("UPDATE chatops.users SET active = false WHERE id = $1", viewer.id)
    async with asyncio.timeout(1.5):
        while (await viewer.api.get("/auth/me")).status_code != 401:
            await asyncio.sleep(0.02)


async def test_a_session_that_was_not_refreshed_for_its_time_is_over(viewer, anonymous, database: Database) -> None:
    query = "UPDATE chatops.sessions SET expires_at = now() - INTERVAL '1 second' WHERE user_id = $1"
    await database.execute(query, viewer.id)
    assert (await refresh(anonymous, viewer.refresh_token)).status_code == 401
    assert (await viewer.api.get("/auth/me")).status_code == 401


async def test_a_refresh_extends_the_session_up_to_its_longest_life(viewer, anonymous, database: Database) -> None:
    query = "UPDATE chatops.sessions SET created_at = now() - INTERVAL '179 days' WHERE user_id = $1"
    await database.execute(query, viewer.id)
    assert (await refresh(anonymous, viewer.refresh_token)).status_code == 200
    left = await database.fetchval("SELECT expires_at - now() FROM chatops.sessions WHERE user_id = $1", viewer.id)
    assert left.days == 0


async def test_no_token_is_stored_as_it_is(viewer, database: Database) -> None:
    hashes = await database.fetch(
        "SELECT token_hash FROM chatops.refresh_tokens JOIN chatops.sessions ON id = session_id WHERE user_id = $1",
        viewer.id,
    )
    assert [len(row["token_hash"]) for row in hashes] == [32]
    assert viewer.refresh_token.encode() not in hashes[0]["token_hash"]


async def test_a_busy_session_asks_the_database_about_once_a_second(accounts, viewer, monkeypatch) -> None:
    asked = 0
    fetchrow = accounts.database.fetchrow

    async def counted(query: str, *args: object) -> object:
        nonlocal asked
        asked += "FROM chatops.sessions" in query
        return await fetchrow(query, *args)

    monkeypatch.setattr(accounts.database, "fetchrow", counted)
    for _ in range(100):
        assert await accounts.authenticate(viewer.access_token) is not None
    assert asked <= 2
