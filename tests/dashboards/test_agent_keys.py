"""The keys of a server's agent: what is asked before one dies, and that it dies then."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from chatops_dashboards.pages.server.keys import carry_out, consequence, key_table, new_key
from chatops_dashboards.session import Session
from chatops_protocol.resources import ApiKey
from tests.dashboards.test_fleet_view import text_of
from tests.stack import Backend

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 3, 2, tzinfo=UTC)


def key(number: int, *, active: bool = True, expires_at: datetime | None = None) -> ApiKey:
    return ApiKey(number, 1, f"key {number}", f"chatops_agent_{number}…", active, NOW, expires_at)


def test_deactivation_names_the_key_the_server_and_what_follows() -> None:
    text = consequence("deactivate", key(1), [key(1), key(2)], "web-01", NOW)
    for part in ("“key 1”", "chatops_agent_1…", "“web-01”", "for good", "disconnected at once", "wait on its disk"):
        assert part in text
    assert "only key" not in text


@pytest.mark.parametrize("other", [key(2, active=False), key(2, expires_at=NOW - timedelta(days=1))])
def test_the_last_key_that_works_is_called_so(other: ApiKey) -> None:
    text = consequence("deactivate", key(1), [key(1), other], "web-01", NOW)
    assert "the only key that works: no agent can report as “web-01”" in text


def test_deletion_of_a_dead_key_promises_no_harm() -> None:
    assert "no agent uses it" in consequence("delete", key(1, active=False), [], "web-01", NOW)


def test_each_key_offers_what_may_be_done_to_it() -> None:
    table = key_table([key(1), key(2, active=False)], NOW, UTC)
    acts = [c.id["do"] for c in table._traverse() if isinstance(getattr(c, "id", None), dict)]
    assert acts == ["deactivate", "delete"]
    assert "shown only now" in text_of(new_key("secret"))


async def test_what_was_confirmed_is_done(session: Session, backend: Backend) -> None:
    server_id, _ = backend.add_server(f"keys {time.time_ns()}")
    [stored] = await session.client.api_keys(server_id)
    assert await carry_out(session, "deactivate", stored.id) == "The key is deactivated."
    assert not (await session.client.api_keys(server_id))[0].active
    await carry_out(session, "delete", stored.id)
    assert await session.client.api_keys(server_id) == []
