"""The synchronous client, for scripts and notebooks: every REST call of one session."""

import contextlib
import time
import weakref
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Self, TypeVar, overload

import httpx
import polars as pl
from msgspec import Struct

from chatops_client import calls, running
from chatops_client.account import Account
from chatops_client.alerts import Alerts
from chatops_client.analysis import Analysis
from chatops_client.audit import Audit
from chatops_client.command_stream import command_messages
from chatops_client.commands import Commands
from chatops_client.containers import Containers
from chatops_client.errors import ApiError, BackendUnreachableError
from chatops_client.frames import series_to_frame
from chatops_client.live import LinkState, live_messages
from chatops_client.live_thread import LiveIterator, ThreadedSession
from chatops_client.logs import Logs
from chatops_client.queries import Queries
from chatops_client.resource_frames import latest_to_frame, storage_to_frame
from chatops_client.retries import RETRIES
from chatops_client.running import OnOutput
from chatops_client.session import Session
from chatops_client.settings import ClientSettings
from chatops_client.tokens import Tokens
from chatops_client.transfer import Transfer
from chatops_client.views import Views
from chatops_client.wire import Latest, read_latest
from chatops_protocol.command_resources import CommandResult
from chatops_protocol.live_messages import FleetState, ServerSamples
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

M = TypeVar("M", bound=Struct)
OnState = Callable[[LinkState], None]


class Client(Session, Queries):
    """A person's view of one backend. Safe to share between threads; needs no event loop.

    with Client("http://127.0.0.1:8000", username="admin", password=…) as client:
        frame = client.history(1, "host.cpu_percent", start, end)

    Calls raise `ApiError` when the backend refuses (`NotLoggedInError`, `NotAllowedError`, `NotFoundError`), and
    `BackendUnreachableError` when it does not answer.
    """

    def __init__(
        self,
        base_url: str,
        *,
        username: str | None = None,
        password: str | None = None,
        totp_code: str | None = None,
        token: str | None = None,
        tokens: Tokens | None = None,
        http: httpx.Client | None = None,
        retries: int = RETRIES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """See `Session`."""
        self.account = Account(self)
        self.alerts = Alerts(self)
        self.analysis = Analysis(self)
        self.audit = Audit(self)
        self.commands = Commands(self)
        self.containers = Containers(self)
        self.logs = Logs(self)
        self.transfer = Transfer(self)
        self.views = Views(self)
        self._live: weakref.WeakSet[LiveIterator[Any]] = weakref.WeakSet()
        super().__init__(
            base_url,
            username=username,
            password=password,
            totp_code=totp_code,
            token=token,
            tokens=tokens,
            http=http,
            retries=retries,
            clock=clock,
        )

    @classmethod
    def from_environment(cls, totp_code: str | None = None) -> Self:
        """Log in as ``CHATOPS_USERNAME`` with ``CHATOPS_PASSWORD`` at ``CHATOPS_API_URL``: see `ClientSettings`."""
        settings = ClientSettings.from_environment()
        return cls(settings.api_url, username=settings.username, password=settings.password, totp_code=totp_code)

    def close(self) -> None:
        for live in list(self._live):
            live.close()
        super().close()

    # -- live, and commands that are waited for ------------------------------------------------------------------

    @overload
    def live(self, *, on_state: OnState | None = None) -> LiveIterator[FleetState]: ...
    @overload
    def live(self, server_id: int, *, on_state: OnState | None = None) -> LiveIterator[ServerSamples]: ...
    def live(
        self, server_id: int | None = None, *, on_state: OnState | None = None
    ) -> LiveIterator[FleetState] | LiveIterator[ServerSamples]:
        """Readings of one server as they are stored, or the state of the fleet: all of it first, then what changes.

        For ``for`` and ``async for``. Reconnects by itself (`on_state` hears of it, in another thread); ends when it is
        closed or no longer used.
        """
        session = ThreadedSession(self)
        if server_id is None:
            return self._follow(live_messages(session, "/ws/fleet", FleetState, on_state))
        return self._follow(live_messages(session, f"/ws/metrics/{server_id}", ServerSamples, on_state))

    def run(
        self,
        server_id: int,
        command: str | Sequence[str],
        *,
        timeout_s: float = 60.0,
        expires_s: float = 60.0,
        working_directory: str | None = None,
        on_output: OnOutput | None = None,
    ) -> CommandResult:
        """Run a command on a server and wait for its end. `on_output` gets each piece of its output as it comes.

        A text is split as a shell would split it, a list is taken literally. It runs `timeout_s` at most, and has to
        have begun within `expires_s`. An exit code other than 0 is no exception: see `state` and `exit_code`.
        Raises `NotAllowedError` when this account may not, `CommandRefusedError` when it was not run. An interrupt
        (Ctrl-C) cancels the command.
        """
        asked = running.request(command, timeout_s, expires_s, working_directory)
        command_id = self.commands.run(server_id, asked).id
        try:
            with self._follow(command_messages(ThreadedSession(self), command_id)) as messages:
                for message in messages:
                    running.hand_on(message, on_output)
        except KeyboardInterrupt:
            with contextlib.suppress(ApiError, BackendUnreachableError):
                self.commands.cancel(command_id)
            raise
        return running.ended(self.commands.get(command_id))

    def _follow(self, messages: AsyncGenerator[M, None]) -> LiveIterator[M]:
        live = LiveIterator(messages)
        self._live.add(live)
        return live

    # -- people --------------------------------------------------------------------------------------------------

    def me(self) -> User:
        return self.request(calls.me())

    def update_me(self, display_name: str) -> User:
        return self.request(calls.update_me(display_name))

    def change_password(self, current_password: str, new_password: str) -> None:
        self.request(calls.change_password(current_password, new_password))

    def users(self) -> list[User]:
        """Every user (administrators only)."""
        return self.all_pages(calls.users())

    def create_user(self, username: str, password: str, role: Role, display_name: str = "") -> User:
        return self.request(calls.create_user(username, password, role, display_name))

    def update_user(self, user_id: int, changes: UpdateUserRequest) -> User:
        return self.request(calls.update_user(user_id, changes))

    def delete_user(self, user_id: int) -> None:
        self.request(calls.delete_user(user_id))

    # -- servers and keys ----------------------------------------------------------------------------------------

    def servers(self) -> list[Server]:
        """Every server, all pages."""
        return self.all_pages(calls.servers())

    def server(self, server_id: int) -> Server:
        return self.request(calls.server(server_id))

    def create_server(self, name: str, description: str = "", tags: Sequence[str] = ()) -> Server:
        return self.request(calls.create_server(name, description, tags))

    def update_server(self, server_id: int, changes: UpdateServerRequest) -> Server:
        """Only what is given in `changes` changes."""
        return self.request(calls.update_server(server_id, changes))

    def delete_server(self, server_id: int) -> None:
        self.request(calls.delete_server(server_id))

    def connections(self, server_id: int, limit: int = 200) -> list[ConnectionEvent]:
        """The newest connection events of a server, at most `limit`."""
        return self.request(calls.connections(server_id).page(None)).items[:limit]

    def api_keys(self, server_id: int | None = None) -> list[ApiKey]:
        return self.all_pages(calls.api_keys(server_id))

    def create_api_key(self, server_id: int, name: str, expires_at: datetime | None = None) -> CreatedApiKey:
        """The answer holds the key; it cannot be read again later."""
        return self.request(calls.create_api_key(server_id, name, expires_at))

    def deactivate_api_key(self, key_id: int) -> None:
        self.request(calls.deactivate_api_key(key_id))

    def delete_api_key(self, key_id: int) -> None:
        self.request(calls.delete_api_key(key_id))

    def agent_wheel(self) -> AgentWheel:
        """The agent distribution this backend serves."""
        return self.request(calls.agent_wheel())

    # -- metrics -------------------------------------------------------------------------------------------------

    def catalog(self) -> Catalog:
        return self.request(calls.catalog())

    @overload
    def latest(self) -> pl.DataFrame: ...
    @overload
    def latest(self, server_id: int) -> Latest: ...
    @overload
    def latest(self, server_id: Sequence[int]) -> pl.DataFrame: ...
    def latest(self, server_id: int | Sequence[int] | None = None) -> Latest | pl.DataFrame:
        """The newest readings of every measurement, in the catalogue's base units: of one server as a `Latest`, of
        several (left out: of all, one request each) as a frame of `latest_to_frame`."""
        if isinstance(server_id, int):
            return read_latest(self.request(calls.latest(server_id)))
        chosen = [server.id for server in self.servers()] if server_id is None else server_id
        return latest_to_frame({one: read_latest(self.request(calls.latest(one))) for one in chosen})

    def storage(self) -> pl.DataFrame:
        """What each measurement takes on disk in each tier (administrators only): see `storage_to_frame`."""
        return storage_to_frame(self.request(calls.storage()))

    def history_series(
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
        return self.request(calls.history(server_id, metric, start, end, points, labels))

    def history(
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
        return series_to_frame(self.history_series(server_id, metric, start, end, points=points, labels=labels))
