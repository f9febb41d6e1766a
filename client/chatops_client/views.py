"""``/views`` of the clients: one's own saved views, `client.views` (`Views`; `AsyncViews` of the asynchronous one)."""

import builtins
from collections.abc import Mapping

from chatops_client.alerts import AsyncSender, Sender
from chatops_client.wire import Call, segment
from chatops_protocol.resources import Page
from chatops_protocol.view_resources import SavedView, WriteViewRequest


def views() -> Call[Page[SavedView]]:
    return Call("GET", "/views", Page[SavedView])


def view(view_id: int) -> Call[SavedView]:
    return Call("GET", f"/views/{segment(view_id)}", SavedView)


def create(name: str, query: Mapping[str, str]) -> Call[SavedView]:
    return Call("POST", "/views", SavedView, body=WriteViewRequest(name, dict(query)))


def replace(view_id: int, name: str, query: Mapping[str, str]) -> Call[SavedView]:
    return Call("PUT", f"/views/{segment(view_id)}", SavedView, body=WriteViewRequest(name, dict(query)))


def delete(view_id: int) -> Call[None]:
    return Call("DELETE", f"/views/{segment(view_id)}", None)


class Views:
    def __init__(self, client: Sender) -> None:
        self._client = client

    def list(self) -> builtins.list[SavedView]:
        """All of one's own."""
        return self._client.all_pages(views())

    def get(self, view_id: int) -> SavedView:
        return self._client.request(view(view_id))

    def create(self, name: str, query: Mapping[str, str]) -> SavedView:
        """`query`: the parameters of the page's address. `ApiError` 409 when one has a view of that name."""
        return self._client.request(create(name, query))

    def replace(self, view_id: int, name: str, query: Mapping[str, str]) -> SavedView:
        return self._client.request(replace(view_id, name, query))

    def delete(self, view_id: int) -> None:
        self._client.request(delete(view_id))


class AsyncViews:
    def __init__(self, client: AsyncSender) -> None:
        self._client = client

    async def list(self) -> builtins.list[SavedView]:
        """All of one's own."""
        return await self._client.all_pages(views())

    async def get(self, view_id: int) -> SavedView:
        return await self._client.request(view(view_id))

    async def create(self, name: str, query: Mapping[str, str]) -> SavedView:
        """`query`: the parameters of the page's address. `ApiError` 409 when one has a view of that name."""
        return await self._client.request(create(name, query))

    async def replace(self, view_id: int, name: str, query: Mapping[str, str]) -> SavedView:
        return await self._client.request(replace(view_id, name, query))

    async def delete(self, view_id: int) -> None:
        await self._client.request(delete(view_id))
