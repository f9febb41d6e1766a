"""Sessions: opaque, expiring, ended everywhere at once."""

from datetime import UTC, datetime

import pytest

from chatops_client import AsyncClient, Tokens
from chatops_dashboards.session import IDLE_S, LONGEST_S, SessionStore
from chatops_protocol.resources import User

pytestmark = pytest.mark.anyio
USER = User(1, "admin", "admin", "", True, datetime(2026, 1, 1, tzinfo=UTC))


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def client() -> AsyncClient:
    async with AsyncClient("http://127.0.0.1:9") as opened:
        return opened


async def test_a_session_is_found_by_its_id_alone(clock: Clock, client: AsyncClient) -> None:
    store = SessionStore(clock)
    session_id = store.create(USER, client)
    assert store.find(session_id) is not None
    assert store.find(session_id + "x") is None
    assert store.find("") is None
    assert store.find(None) is None


async def test_the_store_holds_no_id_that_a_cookie_could_carry(clock: Clock, client: AsyncClient) -> None:
    store = SessionStore(clock)
    session_id = store.create(USER, client)
    assert session_id not in repr(vars(store))


async def test_idle_and_old_sessions_end(clock: Clock, client: AsyncClient) -> None:
    store = SessionStore(clock)
    idle = store.create(USER, client)
    clock.now = IDLE_S + 1
    assert store.find(idle) is None
    kept = store.create(USER, client)
    while clock.now < LONGEST_S + 2 * IDLE_S:
        clock.now += IDLE_S / 2
        found = store.find(kept)
    assert found is None


async def test_a_live_view_keeps_its_session(clock: Clock, client: AsyncClient) -> None:
    store = SessionStore(clock)
    session_id = store.create(USER, client)
    session = store.find(session_id)
    assert session is not None
    clock.now = IDLE_S - 1
    session.touch()
    clock.now = IDLE_S + 10
    assert store.find(session_id) is session


async def test_ending_a_session_wakes_its_sockets(clock: Clock, client: AsyncClient) -> None:
    store = SessionStore(clock)
    session_id = store.create(USER, client)
    session = store.find(session_id)
    assert session is not None
    store.end(session)
    assert session.ended.is_set()
    assert store.find(session_id) is None


async def test_a_session_shows_no_secret(clock: Clock) -> None:
    async with AsyncClient("http://127.0.0.1:9", tokens=Tokens("access-secret", "refresh-secret", 1.0)) as client:
        store = SessionStore(clock)
        session = store.find(store.create(USER, client))
        assert session is not None
        text = repr(session) + repr(vars(client))
        assert "secret" not in text
        assert session.csrf not in repr(session)
