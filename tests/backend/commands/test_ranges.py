"""The list of commands between two moments: what waited or ran then, if only for a part of it."""

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from litestar import Router

from chatops_backend.commands.routes import list_commands
from chatops_protocol.control_messages import RunCommand

pytestmark = pytest.mark.anyio
T0 = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)


@pytest.fixture
def app(build_app, database, settings):
    """Of the routes of commands the list alone: nobody is asked to run anything."""
    return build_app(database, settings, handlers=(Router("/commands", route_handlers=[list_commands]),))


def at(minutes: float) -> datetime:
    return T0 + timedelta(minutes=minutes)


async def given(database: Any, server_id: int, began: float, over: float | None) -> int:
    made: int = await database.fetchval(
        "INSERT INTO chatops.commands (server_id, kind, action, title, act, timeout_s, user_id, username, session_id,"
        " nonce, envelope, signature, expires_at, wait_s, state, created_at, finished_at)"
        " VALUES ($1, 'command', 'command.run', 'true', $2::jsonb, 60, 1, 'ann', gen_random_uuid(), $3, '', '', $4, 0,"
        " $5, $4, $6) RETURNING id",
        server_id,
        msgspec.json.encode(RunCommand(argv=["true"], timeout_s=60)).decode(),
        secrets.token_hex(16),
        at(began),
        "running" if over is None else "ok",
        None if over is None else at(over),
    )
    return made


async def test_a_range_holds_what_waited_or_ran_within_it_if_only_for_a_part(database, viewer) -> None:
    server_id = await database.fetchval(
        "INSERT INTO chatops.servers (name) VALUES ($1) RETURNING id", f"server {secrets.token_hex(6)}"
    )
    before, into, within = [await given(database, server_id, *times) for times in ((0, 9), (0, 10), (12, 15))]
    out_of, after = [await given(database, server_id, *times) for times in ((19, None), (20, 21))]

    async def found(**moments: float) -> list[int]:
        params = {"server_id": server_id} | {name: at(minutes).isoformat() for name, minutes in moments.items()}
        answer = await viewer.api.get("/commands", params=params)
        assert answer.status_code == 200, answer.text
        return [command["id"] for command in answer.json()["items"]][::-1]

    assert await found(start=10, end=20) == [into, within, out_of]
    assert await found(start=10) == [into, within, out_of, after]
    assert await found(end=10) == [before, into]
    assert await found(start=-20, end=-10) == []
    assert await found(start=11, end=12) == []


@pytest.mark.parametrize(
    "query",
    [
        "start=yesterday",
        "start=2026-11-24T10:00:00Z&end=2026-11-24T09:00:00%2B00:00",
        # Beyond what a time in UTC can be.
        "start=0001-01-01T00:00:00%2B14:00",
        "end=9999-12-31T23:59:59-12:00",
    ],
)
async def test_a_range_that_cannot_be_is_refused(viewer, query) -> None:
    assert (await viewer.api.get(f"/commands?{query}")).status_code == 400
