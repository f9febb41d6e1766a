"""What an administrator does to another's account in the dashboard: said before, done as said, told once."""

import time
from datetime import UTC

import pytest
from msgspec.structs import replace

from chatops_client import ApiError, AsyncClient
from chatops_dashboards.components.user_actions import carry_out, consequence, new_password, password_once
from chatops_dashboards.pages.users import draw_users
from chatops_dashboards.session import Session
from chatops_protocol.resources import Role, User
from tests.dashboards.test_fleet_view import text_of
from tests.dashboards.test_pages import HOSTILE
from tests.stack import Backend

pytestmark = pytest.mark.anyio
FIRST = "the first password"


async def add(session: Session, role: Role = "operator") -> User:
    return await session.client.create_user(f"someone-{time.time_ns()}", FIRST, role, "Some One")


async def may_log_in(backend: Backend, user: User, password: str) -> bool:
    async with AsyncClient(backend.url) as client:
        try:
            await client.login(user.username, password)
        except ApiError as error:
            return error.status != 401
    return True


async def test_a_new_password_replaces_the_old_one_and_ends_sessions(session: Session, backend: Backend) -> None:
    user = await add(session)
    async with AsyncClient(backend.url) as theirs:
        await theirs.login(user.username, FIRST)
        done, password = await carry_out(session, "password", user.id)
        assert password is not None
        with pytest.raises(ApiError):
            await theirs.me()
    assert user.username in done
    assert password not in done
    assert not await may_log_in(backend, user, FIRST)
    assert await may_log_in(backend, user, password)


async def test_who_is_switched_off_cannot_log_in_until_switched_on(session: Session, backend: Backend) -> None:
    user = await add(session)
    await carry_out(session, "off", user.id)
    assert not await may_log_in(backend, user, FIRST)
    await carry_out(session, "on", user.id)
    assert await may_log_in(backend, user, FIRST)


async def test_a_deleted_user_is_gone(session: Session) -> None:
    user = await add(session)
    assert await carry_out(session, "delete", user.id) == (f"{user.username} is deleted.", None)
    assert user.id not in {other.id for other in await session.client.users()}


async def test_a_role_is_changed_as_chosen(session: Session) -> None:
    user = await add(session)
    done, _ = await carry_out(session, "role", user.id, "viewer")
    assert done == f"{user.username} is viewer now."
    assert {u.id: u.role for u in await session.client.users()}[user.id] == "viewer"


@pytest.mark.parametrize(
    ("do", "role", "said"),
    [
        ("password", "", "old one ends"),
        ("off", "", "cannot log in until"),
        ("delete", "", "cannot be undone"),
        ("role", "viewer", "may do less"),
        ("role", "admin", "may do more"),
    ],
)
async def test_the_dialogue_names_whom_it_meets_and_what_follows(
    session: Session, do: str, role: str, said: str
) -> None:
    user = await add(session)
    words = consequence(do, user, role)
    assert f"“{user.username}” (Some One)" in words
    assert said in words


async def test_nobody_is_offered_to_lock_out_themselves(session: Session) -> None:
    users = await session.client.users()
    mine = next(user for user in users if user.id == session.user.id)
    table = draw_users([mine], session.user.id, mine.created_at, UTC)
    offered = [c.id for c in table._traverse() if isinstance(getattr(c, "id", None), dict)]
    assert offered == []
    assert HOSTILE in text_of(draw_users([replace(mine, username=HOSTILE)], 0, mine.created_at, UTC))


def test_generated_passwords_differ_and_suffice() -> None:
    made = {new_password() for _ in range(100)}
    assert len(made) == 100
    assert all(len(password) >= 12 for password in made)
    assert "shown only now" in text_of(password_once(next(iter(made))))
