"""A person's session with one backend: sends calls, keeps the tokens fresh. What can be called is in `Client`."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self, TypeVar

import httpx

from chatops_client import calls
from chatops_client.errors import ApiError, BackendUnreachableError, NotLoggedInError
from chatops_client.retries import RETRIES, pause_before_retry, unanswered
from chatops_client.tokens import NO_RENEWAL, Tokens
from chatops_client.wire import Call, build_request, read_answer
from chatops_protocol.resources import Page, User

T = TypeVar("T")

TIMEOUT_S = 30.0
UNAUTHENTICATED = 401


class Session:
    """Safe to share between threads."""

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
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """With user name and password it logs in at once (`totp_code`: of whoever has a second factor). `tokens` is a
        log-in to carry on, which nobody else may go on using. `token` is an access token alone: it cannot be renewed,
        so that calls raise `NotLoggedInError` once it has run out, a quarter of an hour after it was given.

        `retries`: how often a call that changes nothing is sent again when the connection is lost or the backend is
        busy (429, 503).
        """
        if token is not None and tokens is not None:
            raise ValueError("give either `token` or `tokens`")
        self.base_url = base_url.rstrip("/")
        self.tokens = Tokens.without_renewal(token) if token is not None else tokens
        self._clock = clock
        self._sleep = sleep
        self._retries = retries
        self._renewal = threading.Lock()
        self._owned = http is None
        self._http = http or httpx.Client(base_url=self.base_url, timeout=TIMEOUT_S)
        if username is not None and password is not None:
            try:
                self.login(username, password, totp_code)
            except BaseException:
                self.close()
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; the session on the backend lives on (`logout` ends it)."""
        if self._owned:
            self._http.close()

    def login(self, username: str, password: str, totp_code: str | None = None) -> User:
        """Log in and keep the tokens for the calls that follow. `totp_code`: of whoever has a second factor; without it
        `NotLoggedInError` names the field in `extra`."""
        pair = self._send(calls.login(username, password, totp_code), None)
        self.tokens = Tokens.from_pair(pair, self._clock())
        return pair.user

    def logout(self) -> None:
        """End the session and forget the tokens. Without tokens, nothing."""
        if self.tokens is not None:
            call = calls.logout(self.tokens.refresh_token)
            try:
                self.request(call)
            finally:
                self.tokens = None

    def access_token(self) -> str:
        """A token that is good for at least some seconds; renewed when needed."""
        return self._fresh_tokens().access_token

    def renew_after_refusal(self, access_token: str) -> None:
        """Renew unless somebody has done so since `access_token` was handed out."""
        if self.tokens is None or self.tokens.access_token == access_token:
            self._renew(self._fresh_tokens())

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

    @contextlib.contextmanager
    def stream(self, call: Call[bytes]) -> Iterator[httpx.Response]:
        """The answer, whose body is still to be read. Raises as `request` does, also when the body breaks off."""
        try:
            response = self._http.send(build_request(self._http, call, self.access_token()), stream=True)
            try:
                if not response.is_success:
                    response.read()
                    read_answer(call, response)
                yield response
            finally:
                response.close()
        except httpx.HTTPError as error:
            raise unanswered(self.base_url, error) from error

    def all_pages(self, call: Call[Page[T]], limit: int | None = None) -> list[T]:
        """Every item of a list, or the first `limit`."""
        items: list[T] = []
        cursor: str | None = None
        while limit is None or len(items) < limit:
            page = self.request(call.page(cursor))
            items += page.items
            cursor = page.next_cursor
            if cursor is None:
                break
        return items[:limit]

    def _fresh_tokens(self) -> Tokens:
        if self.tokens is None:
            raise NotLoggedInError(UNAUTHENTICATED, "log in first")
        return self._renew(self.tokens) if self.tokens.due(self._clock()) else self.tokens

    def _renew(self, stale: Tokens) -> Tokens:
        # One flight: a refresh token used twice revokes the whole session, so whoever waited takes the new pair.
        with self._renewal:
            if self.tokens is None:
                raise NotLoggedInError(UNAUTHENTICATED, "log in first")
            if self.tokens is stale:
                if stale.refresh_token is None:
                    raise NotLoggedInError(UNAUTHENTICATED, NO_RENEWAL)
                pair = self._send(calls.refresh(stale.refresh_token), None)
                self.tokens = Tokens.from_pair(pair, self._clock())
            return self.tokens

    def _send(self, call: Call[T], access_token: str | None) -> T:
        sent = 0
        while True:
            sent += 1
            try:
                return self._send_once(call, access_token)
            except (ApiError, BackendUnreachableError) as error:
                pause = pause_before_retry(call, sent, self._retries, error)
                if pause is None:
                    raise
            self._sleep(pause)

    def _send_once(self, call: Call[T], access_token: str | None) -> T:
        try:
            response = self._http.send(build_request(self._http, call, access_token))
        except httpx.HTTPError as error:
            raise unanswered(self.base_url, error) from error
        return read_answer(call, response)
