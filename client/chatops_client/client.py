"""The synchronous client, for scripts and notebooks: every REST call of one session."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import TypeVar

import httpx
import polars as pl

from chatops_client import calls
from chatops_client.account import Account
from chatops_client.alerts import Alerts
from chatops_client.audit import Audit
from chatops_client.commands import Commands
from chatops_client.containers import Containers
from chatops_client.errors import ApiError, BackendUnreachableError
from chatops_client.frames import series_to_frame
from chatops_client.logs import Logs
from chatops_client.queries import Queries
from chatops_client.tokens import Tokens
from chatops_client.views import Views
from chatops_client.wire import Call, Latest, build_request, read_answer, read_latest
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


class Client(Queries):
    """A person's view of one backend. Safe to share between threads.

    with Client("http://127.0.0.1:8000", username="admin", password=…) as client:
        frame = client.history(1, "host.cpu_percent", start, end)
    """

    def __init__(
        self,
        base_url: str,
        *,
        username: str | None = None,
        password: str | None = None,
        tokens: Tokens | None = None,
        http: httpx.Client | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """With user name and password it logs in at once; otherwise pass `tokens` or call `login`."""
        self.base_url = base_url.rstrip("/")
        self.tokens = tokens
        self.account = Account(self)
        self.alerts = Alerts(self)
        self.audit = Audit(self)
        self.commands = Commands(self)
        self.containers = Containers(self)
        self.logs = Logs(self)
        self.views = Views(self)
        self._clock = clock
        self._renewal = threading.Lock()
        self._owned = http is None
        self._http = http or httpx.Client(base_url=self.base_url, timeout=TIMEOUT_S)
        if username is not None and password is not None:
            try:
                self.login(username, password)
            except BaseException:
                self.close()
                raise

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; the session on the backend lives on (`logout` ends it)."""
        if self._owned:
            self._http.close()

    def request(self, call: Call[T]) -> T:
        """Send a call with the access token, renewed first when it is due and once more when it is refused.

        Raises `ApiError` when the backend refuses and `BackendUnreachableError` when it does not answer.
        """
        if call.public:
            return self._send(call, None)
        tokens = self._fresh_tokens()
        try:
            return self._send(call, tokens.access_token)
        except ApiError as error:
            if error.status != UNAUTHENTICATED:
                raise
        tokens = self._renew(tokens)
        return self._send(call, tokens.access_token)

    def _fresh_tokens(self) -> Tokens:
        if self.tokens is None:
            raise ApiError(UNAUTHENTICATED, "log in first")
        return self._renew(self.tokens) if self.tokens.due(self._clock()) else self.tokens

    def _renew(self, stale: Tokens) -> Tokens:
        # One flight: a refresh token used twice revokes the whole session, so whoever waited takes the new pair.
        with self._renewal:
            if self.tokens is None:
                raise ApiError(UNAUTHENTICATED, "log in first")
            if self.tokens is stale:
                pair = self._send(calls.refresh(stale.refresh_token), None)
                self.tokens = Tokens.from_pair(pair, self._clock())
            return self.tokens

    def _send(self, call: Call[T], access_token: str | None) -> T:
        try:
            response = self._http.send(build_request(self._http, call, access_token))
        except httpx.HTTPError as error:
            raise BackendUnreachableError(f"no answer from {self.base_url}: {type(error).__name__}") from error
        return read_answer(call, response)

    def all_pages(self, call: Call[Page[T]]) -> list[T]:
        """Every item of a list."""
        items: list[T] = []
        cursor: str | None = None
        while True:
            page = self.request(call.page(cursor))
            items += page.items
            cursor = page.next_cursor
            if cursor is None:
                return items

    # -- people --------------------------------------------------------------------------------------------------

    def login(self, username: str, password: str, totp_code: str | None = None) -> User:
        """Log in and keep the tokens for the calls that follow. `totp_code`: of whoever has a second factor; without it
        `ApiError` 401 names the field in `extra`."""
        pair = self._send(calls.login(username, password, totp_code), None)
        self.tokens = Tokens.from_pair(pair, self._clock())
        return pair.user

    def logout(self) -> None:
        """Revoke the refresh token and forget both. Without tokens, nothing."""
        if self.tokens is not None:
            call = calls.logout(self.tokens.refresh_token)
            try:
                self.request(call)
            finally:
                self.tokens = None

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

    def latest(self, server_id: int) -> Latest:
        """The newest readings of every measurement, in the catalogue's base units."""
        return read_latest(self.request(calls.latest(server_id)))

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
