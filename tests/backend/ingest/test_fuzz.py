"""Ten thousand hostile messages at the socket of a running backend: it neither falls, nor grows, nor complains."""

import asyncio
import contextlib
import itertools
import random
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from websockets.exceptions import ConnectionClosed

from chatops_protocol.agent_messages import Authenticate, decode_from_agent_json, decode_from_agent_msgpack
from tests.backend.ingest.agent_socket import authenticate, new_stream, opened, samples, stored_values, welcomed
from tests.backend.ingest.hostile_messages import Message, messages

pytestmark = pytest.mark.anyio

SEED = 20_260_101
AS_FIRST_MESSAGE, IN_A_SESSION, NOT_EVEN_TEXT = 400, 9_550, 50
A_SESSION = 500
MAX_GROWTH_BYTES = 50 * 1024 * 1024


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


def ends_the_session(message: Message) -> bool:
    """Whether it is an authentication, which closes a session: what follows it would not be read."""
    decode = decode_from_agent_json if isinstance(message, str) else decode_from_agent_msgpack
    with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return isinstance(decode(message), Authenticate)  # type: ignore[arg-type]
    return False


def groups_of(size: int, sent: Iterator[Message]) -> Iterator[tuple[Message, ...]]:
    while some := tuple(itertools.islice(sent, size)):
        yield some


async def send_as_first(backend, message: Message) -> None:
    async with opened(backend) as agent:
        with contextlib.suppress(ConnectionClosed):
            await agent.socket.send(message)
        assert await agent.close_code() in (4400, 4401)


async def send_in_a_session(backend, key: str, sent: tuple[Message, ...]) -> None:
    """All of them, and proof that the backend has read them all: the authentication after them closes the session."""
    async with welcomed(backend, key) as agent:
        closed = asyncio.create_task(agent.close_code(60))
        for message in sent:
            await agent.socket.send(message)
        await agent.send(authenticate(key, new_stream()))
        assert await closed == 4400


async def test_ten_thousand_hostile_messages_do_no_harm(backend, new_server) -> None:
    server_id, key = new_server()
    pid = backend.program.process.pid
    random_source = random.Random(SEED)
    warm_up = tuple(message for message in messages(random_source, 1000) if not ends_the_session(message))
    await send_in_a_session(backend, key, warm_up)
    before = resident_bytes(pid)

    for some in groups_of(20, messages(random_source, AS_FIRST_MESSAGE)):
        await asyncio.gather(*(send_as_first(backend, message) for message in some))
    in_sessions = (message for message in messages(random_source, 2 * IN_A_SESSION) if not ends_the_session(message))
    for some in groups_of(A_SESSION, itertools.islice(in_sessions, IN_A_SESSION)):
        await send_in_a_session(backend, key, some)
    for _ in range(NOT_EVEN_TEXT):
        async with welcomed(backend, key) as agent:
            await agent.socket.send(b'{"type": "\xff' + random_source.randbytes(9), text=True)
            assert await agent.close_code() == 1007

    assert backend.program.process.poll() is None
    assert resident_bytes(pid) - before <= MAX_GROWTH_BYTES
    async with welcomed(backend, key) as agent:
        await agent.send(samples(1, 123.25))
        await agent.stored(1)
    assert 123.25 in stored_values(backend, server_id)
    log = backend.program.log.read_text()
    assert [line for line in log.splitlines() if "Traceback" in line or " ERROR " in line or " CRITICAL " in line] == []
