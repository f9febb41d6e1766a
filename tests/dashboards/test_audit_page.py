"""The audit page: differences that can be read, filters as the API takes them, and what verifying says."""

import secrets
from zoneinfo import ZoneInfo

import pytest

from chatops_client import AsyncClient
from chatops_dashboards.difference import Change, difference
from chatops_dashboards.pages import audit
from chatops_dashboards.pages.audit.entry import entry_detail
from chatops_dashboards.session import Session
from chatops_protocol.audit_resources import AuditHead, AuditVerification
from tests.dashboards.test_pages import text_of

pytestmark = pytest.mark.anyio
BERLIN = ZoneInfo("Europe/Berlin")


def test_only_what_differs_comes_first_and_the_rest_after_it() -> None:
    before = {"name": "web-01", "tags": ["a"], "limits": {"cpu": 1, "memory": 2}, "gone": None}
    after = {"name": "web-02", "tags": ["a"], "limits": {"cpu": 1, "memory": 3}, "new": True}
    assert difference(before, after) == [
        Change("gone", "removed", "null", ""),
        Change("limits.memory", "changed", "2", "3"),
        Change("name", "changed", "web-01", "web-02"),
        Change("new", "added", "", "true"),
        Change("limits.cpu", "same", "1", "1"),
        Change("tags", "same", '["a"]', '["a"]'),
    ]


def test_what_was_made_is_added_and_what_was_deleted_removed() -> None:
    assert [change.kind for change in difference(None, {"a": 1, "b": {}})] == ["added", "added"]
    assert [change.kind for change in difference({"a": 1}, None)] == ["removed"]
    assert difference(None, None) == []
    assert difference("x", "y") == [Change("", "changed", "x", "y")]


def test_filters_are_read_in_the_zone_of_whoever_looks_and_nonsense_is_left_out() -> None:
    asked = {"actor": " ada ", "action": "", "result": "no such", "start": "2026-11-24 03:12:00", "end": "soon"}
    filters = audit.read_filters(asked, BERLIN)
    assert set(filters) == {"actor", "start"}
    assert filters["actor"] == "ada"
    assert filters["start"].isoformat() == "2026-11-24T02:12:00+00:00"  # type: ignore[union-attr]


def test_a_broken_chain_is_said_with_the_entry_and_a_whole_one_with_its_head() -> None:
    head = AuditHead(1234, "ab" * 32)
    whole = text_of(audit.verified(AuditVerification(True, 1234, head)))
    assert "1\u202f234 entries" in whole
    assert f"1234:{head.hash}" in whole
    broken = str(audit.verified(AuditVerification(False, 6, head, 7, "its content is not what was written")))
    assert "entry 7, its content is not what was written" in broken
    assert "notice-critical" in broken


async def test_entries_come_in_pages_and_show_what_changed(session: Session) -> None:
    client: AsyncClient = session.client
    name = f"server-{secrets.token_hex(4)}"
    server = await client.create_server(name)
    await client.delete_server(server.id)
    asked = {"search": name}
    rows, cursor = await audit.fetch(session, asked, None, 1, BERLIN)
    assert [row["action"] for row in rows] == ["server.delete"]
    more, end = await audit.fetch(session, asked, cursor, 1, BERLIN)
    assert [row["action"] for row in more] == ["server.create"]
    assert end is None
    words = str(entry_detail(more[0]))
    assert name in words
    assert "added" in words
