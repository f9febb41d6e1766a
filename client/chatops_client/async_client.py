"""The asynchronous client: REST calls and live WebSockets of one session. The dashboard is its main user."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import TypeVar

import httpx
import polars as pl

from chatops_client import calls
from chatops_client.account import AsyncAccount
from chatops_client.alerts import AsyncAlerts
from chatops_client.audit import AsyncAudit
from chatops_client.command_stream import CommandMessage, command_messages
from chatops_client.commands import AsyncCommands
from chatops_client.containers import AsyncContainers
from chatops_client.errors import ApiError, BackendUnreachableError
from chatops_client.frames import series_to_frame
from chatops_client.live import LinkState, live_messages
from chatops_client.logs import AsyncLogs
from chatops_client.tokens import Tokens
from chatops_client.wire import Call, Latest, build_request, read_answer, read_latest
from chatops_protocol.live_messages import AlertsState, FleetState, ServerSamples
from chatops_protocol.resources import (
    AgentWheel,
    ApiKey,
    Catalog,
    ConnectionEvent,
    CreatedApiKey,
    MetricSeries,
    Page,
    Role,
    Server,
    UpdateServerRequest,
    UpdateUserRequest,
    User,
)

T = TypeVar("T")

TIMEOUT_S = 30.0
UNAUTHENTICATED = 401


class AsyncClient:
    """A person's view of one backend, for one event loop.

    async with AsyncClient("http://127.0.0.1:8000") as client:
        await client.login("admin", …)
        async for state in client.live_fleet(): …
    """

    def __init__(
        self,
        base_url: str,
        *,
        tokens: Tokens | None = None,
        http: httpx.AsyncClient | None = None,
        headers: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`http` lets several sessions share one connection pool; its base URL must be `base_url`. `headers` go with
        every call of this session."""
        self.base_url = base_url.rstrip("/")
        self.tokens = tokens
        self.account = AsyncAccount(self)
        self.alerts = AsyncAlerts(self)
        self.audit = AsyncAudit(self)
        self.commands = AsyncCommands(self)
        self.containers = AsyncContainers(self)
        self.logs = AsyncLogs(self)
        self._headers = dict(headers or {})
        self._clock = clock
        self._renewal = asyncio.Lock()
        self._renewals: set[asyncio.Task[Tokens]] = set()
        self._owned = http is None
        self._http = http or httpx.AsyncClient(base_url=self.base_url, timeout=TIMEOUT_S)

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections; the session on the backend lives on (`logout` ends it)."""
        if self._owned:
            await self._http.aclose()

    def live_server(
        self, server_id: int, on_state: Callable[[LinkState], None] | None = None
    ) -> AsyncIterator[ServerSamples]:
        """Readings of one server as they are committed, the newest first. Reconnects by itself.

        Raises `ApiError` 401, 403 or 404 when the backend closes the socket for that reason.
        """
        return live_messages(self, f"/ws/metrics/{server_id}", ServerSamples, on_state)

    def live_fleet(self, on_state: Callable[[LinkState], None] | None = None) -> AsyncIterator[FleetState]:
        """The state of all servers (first, and whenever `complete`), then those that changed. Reconnects by itself."""
        return live_messages(self, "/ws/fleet", FleetState, on_state)

    def live_alerts(self, on_state: Callable[[LinkState], None] | None = None) -> AsyncIterator[AlertsState]:
        """All alerts that are not resolved (first, and whenever `complete`), then changes. Reconnects by itself."""
        return live_messages(self, "/ws/alerts", AlertsState, on_state)

    def live_command(
        self, command_id: int, on_state: Callable[[LinkState], None] | None = None
    ) -> AsyncIterator[CommandMessage]:
        """One command's state and output from its beginning, to its end. Reconnects by itself."""
        return command_messages(self, command_id, on_state)

    async def access_token(self) -> str:
        """A token that is good for at least some seconds; renewed when needed."""
        return (await self._fresh_tokens()).access_token

    async def renew_after_refusal(self, access_token: str) -> None:
        """Renew unless somebody has done so since `access_token` was handed out."""
        if self.tokens is None or self.tokens.access_token == access_token:
            await self._renew(await self._fresh_tokens())

    async def request(self, call: Call[T]) -> T:
        """Send a call with the access token, renewed first when it is due and once more when it is refused.

        Raises `ApiError` when the backend refuses and `BackendUnreachableError` when it does not answer.
        """
        if call.public:
            return await self._send(call, None)
        tokens = await self._fresh_tokens()
        try:
            return await self._send(call, tokens.access_token)
        except ApiError as error:
            if error.status != UNAUTHENTICATED:
                raise
        tokens = await self._renew(tokens)
        return await self._send(call, tokens.access_token)

    async def _fresh_tokens(self) -> Tokens:
        if self.tokens is None:
            raise ApiError(UNAUTHENTICATED, "log in first")
        return await self._renew(self.tokens) if self.tokens.due(self._clock()) else self.tokens

    async def _renew(self, stale: Tokens) -> Tokens:
        # Whoever asked may be cancelled meanwhile, as when a browser leaves a page. The answer is taken all the same:
        # without it the next renewal would send a used token.
        renewal = asyncio.create_task(self._renew_once(stale))
        self._renewals.add(renewal)
        renewal.add_done_callback(self._renewals.discard)
        return await asyncio.shield(renewal)

    async def _renew_once(self, stale: Tokens) -> Tokens:
        # One flight: a refresh token used twice revokes the whole session, so whoever waited takes the new pair.
        async with self._renewal:
            if self.tokens is None:
                raise ApiError(UNAUTHENTICATED, "log in first")
            if self.tokens is stale:
                pair = await self._send(calls.refresh(stale.refresh_token), None)
                self.tokens = Tokens.from_pair(pair, self._clock())
            return self.tokens

    async def _send(self, call: Call[T], access_token: str | None) -> T:
        try:
            response = await self._http.send(build_request(self._http, call, access_token, self._headers))
        except httpx.HTTPError as error:
            raise BackendUnreachableError(f"no answer from {self.base_url}: {type(error).__name__}") from error
        return read_answer(call, response)

    async def all_pages(self, call: Call[Page[T]]) -> list[T]:
        """Every item of a list."""
        items: list[T] = []
        cursor: str | None = None
        while True:
            page = await self.request(call.page(cursor))
            items += page.items
            cursor = page.next_cursor
            if cursor is None:
                return items

    # -- people --------------------------------------------------------------------------------------------------

    async def login(self, username: str, password: str, totp_code: str | None = None) -> User:
        """Log in and keep the tokens for the calls that follow. `totp_code`: of whoever has a second factor; without it
        `ApiError` 401 names the field in `extra`."""
        pair = await self._send(calls.login(username, password, totp_code), None)
        self.tokens = Tokens.from_pair(pair, self._clock())
        return pair.user

    async def logout(self) -> None:
        """Revoke the refresh token and forget both. Without tokens, nothing."""
        if self.tokens is not None:
            call = calls.logout(self.tokens.refresh_token)
            try:
                await self.request(call)
            finally:
                self.tokens = None

    async def me(self) -> User:
        return await self.request(calls.me())

    async def update_me(self, display_name: str) -> User:
        return await self.request(calls.update_me(display_name))

    async def change_password(self, current_password: str, new_password: str) -> None:
        await self.request(calls.change_password(current_password, new_password))

    async def users(self) -> list[User]:
        """Every user (administrators only)."""
        return await self.all_pages(calls.users())

    async def create_user(self, username: str, password: str, role: Role, display_name: str = "") -> User:
        return await self.request(calls.create_user(username, password, role, display_name))

    async def update_user(self, user_id: int, changes: UpdateUserRequest) -> User:
        return await self.request(calls.update_user(user_id, changes))

    async def delete_user(self, user_id: int) -> None:
        await self.request(calls.delete_user(user_id))

    # -- servers and keys ----------------------------------------------------------------------------------------

    async def servers(self) -> list[Server]:
        """Every server, all pages."""
        return await self.all_pages(calls.servers())

    async def server(self, server_id: int) -> Server:
        return await self.request(calls.server(server_id))

    async def create_server(self, name: str, description: str = "", tags: Sequence[str] = ()) -> Server:
        return await self.request(calls.create_server(name, description, tags))

    async def update_server(self, server_id: int, changes: UpdateServerRequest) -> Server:
        """Only what is given in `changes` changes."""
        return await self.request(calls.update_server(server_id, changes))

    async def delete_server(self, server_id: int) -> None:
        await self.request(calls.delete_server(server_id))

    async def connections(self, server_id: int, limit: int = 200) -> list[ConnectionEvent]:
        """The newest connection events of a server, at most `limit`."""
        return (await self.request(calls.connections(server_id).page(None))).items[:limit]

    async def api_keys(self, server_id: int | None = None) -> list[ApiKey]:
        return await self.all_pages(calls.api_keys(server_id))

    async def create_api_key(self, server_id: int, name: str, expires_at: datetime | None = None) -> CreatedApiKey:
        """The answer holds the key; it cannot be read again later."""
        return await self.request(calls.create_api_key(server_id, name, expires_at))

    async def deactivate_api_key(self, key_id: int) -> None:
        await self.request(calls.deactivate_api_key(key_id))

    async def delete_api_key(self, key_id: int) -> None:
        await self.request(calls.delete_api_key(key_id))

    async def agent_wheel(self) -> AgentWheel:
        """The agent distribution this backend serves."""
        return await self.request(calls.agent_wheel())

    # -- metrics -------------------------------------------------------------------------------------------------

    async def catalog(self) -> Catalog:
        return await self.request(calls.catalog())

    async def latest(self, server_id: int) -> Latest:
        """The newest readings of every measurement, in the catalogue's base units."""
        return read_latest(await self.request(calls.latest(server_id)))

    async def history_series(
        self,
        server_id: int,
        metric: str,
        start: datetime,
        end: datetime,
        *,
        points: int = 500,
        labels: Mapping[str, str] | None = None,
    ) -> MetricSeries:
        """Parallel lists per series, with the tier and the bucket width that were used."""
        return await self.request(calls.history(server_id, metric, start, end, points, labels))

    async def history(
        self,
        server_id: int,
        metric: str,
        start: datetime,
        end: datetime,
        *,
        points: int = 500,
        labels: Mapping[str, str] | None = None,
    ) -> pl.DataFrame:
        """Columns time, server_id, one per label, avg, min, max: see `series_to_frame`."""
        return series_to_frame(await self.history_series(server_id, metric, start, end, points=points, labels=labels))

    async def query_series(
        self,
        metric: str,
        start: datetime,
        end: datetime,
        *,
        server_ids: Sequence[int] = (),
        tag: str | None = None,
        points: int = 500,
        aggregate: str | None = None,
        group_by: Sequence[str] = (),
    ) -> MetricSeries:
        """One metric of several servers, chosen by id or by tag; none chosen, no series."""
        return await self.request(calls.query(metric, start, end, points, server_ids, tag, aggregate, group_by))

    async def query(
        self,
        metric: str,
        start: datetime,
        end: datetime,
        *,
        server_ids: Sequence[int] = (),
        tag: str | None = None,
        points: int = 500,
        aggregate: str | None = None,
        group_by: Sequence[str] = (),
    ) -> pl.DataFrame:
        """As `query_series`, as one frame."""
        answer = await self.query_series(
            metric,
            start,
            end,
            server_ids=server_ids,
            tag=tag,
            points=points,
            aggregate=aggregate,
            group_by=group_by,
        )
        return series_to_frame(answer)
