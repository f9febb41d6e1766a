"""A person's session with one backend: sends calls, keeps the tokens fresh. What can be called is in `AsyncClient`."""

import asyncio
import time
from collections.abc import Callable, Mapping
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


class AsyncSession:
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
        """`http` lets several sessions share one connection pool; its base URL must be `base_url`. `headers` go with
        every call of this session. `token`, `tokens` and `retries`: see `Session`."""
        if token is not None and tokens is not None:
            raise ValueError("give either `token` or `tokens`")
        self.base_url = base_url.rstrip("/")
        self.tokens = Tokens.without_renewal(token) if token is not None else tokens
        self._retries = retries
        self._headers = dict(headers or {})
        self._clock = clock
        self._renewal = asyncio.Lock()
        self._renewals: set[asyncio.Task[Tokens]] = set()
        self._owned = http is None
        self._http = http or httpx.AsyncClient(base_url=self.base_url, timeout=TIMEOUT_S)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections; the session on the backend lives on (`logout` ends it)."""
        if self._owned:
            await self._http.aclose()

    async def login(self, username: str, password: str, totp_code: str | None = None) -> User:
        """Log in and keep the tokens for the calls that follow. `totp_code`: of whoever has a second factor; without it
        `NotLoggedInError` names the field in `extra`."""
        pair = await self._send(calls.login(username, password, totp_code), None)
        self.tokens = Tokens.from_pair(pair, self._clock())
        return pair.user

    async def logout(self) -> None:
        """End the session and forget the tokens. Without tokens, nothing."""
        if self.tokens is not None:
            call = calls.logout(self.tokens.refresh_token)
            try:
                await self.request(call)
            finally:
                self.tokens = None

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
            raise NotLoggedInError(UNAUTHENTICATED, "log in first")
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
                raise NotLoggedInError(UNAUTHENTICATED, "log in first")
            if self.tokens is stale:
                if stale.refresh_token is None:
                    raise NotLoggedInError(UNAUTHENTICATED, NO_RENEWAL)
                pair = await self._send(calls.refresh(stale.refresh_token), None)
                self.tokens = Tokens.from_pair(pair, self._clock())
            return self.tokens

    async def _send(self, call: Call[T], access_token: str | None) -> T:
        sent = 0
        while True:
            sent += 1
            try:
                return await self._send_once(call, access_token)
            except (ApiError, BackendUnreachableError) as error:
                pause = pause_before_retry(call, sent, self._retries, error)
                if pause is None:
                    raise
            await asyncio.sleep(pause)

    async def _send_once(self, call: Call[T], access_token: str | None) -> T:
        try:
            response = await self._http.send(build_request(self._http, call, access_token, self._headers))
        except httpx.HTTPError as error:
            raise unanswered(self.base_url, error) from error
        return read_answer(call, response)

    async def all_pages(self, call: Call[Page[T]], limit: int | None = None) -> list[T]:
        """Every item of a list, or the first `limit`."""
        items: list[T] = []
        cursor: str | None = None
        while limit is None or len(items) < limit:
            page = await self.request(call.page(cursor))
            items += page.items
            cursor = page.next_cursor
            if cursor is None:
                break
        return items[:limit]
