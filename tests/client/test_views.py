"""Saved views through both clients, against the real backend."""

import pytest

from chatops_client import ApiError, AsyncClient, Client
from tests.conftest import ADMIN_PASSWORD
from tests.stack import Backend

pytestmark = pytest.mark.anyio


async def test_both_clients_keep_views(backend: Backend, client: Client) -> None:
    made = client.views.create("mine", {"range": "6h"})
    assert client.views.get(made.id) == made
    with pytest.raises(ApiError, match="already"):
        client.views.create("Mine", {})
    async with AsyncClient(backend.url) as other:
        await other.login("admin", ADMIN_PASSWORD)
        assert made in await other.views.list()
        changed = await other.views.replace(made.id, "renamed", {"range": "7d"})
        assert await other.views.get(made.id) == changed
        second = await other.views.create("mine", {})
        await other.views.delete(second.id)
    assert client.views.replace(made.id, "again", {}).name == "again"
    assert "again" in [view.name for view in client.views.list()]
    client.views.delete(made.id)
    with pytest.raises(ApiError, match="404"):
        client.views.get(made.id)
