"""The asynchronous client: REST calls and live WebSockets of one session. The dashboard is its main user."""

import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
from typing import overload

import httpx
import polars as pl

from chatops_client import calls, running
from chatops_client.account import AsyncAccount
from chatops_client.alerts import AsyncAlerts
from chatops_client.analysis import AsyncAnalysis
from chatops_client.async_session import AsyncSession
from chatops_client.audit import AsyncAudit
from chatops_client.command_stream import CommandMessage, command_messages
from chatops_client.commands import AsyncCommands
from chatops_client.containers import AsyncContainers
from chatops_client.frames import series_to_frame
from chatops_client.live import LinkState, live_messages
from chatops_client.logs import AsyncLogs
from chatops_client.queries import AsyncQueries
from chatops_client.resource_frames import latest_to_frame, storage_to_frame
from chatops_client.retries import RETRIES
from chatops_client.running import OnOutput
from chatops_client.tokens import Tokens
from chatops_client.transfer import AsyncTransfer
from chatops_client.views import AsyncViews
from chatops_client.wire import Latest, read_latest
from chatops_protocol.command_resources import CommandResult
from chatops_protocol.live_messages import AlertsState, FleetState, ServerSamples
from chatops_protocol.resources import (
    AgentWheel,
    ApiKey,
    Catalog,
    ConnectionEvent,
    CreatedApiKey,
    MetricSeries,
    Role,
    Server,
    UpdateServerRequest,
    UpdateUserRequest,
    User,
)

OnState = Callable[[LinkState], None]


class AsyncClient(AsyncSession, AsyncQueries):
    """A person's view of one backend, for one event loop.

    async with AsyncClient("http://127.0.0.1:8000") as client:
        await client.login("admin", …)
        async for state in client.live_fleet(): …
    """

    def __init__(
        self,
        base_url: str,
        *,
        token: str | None = None,
        tokens: Tokens | None = None,
        http: httpx.AsyncClient | None = None,
        headers: Mapping[str, str] | None = None,
        retries: int = RETRIES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """See `AsyncSession`."""
        super().__init__(base_url, token=token, tokens=tokens, http=http, headers=headers, retries=retries, clock=clock)
        self.account = AsyncAccount(self)
        self.alerts = AsyncAlerts(self)
        self.analysis = AsyncAnalysis(self)
        self.audit = AsyncAudit(self)
        self.commands = AsyncCommands(self)
        self.containers = AsyncContainers(self)
        self.logs = AsyncLogs(self)
        self.transfer = AsyncTransfer(self)
        self.views = AsyncViews(self)

    @overload
    def live(self, *, on_state: OnState | None = None) -> AsyncIterator[FleetState]: ...
    @overload
    def live(self, server_id: int, *, on_state: OnState | None = None) -> AsyncIterator[ServerSamples]: ...
    def live(
        self, server_id: int | None = None, *, on_state: OnState | None = None
    ) -> AsyncIterator[FleetState] | AsyncIterator[ServerSamples]:
        """`live_server` of one server, `live_fleet` without one."""
        return self.live_fleet(on_state) if server_id is None else self.live_server(server_id, on_state)

    async def run(
        self,
        server_id: int,
        command: str | Sequence[str],
        *,
        timeout_s: float = 60.0,
        expires_s: float = 60.0,
        working_directory: str | None = None,
        on_output: OnOutput | None = None,
    ) -> CommandResult:
        """As `Client.run`. When this is cancelled the command goes on."""
        asked = running.request(command, timeout_s, expires_s, working_directory)
        command_id = (await self.commands.run(server_id, asked)).id
        async for message in self.live_command(command_id):
            running.hand_on(message, on_output)
        return running.ended(await self.commands.get(command_id))

    def live_server(self, server_id: int, on_state: OnState | None = None) -> AsyncIterator[ServerSamples]:
        """Readings of one server as they are committed, the newest first. Reconnects by itself.

        Raises `ApiError` 401, 403 or 404 when the backend closes the socket for that reason.
        """
        return live_messages(self, f"/ws/metrics/{server_id}", ServerSamples, on_state)

    def live_fleet(self, on_state: OnState | None = None) -> AsyncIterator[FleetState]:
        """The state of all servers (first, and whenever `complete`), then those that changed. Reconnects by itself."""
        return live_messages(self, "/ws/fleet", FleetState, on_state)

    def live_alerts(self, on_state: OnState | None = None) -> AsyncIterator[AlertsState]:
        """All alerts that are not resolved (first, and whenever `complete`), then changes. Reconnects by itself."""
        return live_messages(self, "/ws/alerts", AlertsState, on_state)

    def live_command(self, command_id: int, on_state: OnState | None = None) -> AsyncIterator[CommandMessage]:
        """One command's state and output from its beginning, to its end. Reconnects by itself."""
        return command_messages(self, command_id, on_state)

    # -- people --------------------------------------------------------------------------------------------------

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

    @overload
    async def latest(self) -> pl.DataFrame: ...
    @overload
    async def latest(self, server_id: int) -> Latest: ...
    @overload
    async def latest(self, server_id: Sequence[int]) -> pl.DataFrame: ...
    async def latest(self, server_id: int | Sequence[int] | None = None) -> Latest | pl.DataFrame:
        """The newest readings of every measurement, in the catalogue's base units: of one server as a `Latest`, of
        several (left out: of all, one request each) as a frame of `latest_to_frame`."""
        if isinstance(server_id, int):
            return read_latest(await self.request(calls.latest(server_id)))
        chosen = [server.id for server in await self.servers()] if server_id is None else server_id
        return latest_to_frame({one: read_latest(await self.request(calls.latest(one))) for one in chosen})

    async def storage(self) -> pl.DataFrame:
        """What each measurement takes on disk in each tier (administrators only): see `storage_to_frame`."""
        return storage_to_frame(await self.request(calls.storage()))

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
