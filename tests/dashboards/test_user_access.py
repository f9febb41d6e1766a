"""What administrators do about another's reach: servers, sessions, a lost second factor. Said before, done as said."""

import time
from datetime import UTC, datetime

import pyotp
import pytest
from msgspec.structs import replace

from chatops_client import ApiError, AsyncClient
from chatops_dashboards.components.user_actions import carry_out
from chatops_dashboards.components.user_actions import consequence as consequence_of_act
from chatops_dashboards.components.user_servers import consequence, servers_words
from chatops_dashboards.components.user_sessions import EVERY, question, shown
from chatops_dashboards.pages.users import draw_users
from chatops_dashboards.session import Session
from chatops_protocol.resources import Server, User
from tests.dashboards.test_fleet_view import text_of
from tests.stack import Backend

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 24, tzinfo=UTC)
PASSWORD = "the first password"
USER = User(7, "ann", "operator", "Ann", True, NOW)


def server(number: int, *tags: str) -> Server:
    return Server(number, f"web-{number}", "", list(tags), "online", NOW)


SERVERS = [server(1, "prod"), server(2), server(3, "prod", "db")]


def test_what_a_limit_leaves_is_named_before_it_is_saved() -> None:
    words = consequence(USER, SERVERS, False, {2}, ["db"])
    assert "2 of 3 servers: web-2, web-3." in words
    assert "get one of the tags later" in words
    assert "to come included" in consequence(USER, SERVERS, True, {2}, ["db"])
    assert "later" not in consequence(USER, SERVERS, False, {2}, [])


def test_nothing_chosen_is_said_to_be_nothing() -> None:
    assert "no server at all" in consequence(USER, SERVERS, False, set(), [])
    assert servers_words(replace(USER, all_servers=False)) == "none"


def test_of_many_servers_some_are_named() -> None:
    many = [server(number) for number in range(40)]
    assert "and 34 more" in consequence(USER, many, False, set(range(40)), [])


def test_an_administrator_is_said_to_see_all_whatever_is_chosen() -> None:
    admin = replace(USER, role="admin", all_servers=False)
    assert servers_words(admin) == "all"
    assert "is an administrator and sees all" in consequence(admin, SERVERS, False, {1}, [])


def test_the_table_says_who_is_limited_and_who_has_a_second_factor() -> None:
    limited = replace(USER, all_servers=False, server_ids=[1, 2], server_tags=["prod"], second_factor=True)
    text = text_of(draw_users([limited, replace(USER, id=8, username="bob")], 1, NOW, UTC))
    assert "2 chosen ones and those tagged prod" in text
    assert text.count("second factor") == 1
    assert text.count("Second factor off…") == 1


async def test_sessions_of_another_are_listed_and_the_question_says_whose(session: Session, backend: Backend) -> None:
    user = await session.client.create_user(f"someone-{time.time_ns()}", PASSWORD, "viewer")
    assert "Nobody is logged in" in text_of(await shown(session, user.id, UTC))
    async with AsyncClient(backend.url) as theirs:
        await theirs.login(user.username, PASSWORD)
        [found] = await theirs.account.sessions()
        assert "Python client" in text_of(await shown(session, user.id, UTC))
        words = text_of(await question(session, user.id, user.username, str(found.id)))
        assert f"of “{user.username}”" in words
        assert "cancelled" in words
        assert "all 1 sessions" not in text_of(await question(session, user.id, user.username, EVERY))


async def test_a_lost_second_factor_is_switched_off(session: Session, backend: Backend) -> None:
    user = await session.client.create_user(f"someone-{time.time_ns()}", PASSWORD, "viewer")
    async with AsyncClient(backend.url) as theirs:
        await theirs.login(user.username, PASSWORD)
        await theirs.account.confirm(pyotp.TOTP((await theirs.account.enrol(PASSWORD)).secret).now())
        with pytest.raises(ApiError):
            await theirs.login(user.username, PASSWORD)
        assert "their password alone lets them in" in consequence_of_act("factor", user)
        done, _ = await carry_out(session, "factor", user.id)
        assert user.username in done
        await theirs.login(user.username, PASSWORD)
