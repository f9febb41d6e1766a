"""Agents that are not ours: that speak for another's server, flood, are too old, or say nothing."""

import asyncio
import base64
import contextlib
import secrets
import time
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from websockets.exceptions import ConnectionClosed

from chatops_backend.commands.changes import CommandChanges
from chatops_backend.commands.recorder import MAX_PENDING_BYTES, Recorder
from chatops_protocol.agent_messages import decode_to_agent_msgpack
from chatops_protocol.control_messages import (
    HEAD_BYTES,
    TAIL_BYTES,
    Answered,
    AnswerFailed,
    Ask,
    CancelOrder,
    CarryOut,
    OrderFinished,
    OrderOutput,
    OrderStarted,
    OutcomeStored,
    OutputStored,
    ProcessesListed,
    StopAsking,
    decode_order,
    signed_bytes,
)
from tests.backend.ingest.agent_socket import AgentSocket, encode_msgpack, welcomed

pytestmark = pytest.mark.anyio

KNOWS = {"understands": ["run_command", "signal_process", "list_processes"], "command_policy": "shell"}
PIECE = 32_768


def server(backend) -> tuple[int, str]:
    return backend.add_server(f"raw-{secrets.token_hex(4)}")


async def post(backend, server_id: int, **request: Any) -> dict[str, Any]:
    asked = {"argv": ["true"], **request}
    answer = await asyncio.to_thread(backend.call, "POST", f"/commands/{server_id}", json=asked)
    assert answer.status_code in (200, 202), answer.text
    return answer.json()


async def read(backend, command_id: int) -> dict[str, Any]:
    return (await asyncio.to_thread(backend.call, "GET", f"/commands/{command_id}")).raise_for_status().json()


async def until(backend, command_id: int, *states: str) -> dict[str, Any]:
    async with asyncio.timeout(20):
        while (found := await read(backend, command_id))["state"] not in states:
            await asyncio.sleep(0.05)
    return found


async def received(agent: AgentSocket, kind: type) -> Any:
    while not isinstance(message := await agent.receive(), kind):
        pass
    return message


async def test_what_an_agent_gets_is_signed_by_the_key_it_was_told_for_its_server(backend) -> None:
    server_id, key = server(backend)
    async with welcomed(backend, key, **KNOWS) as agent:
        command = await post(backend, server_id, argv=["echo", "a b"], timeout_s=9)
        order = await received(agent, CarryOut)
        created = backend.call("POST", "/api-keys", json={"server_id": server_id, "name": "another"}).json()
        public = Ed25519PublicKey.from_public_bytes(base64.b64decode(created["command_key"]))
        public.verify(order.signature, signed_bytes(order.envelope))
        inside = decode_order(order.envelope)
        assert (inside.id, inside.server_id, inside.nonce) == (command["id"], server_id, order.nonce)
        assert (inside.act.argv, inside.act.timeout_s) == (["echo", "a b"], 9)
        assert inside.issued_at < inside.expires_at <= inside.issued_at + 61


async def test_nothing_an_agent_says_of_anothers_command_counts(backend) -> None:
    own, own_key = server(backend)
    _, other_key = server(backend)
    async with welcomed(backend, own_key, **KNOWS) as agent, welcomed(backend, other_key, **KNOWS) as thief:
        await post(backend, own, timeout_s=60)
        order = await received(agent, CarryOut)
        for _ in range(50):
            for message in (
                OrderStarted(order.id, order.nonce, time.time()),
                OrderOutput(order.id, order.nonce, 1, "stdout", 0, b"forged"),
                OrderFinished(order.id, order.nonce, "ok", 0),
            ):
                await thief.send(message)
        confirmed = 0
        while confirmed < 50:
            confirmed += isinstance(await thief.receive(), OutcomeStored)
        assert ((await read(backend, order.id))["state"], (await read(backend, order.id))["stdout"]) == ("sent", "")
        await agent.send(OrderOutput(order.id, order.nonce, 1, "stdout", 0, b"mine"))
        await agent.send(OrderFinished(order.id, order.nonce, "failed", 7, "", 0.5, 4, 0))
        ended = await until(backend, order.id, "failed")
        assert (ended["stdout"], ended["exit_code"]) == ("mine", 7)


async def test_an_end_is_taken_once_and_with_the_right_number_only(backend) -> None:
    server_id, key = server(backend)
    async with welcomed(backend, key, **KNOWS) as agent:
        await post(backend, server_id)
        order = await received(agent, CarryOut)
        await agent.send(OrderFinished(order.id, "0" * 32, "ok", 0))
        await agent.send(OrderFinished(order.id, order.nonce, "failed", 1))
        await agent.send(OrderFinished(order.id, order.nonce, "ok", 0))
        for _ in range(3):
            await received(agent, OutcomeStored)
        assert (await read(backend, order.id))["state"] == "failed"


async def test_output_that_comes_again_is_stored_once_and_the_middle_of_much_is_forgotten(backend) -> None:
    server_id, key = server(backend)
    async with welcomed(backend, key, **KNOWS) as agent:
        await post(backend, server_id, timeout_s=60)
        order = await received(agent, CarryOut)
        await agent.send(OrderStarted(order.id, order.nonce, time.time()))
        for number in range(100):
            data = bytes([65 + number % 26]) * PIECE
            for _ in range(2):
                await agent.send(OrderOutput(order.id, order.nonce, number + 1, "stdout", number * PIECE, data))
            await received(agent, OutputStored)
        await agent.send(OrderFinished(order.id, order.nonce, "ok", 0, "", 1.0, 100 * PIECE, 0))
        ended = await until(backend, order.id, "ok")
        assert ended["stdout_bytes"] == 100 * PIECE
        head, left_out, tail = ended["stdout"].split("\n")
        assert (len(head), len(tail)) == (HEAD_BYTES, TAIL_BYTES)
        assert left_out == f"… {100 * PIECE - HEAD_BYTES - TAIL_BYTES} bytes left out …"
        assert tail.endswith("V")
        assert "A" * PIECE in head


async def test_an_agent_that_claims_places_cannot_have_more_stored(backend) -> None:
    server_id, key = server(backend)
    async with welcomed(backend, key, **KNOWS) as agent:
        await post(backend, server_id, timeout_s=60)
        order = await received(agent, CarryOut)
        for number in range(100):
            await agent.send(OrderOutput(order.id, order.nonce, number + 1, "stderr", 0, b"x" * PIECE))
            await received(agent, OutputStored)
        assert len((await read(backend, order.id))["stderr"]) <= HEAD_BYTES + TAIL_BYTES + PIECE


async def test_an_agent_that_sends_far_more_than_its_window_is_cut_off() -> None:
    class Connection:
        closing = False

        def close(self, code: int, reason: str) -> None:
            self.closing = True

    async def ended(_: Any) -> None: ...

    recorder = Recorder(None, CommandChanges(), ended)  # type: ignore[arg-type]
    flooding, other = Connection(), Connection()
    recorder.put(other, OrderStarted(1, "b" * 32, 1.0))  # type: ignore[arg-type]
    taken = 0
    while not flooding.closing:
        recorder.put(flooding, OrderOutput(1, "a" * 32, 1, "stdout", 0, b"x" * PIECE))  # type: ignore[arg-type]
        taken += 1
        assert taken * PIECE <= MAX_PENDING_BYTES + 2 * PIECE
    assert not other.closing


async def test_a_flood_of_output_of_no_order_does_the_others_no_harm(backend, host) -> None:
    _, key = server(backend)
    async with welcomed(backend, key, **KNOWS) as agent:
        flood = encode_msgpack(OrderOutput(1, "a" * 32, 1, "stdout", 0, b"x" * PIECE))
        with contextlib.suppress(ConnectionClosed):
            for _ in range(5_000):
                await agent.socket.send(flood)
        assert (await asyncio.to_thread(host.run, "echo", "on"))["stdout"] == "on\n"


async def test_an_agent_of_an_earlier_version_gets_no_message_it_does_not_know(backend) -> None:
    server_id, key = server(backend)
    async with welcomed(backend, key) as agent:
        ended = await post(backend, server_id, wait_s=10)
        assert (ended["state"], "update it" in ended["detail"]) == ("failed", True)
        answer = await asyncio.to_thread(backend.call, "GET", f"/processes/{server_id}")
        assert (answer.status_code, answer.json()["title"]) == (409, "Agent too old")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await agent.socket.recv()


async def test_a_command_is_handed_out_again_to_the_agent_that_did_not_confirm_it(backend) -> None:
    server_id, key = server(backend)
    async with welcomed(backend, key, **KNOWS) as agent:
        await post(backend, server_id)
        first = await received(agent, CarryOut)
    async with welcomed(backend, key, **KNOWS) as agent:
        assert await received(agent, CarryOut) == first
        await agent.send(OrderStarted(first.id, first.nonce, time.time()))
        await until(backend, first.id, "running")
    other = backend.call("POST", "/api-keys", json={"server_id": server_id, "name": "other"}).json()["key"]
    await post(backend, server_id, timeout_s=50)
    async with welcomed(backend, key, **KNOWS) as agent:
        second = await received(agent, CarryOut)
        assert second.id != first.id, "what has begun is not handed out again"
    async with welcomed(backend, other, **KNOWS) as agent:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.5):
                await received(agent, CarryOut)


async def test_a_cancel_reaches_the_agent(backend) -> None:
    server_id, key = server(backend)
    async with welcomed(backend, key, **KNOWS) as agent:
        await post(backend, server_id)
        order = await received(agent, CarryOut)
        await agent.send(OrderStarted(order.id, order.nonce, time.time()))
        await until(backend, order.id, "running")
        await asyncio.to_thread(backend.call, "POST", f"/commands/{order.id}/cancel")
        cancel = await received(agent, CancelOrder)
        assert (cancel.nonce, cancel.reason) == (order.nonce, "cancelled by admin")


async def test_what_was_cancelled_while_its_agent_was_away_is_not_handed_out_again(backend) -> None:
    server_id, key = server(backend)
    async with welcomed(backend, key, **KNOWS) as agent:
        await post(backend, server_id, expires_s=600)
        order = await received(agent, CarryOut)
    await asyncio.to_thread(backend.call, "POST", f"/commands/{order.id}/cancel")
    async with welcomed(backend, key, **KNOWS) as agent:
        # The agent that never had it would begin it, and end it a moment later; one that had it says so by itself.
        first = await agent.receive()
        while not isinstance(first, CarryOut | CancelOrder):
            first = await agent.receive()
        assert isinstance(first, CancelOrder)
        assert first.nonce == order.nonce


async def test_only_who_was_asked_answers_and_a_late_answer_is_ignored(backend) -> None:
    server_id, key = server(backend)
    _, other_key = server(backend)
    forged, real = ProcessesListed(1.0, 999, []), ProcessesListed(2.0, 5, [])
    async with welcomed(backend, key, **KNOWS) as agent, welcomed(backend, other_key, **KNOWS) as thief:
        asking = asyncio.create_task(asyncio.to_thread(backend.call, "GET", f"/processes/{server_id}"))
        ask = await received(agent, Ask)
        for number in range(max(1, ask.id - 5), ask.id + 5):
            await thief.send(Answered(number, forged))
        await thief.send(AnswerFailed(ask.id, "failed", "forged"))
        await asyncio.sleep(0.3)  # time to be believed, which it must not
        assert not asking.done()
        await agent.send(Answered(ask.id, real))
        assert (await asking).json()["total"] == 5
        await agent.send(Answered(ask.id, forged))
        again = asyncio.create_task(asyncio.to_thread(backend.call, "GET", f"/processes/{server_id}"))
        ask = await received(agent, Ask)
        await agent.send(AnswerFailed(ask.id, "refused", "not here"))
        answer = await again
        assert (answer.status_code, answer.json()["detail"]) == (409, "not here")


async def test_an_agent_that_does_not_answer_or_leaves_is_told_of_in_words(backend) -> None:
    server_id, key = server(backend)
    async with welcomed(backend, key, **KNOWS) as agent:
        asking = asyncio.create_task(asyncio.to_thread(backend.call, "GET", f"/processes/{server_id}"))
        ask = await received(agent, Ask)
        stop = await received(agent, StopAsking)
        assert stop.id == ask.id
        answer = await asking
        assert (answer.status_code, "within 10 s" in answer.json()["detail"]) == (504, True)
        asking = asyncio.create_task(asyncio.to_thread(backend.call, "GET", f"/processes/{server_id}"))
        await received(agent, Ask)
    answer = await asking
    assert (answer.status_code, "was lost" in answer.json()["detail"]) == (502, True)


def test_this_file_decodes_what_the_backend_sends() -> None:
    assert decode_to_agent_msgpack(encode_msgpack(StopAsking(3))) == StopAsking(3)
