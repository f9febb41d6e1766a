"""A person's session with one backend: sends calls, keeps the tokens fresh. What can be called is in `AsyncClient`."""

import asyncio
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self, TypeVar

import httpx

from chatops_client import calls
from chatops_client.errors import ApiError, BackendUnreachableError
from chatops_client.tokens import Tokens
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
        tokens: Tokens | None = None,
        http: httpx.AsyncClient | None = None,
        headers: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`http` lets several sessions share one connection pool; its base URL must be `base_url`. `headers` go with
        every call of this session."""
        self.base_url = base_url.rstrip("/")
        self.tokens = tokens
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
