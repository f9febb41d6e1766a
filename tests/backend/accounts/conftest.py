"""Forged tokens, and the application behind a real uvicorn on a loopback port."""

import asyncio
import base64
import contextlib
import hmac
import json
import secrets
import socket
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import jwt
import pytest
import uvicorn
from litestar import Litestar, WebSocket, websocket

from chatops_backend.accounts.access import allow_agent, allow_person_socket
from chatops_backend.accounts.service import Accounts
from chatops_backend.accounts.sockets import serve_while_session_lives
from chatops_backend.database.interface import Database
from chatops_backend.servers.agent_keys import generate_key
from chatops_backend.settings import Settings

ANOTHER_KEY = "another key that is as long as the right one"


def encode(part: object) -> str:
    data = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def sign(header: object, payload: object, key: str, digest: str = "sha256") -> str:
    signed = f"{encode(header)}.{encode(payload)}"
    return f"{signed}.{encode(hmac.new(key.encode(), signed.encode(), digest).digest())}"


@pytest.fixture
def forged_tokens(viewer: Any, settings: Settings) -> dict[str, str]:
    """What was done to each token, and the token. All but those of another kind name the living session of `viewer`."""
    key = settings.secret_key
    assert key is not None
    good = jwt.decode(viewer.access_token, options={"verify_signature": False})
    header = {"alg": "HS256", "typ": "at+jwt"}
    now = int(time.time())
    first, second, third = viewer.access_token.split(".")

    def claims(**changes: Any) -> dict[str, Any]:
        return {name: value for name, value in (good | changes).items() if value is not ...}

    tokens = {
        "unsigned": f"{encode({'alg': 'none', 'typ': 'at+jwt'})}.{second}.",
        "unsigned, with a signature": f"{encode({'alg': 'none', 'typ': 'at+jwt'})}.{second}.{third}",
        "unsigned, spelled otherwise": f"{encode({'alg': 'nOnE', 'typ': 'at+jwt'})}.{second}.{third}",
        "no algorithm": sign({"typ": "at+jwt"}, good, key),
        "HS384": sign(header | {"alg": "HS384"}, good, key, "sha384"),
        "HS512": sign(header | {"alg": "HS512"}, good, key, "sha512"),
        "RS256 signed by the secret": sign(header | {"alg": "RS256"}, good, key),
        "ES256 signed by the secret": sign(header | {"alg": "ES256"}, good, key),
        "algorithm is a list": sign(header | {"alg": ["HS256"]}, good, key),
        "another key": sign(header, good, ANOTHER_KEY),
        "the empty key": sign(header, good, ""),
        "no signature": f"{first}.{second}.",
        "half a signature": f"{first}.{second}.{third[:20]}",
        "signature of another token": f"{first}.{encode(claims(sub='999999'))}.{third}",
        "another person, signed otherwise": sign(header, claims(sub=str(viewer.id + 1)), ANOTHER_KEY),
        "key id": sign(header | {"kid": "1"}, good, key),
        "key id is a path": sign(header | {"kid": "../../../../dev/null"}, good, key),
        "key id is SQL": sign(header | {"kid": "x' UNION SELECT 'key'--"}, good, key),
        "key id of the empty file": sign(header | {"kid": "/dev/null"}, good, ""),
        "key address": sign(header | {"jku": "http://127.0.0.1:1/keys"}, good, key),
        "key inside": sign(header | {"jwk": {"kty": "oct", "k": encode(ANOTHER_KEY.encode())}}, good, ANOTHER_KEY),
        "certificate address": sign(header | {"x5u": "http://127.0.0.1:1/"}, good, key),
        "critical extension": sign(header | {"crit": ["b64"], "b64": False}, good, key),
        "type JWT": sign(header | {"typ": "JWT"}, good, key),
        "no type": sign({"alg": "HS256"}, good, key),
        "another audience": sign(header, claims(aud="chatops-agents"), key),
        "several audiences": sign(header, claims(aud=["chatops-api", "x"]), key),
        "no audience": sign(header, claims(aud=...), key),
        "another issuer": sign(header, claims(iss="somebody"), key),
        "no issuer": sign(header, claims(iss=...), key),
        "no session": sign(header, claims(sid=...), key),
        "session of nobody": sign(header, claims(sid=str(uuid.uuid4())), key),
        "session is not one": sign(header, claims(sid="1' OR '1'='1"), key),
        "another person in this session": sign(header, claims(sub=str(viewer.id + 1)), key),
        "person is a number": sign(header, claims(sub=viewer.id), key),
        "no person": sign(header, claims(sub=...), key),
        "no id": sign(header, claims(jti=...), key),
        "expired": sign(header, claims(iat=now - 1000, exp=now - 100), key),
        "of the future": sign(header, claims(iat=now + 100, exp=now + 1000), key),
        "no end": sign(header, claims(exp=...), key),
        "end is text": sign(header, claims(exp="99999999999"), key),
        "end is not a number": sign(header, claims(exp=float("nan")), key),
        "end is infinite": sign(header, claims(exp=float("inf")), key),
        "end is huge": sign(header, claims(exp=10**40), key),
        "no start": sign(header, claims(iat=...), key),
        "an extra claim": sign(header, claims(role="admin"), key),
        "claims are a list": sign(header, [good], key),
        "claims are no JSON": sign(header, b"\xff\xfe{}", key),
        "header is no JSON": sign(b"{", good, key),
        "header is a list": sign([header], good, key),
        "deeply nested": sign(header, b"[" * 2000 + b"]" * 2000, key),
        "very long": sign(header, claims(jti="x" * 20_000), key),
        "two tokens": f"{viewer.access_token}.{viewer.access_token}",
        "refresh token": viewer.refresh_token,
        "key of an agent": generate_key(),
        "padded": viewer.access_token + "==",
        "with a space": viewer.access_token.replace(".", " .", 1),
        "empty": "",
        "not ASCII": "eyJ\u00e9.\u00e9.\u00e9",
        "the person's id": str(viewer.id),
    }
    assert len(tokens) >= 40
    return tokens


@websocket("/ws/echo", opt=allow_person_socket("viewer"))
async def echo_socket(socket: WebSocket, accounts: Accounts) -> None:
    await serve_while_session_lives(socket, accounts, _echo(socket))


@websocket("/ws/operators", opt=allow_person_socket("operator"))
async def operator_socket(socket: WebSocket, accounts: Accounts) -> None:
    await serve_while_session_lives(socket, accounts, _echo(socket), "operator")


@websocket("/ws/agents", opt=allow_agent())
async def agent_socket(socket: WebSocket) -> None:
    await socket.accept()
    await _echo(socket)


async def _echo(socket: WebSocket) -> None:
    if "user" in socket.scope and socket.scope["user"] is not None:
        await socket.send_text(f"hello {socket.user.username}")
    async for text in socket.iter_data():
        await socket.send_text(str(text))


Serve = Callable[[Litestar], Awaitable[int]]


@pytest.fixture(scope="session")
async def serve(anyio_backend: str) -> AsyncIterator[Serve]:
    """A function that serves an application by uvicorn and returns the port."""
    running: list[tuple[uvicorn.Server, asyncio.Task[None]]] = []

    async def start(app: Litestar) -> int:
        # With the protocol named, since asyncio sets TCP_NODELAY on no other: 40 ms a request without it.
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listening.bind(("127.0.0.1", 0))
        listening.listen(128)
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", proxy_headers=False, ws_max_size=1_048_576))
        task = asyncio.create_task(server.serve(sockets=[listening]))
        running.append((server, task))
        async with asyncio.timeout(10):
            while not server.started:
                await asyncio.sleep(0.01)
        port: int = listening.getsockname()[1]
        return port

    yield start
    for server, task in running:
        server.should_exit = True
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.fixture(scope="session")
def socket_handlers() -> tuple[Any, ...]:
    return (echo_socket, operator_socket, agent_socket)


@pytest.fixture(scope="session")
async def port(serve: Serve, build_app: Any, socket_handlers: Any, database: Database, settings: Settings) -> int:
    return await serve(build_app(database, settings, handlers=socket_handlers))


@pytest.fixture
def unique_name() -> str:
    return f"name-{secrets.token_hex(6)}"
