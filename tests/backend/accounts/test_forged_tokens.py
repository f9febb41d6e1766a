"""Tokens that nobody issued, over HTTP and WebSocket: all refused, none by an error."""

import asyncio
import json
import logging
import uuid

import httpx
import pytest
import websockets

from chatops_backend.accounts.tokens import ACCESS_TOKEN_S, LEEWAY_S, AccessTokens, InvalidTokenError

pytestmark = pytest.mark.anyio


async def test_no_forged_token_gets_in_over_http(port, viewer, forged_tokens) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/api/v1") as client:

        async def status_of(token: str) -> int:
            headers = {"Authorization": f"Bearer {token}".strip().encode()}
            return (await client.get("/auth/me", headers=headers)).status_code

        assert await status_of(viewer.access_token) == 200
        got = {name: await status_of(token) for name, token in forged_tokens.items()}
    assert {name: status for name, status in got.items() if status != 401} == {}


async def test_no_forged_token_gets_in_over_a_websocket(port, viewer, forged_tokens, caplog) -> None:
    async def close_code_of(token: str) -> int | None:
        async with websockets.connect(f"ws://127.0.0.1:{port}/api/v1/ws/echo", open_timeout=30) as socket:
            await socket.send(json.dumps({"type": "auth", "access_token": token}))
            with pytest.raises(websockets.ConnectionClosed):
                await socket.recv()
            return socket.close_code

    with caplog.at_level(logging.WARNING):
        codes = await asyncio.gather(*(close_code_of(token) for token in forged_tokens.values()))
    got = dict(zip(forged_tokens, codes, strict=True))
    assert {name: code for name, code in got.items() if code != 4401} == {}
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_other_schemes_and_places_are_no_credentials(anonymous, viewer) -> None:
    token = viewer.access_token
    for headers in ({"Authorization": token}, {"Authorization": f"Basic {token}"}, {"Cookie": f"access_token={token}"}):
        assert (await anonymous.get("/auth/me", headers=headers)).status_code == 401
    assert (await anonymous.get("/auth/me", params={"access_token": token})).status_code == 401


def test_a_token_lives_for_fifteen_minutes_of_the_clock_that_was_passed_in() -> None:
    now = 1_000_000.0
    tokens = AccessTokens("a secret key for tests, long enough to sign", lambda: now)
    session = uuid.uuid4()
    token = tokens.issue(7, session)
    now += ACCESS_TOKEN_S + LEEWAY_S - 1
    assert (tokens.verify(token).sub, tokens.verify(token).sid) == ("7", session)
    now += 1
    with pytest.raises(InvalidTokenError):
        tokens.verify(token)


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="shorter than 32 bytes"):
        AccessTokens("too short", lambda: 0.0)
