"""What an agent carries out and what it refuses: forged, late, repeated, for another; and what it remembers on disk."""

import asyncio
import sqlite3
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from chatops_agent.control.ledger import FILE_NAME, Ledger
from chatops_agent.control.trust import FILE_NAME as KEY_FILE
from chatops_protocol.control_messages import (
    HEAD_BYTES,
    OUTPUT_WINDOW_BYTES,
    CancelOrder,
    OrderFinished,
    OrderOutput,
    OrderStarted,
    RunCommand,
    encode_order,
)
from tests.agent.orders_backend import SERVER_ID, agent_and_backend

pytestmark = pytest.mark.anyio


@pytest.fixture
def key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


@pytest.fixture
def ran(tmp_path: Path) -> Path:
    return tmp_path / "ran"


def touch(ran: Path) -> RunCommand:
    return RunCommand(["sh", "-c", f"echo x >> {ran}"], 30.0)


async def test_an_order_is_carried_out_and_its_course_is_told_in_order(tmp_path, key) -> None:
    async with agent_and_backend(tmp_path, key) as backend:
        end = await backend.run(RunCommand(["sh", "-c", "echo a; echo b >&2; exit 2"], 30.0))
        assert (end.state, end.exit_code, end.stdout_bytes, end.stderr_bytes) == ("failed", 2, 2, 2)
        assert [type(one) for one in backend.heard] == [OrderStarted, OrderOutput, OrderOutput, OrderFinished]


@pytest.mark.parametrize(
    "forgery",
    [
        "another key",
        "no signature",
        "signature of another order",
        "signature without its purpose",
        "another command",
        "one bit",
        "another server",
        "another id outside",
        "another nonce outside",
        "expired",
        "of the future",
        "no order",
        "an unknown act",
        "an unknown field",
    ],
)
async def test_what_is_not_a_good_order_of_this_backend_is_not_run(tmp_path, key, ran, forgery) -> None:
    async with agent_and_backend(tmp_path, key) as backend:
        order = backend.order(touch(ran))
        good = backend.signed(order)
        envelope = good.envelope
        other = Ed25519PrivateKey.generate()
        match forgery:
            case "another key":
                backend.key = other
                bad = backend.signed(order)
            case "no signature":
                bad = backend.signed(order, signature=b"")
            case "signature of another order":
                bad = backend.signed(order, signature=backend.signed(backend.order(touch(ran))).signature)
            case "signature without its purpose":
                bad = backend.signed(order, signature=key.sign(envelope))
            case "another command":
                bad = backend.signed(order, envelope=envelope.replace(b"echo x", b"echo y"))
            case "one bit":
                bad = backend.signed(order, signature=good.signature[:-1] + bytes([good.signature[-1] ^ 1]))
            case "another server":
                bad = backend.signed(backend.order(touch(ran), server_id=SERVER_ID + 1))
            case "another id outside":
                bad = backend.signed(order, id=order.id + 1)
            case "another nonce outside":
                bad = backend.signed(order, nonce="0" * 32)
            case "expired":
                bad = backend.signed(backend.order(touch(ran), expires_at=time.time() - 5))
            case "of the future":
                bad = backend.signed(backend.order(touch(ran), issued_at=time.time() + 4000, expires_at=1e10))
            case "no order":
                bad = _signed_bytes(backend, order, b"[]")
            case "an unknown act":
                bad = _signed_bytes(backend, order, encode_order(order).replace(b"run_command", b"run_anything"))
            case "an unknown field":
                bad = _signed_bytes(backend, order, encode_order(order)[:-1] + b',"as":"root"}')
        await backend.desk.received(bad)
        end = await backend.end_of(bad.nonce)
        assert end.state == ("expired" if forgery == "expired" else "failed")
        assert end.exit_code is None
        assert not [one for one in backend.heard if isinstance(one, OrderStarted)]
        assert not ran.exists()
        backend.key = key
        assert (await backend.run(touch(ran))).state == "ok", "the good one after it is taken"


def _signed_bytes(backend, order, envelope: bytes):
    from chatops_protocol.control_messages import signed_bytes

    return backend.signed(order, envelope=envelope, signature=backend.key.sign(signed_bytes(envelope)))


async def test_the_same_order_sent_a_thousand_times_is_carried_out_once(tmp_path, key, ran) -> None:
    async with agent_and_backend(tmp_path, key) as backend:
        order = backend.order(touch(ran))
        message = backend.signed(order)
        for _ in range(500):
            await backend.desk.received(message)
        assert (await backend.end_of(order.nonce)).state == "ok"
        for _ in range(500):
            await backend.desk.received(message)
        last = await backend.run(RunCommand(["true"], 30.0))
        assert last.state == "ok", "all before it have been looked at"
        assert {one.state for one in backend.heard if isinstance(one, OrderFinished)} == {"ok"}
    assert ran.read_text() == "x\n"
    async with agent_and_backend(tmp_path, key) as backend:
        await backend.desk.received(message)
        assert (await backend.end_of(order.nonce)).state == "ok", "what is known of it is said again"
    assert ran.read_text() == "x\n", "nor by a later life of the agent"


async def test_an_order_from_before_a_lost_ledger_is_not_run(tmp_path, key, ran) -> None:
    async with agent_and_backend(tmp_path, key) as backend:
        message = backend.signed(backend.order(touch(ran)))
        await backend.desk.received(message)
        await backend.end_of(message.nonce)
    for path in tmp_path.glob(f"{FILE_NAME}*"):
        path.unlink()
    async with agent_and_backend(tmp_path, key, met=False) as backend:
        await backend.meet(server_time=time.time())
        await backend.desk.received(message)
        end = await backend.end_of(message.nonce)
        assert (end.state, "older than what this agent remembers" in end.detail) == ("failed", True)
    assert ran.read_text() == "x\n"


@pytest.mark.parametrize("damage", ["cut", "zeroed", "text", "empty"])
async def test_a_damaged_ledger_is_put_aside_and_nothing_from_before_is_run(tmp_path, key, ran, damage) -> None:
    async with agent_and_backend(tmp_path, key) as backend:
        message = backend.signed(backend.order(touch(ran)))
        await backend.desk.received(message)
        await backend.end_of(message.nonce)
    path = tmp_path / FILE_NAME
    whole = path.read_bytes()
    for companion in tmp_path.glob(f"{FILE_NAME}-*"):
        companion.unlink()
    path.write_bytes(
        {"cut": whole[:5000], "zeroed": bytes(len(whole)), "text": b"no database" * 99, "empty": b""}[damage]
    )
    async with agent_and_backend(tmp_path, key, met=False) as backend:
        await backend.meet(server_time=time.time())
        await backend.desk.received(message)
        assert (await backend.end_of(message.nonce)).state == "failed"
        await asyncio.sleep(0.01)
        assert (await backend.run(touch(ran))).state == "ok"
    assert ran.read_text() == "x\nx\n"
    if damage in ("cut", "text"):
        assert list(tmp_path.glob(f"{FILE_NAME}.damaged-*"))


async def test_a_ledger_that_cannot_be_written_runs_nothing(tmp_path, key, ran) -> None:
    async with agent_and_backend(tmp_path, key) as backend:
        assert (await backend.run(RunCommand(["true"], 30.0))).state == "ok"
        blocker = sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)
        blocker.execute("BEGIN EXCLUSIVE")
        try:
            end = await backend.run(touch(ran))
        finally:
            blocker.close()
        assert end.state == "failed"
        assert "cannot write it to its disk" in end.detail
    assert not ran.exists()


def test_old_orders_are_forgotten_and_cannot_come_again(tmp_path, key, monkeypatch) -> None:
    monkeypatch.setattr("chatops_agent.control.ledger.REMEMBERED", 10)
    from tests.agent.orders_backend import OrderingBackend

    backend = OrderingBackend(None, key)  # type: ignore[arg-type]
    ledger = Ledger(tmp_path)
    ledger.set_floor_if_new(1.0)
    orders = [backend.order(issued_at=float(n)) for n in range(2, 30)]
    for order in orders:
        assert ledger.begin(order)
        ledger.finish(OrderFinished(order.id, order.nonce, "ok", 0))
        ledger.reported(order.nonce)
    assert len([order for order in orders if ledger.knows(order.nonce)]) <= 12
    assert not any(ledger.begin(order) for order in orders)
    ledger.close()


async def test_a_key_that_changes_is_refused_until_the_host_forgets_the_old_one(tmp_path, key, ran, caplog) -> None:
    async with agent_and_backend(tmp_path, key) as backend:
        assert (await backend.run(touch(ran))).state == "ok"
    other = Ed25519PrivateKey.generate()
    async with agent_and_backend(tmp_path, other) as backend:
        end = await backend.run(touch(ran))
        assert end.state == "failed"
        assert str(tmp_path / KEY_FILE) in end.detail, "it says what to do"
    assert "signs with another key" in caplog.text
    assert ran.read_text() == "x\n"
    (tmp_path / KEY_FILE).unlink()
    async with agent_and_backend(tmp_path, other) as backend:
        assert (await backend.run(touch(ran))).state == "ok"


async def test_the_key_from_the_settings_counts_and_not_the_first_that_is_told(tmp_path, key, ran) -> None:
    known = key.public_key().public_bytes_raw()
    async with agent_and_backend(tmp_path, Ed25519PrivateKey.generate(), command_key=known) as backend:
        end = await backend.run(touch(ran))
        assert (end.state, "CHATOPS_COMMAND_KEY" in end.detail) == ("failed", True)
        backend.key = key
        await backend.meet()
        assert (await backend.run(touch(ran))).state == "ok"
    assert not (tmp_path / KEY_FILE).exists()


async def test_a_clock_that_is_years_off_neither_stops_orders_nor_revives_old_ones(tmp_path, key, ran) -> None:
    """The backend's clock counts; here it is ten years ahead of this host's."""
    ahead = 10 * 365 * 86_400.0
    async with agent_and_backend(tmp_path, key, met=False) as backend:
        await backend.meet(server_time=time.time() + ahead - 1)
        now = time.time() + ahead
        order = backend.order(touch(ran), issued_at=now, expires_at=now + 60)
        await backend.desk.received(backend.signed(order))
        assert (await backend.end_of(order.nonce)).state == "ok"
        stale = backend.order(touch(ran), issued_at=now, expires_at=now - 5)
        await backend.desk.received(backend.signed(stale))
        assert (await backend.end_of(stale.nonce)).state == "expired"


async def test_output_waits_for_the_backend_and_is_said_again_after_a_reconnect(tmp_path, key) -> None:
    async with agent_and_backend(tmp_path, key, storing=False) as backend:
        order = backend.order(RunCommand(["sh", "-c", "head -c 600000 /dev/zero; echo end"], 30.0))
        await backend.desk.received(backend.signed(order))

        def outputs() -> list[OrderOutput]:
            return [one for one in backend.heard if isinstance(one, OrderOutput)]

        await backend.until(lambda: sum(len(one.data) for one in outputs()) > OUTPUT_WINDOW_BYTES - 40_000)
        await asyncio.sleep(0.3)  # time to send more, which it must not
        assert sum(len(one.data) for one in outputs()) <= OUTPUT_WINDOW_BYTES
        assert not [one for one in backend.heard if isinstance(one, OrderFinished)], "its end comes after its output"
        first = outputs()
        backend.heard.clear()
        backend.storing = True
        await backend.meet()
        end = await backend.end_of(order.nonce)
        again = outputs()
        assert again[: len(first)] == first
        assert [one.sequence for one in again] == list(range(1, len(again) + 1))
        assert sum(len(one.data) for one in again) == end.stdout_bytes == 600_004


async def test_of_endless_output_the_beginning_and_the_end_arrive(tmp_path, key) -> None:
    script = "i=0; while [ $i -lt 400000 ]; do echo line $i; i=$((i+1)); done"
    async with agent_and_backend(tmp_path, key) as backend:
        end = await backend.run(RunCommand(["sh", "-c", script], 60.0))
        pieces = [one for one in backend.heard if isinstance(one, OrderOutput)]
        expected = "".join(f"line {i}\n" for i in range(400_000)).encode()
        assert end.stdout_bytes == len(expected)
        for one in pieces:
            assert one.data == expected[one.offset : one.offset + len(one.data)]
        beginning = 0
        for one in pieces:
            if one.offset != beginning:
                break
            beginning += len(one.data)
        assert beginning >= HEAD_BYTES
        assert pieces[-1].offset + len(pieces[-1].data) == len(expected)


async def test_an_end_is_said_until_it_is_stored_even_by_a_later_life(tmp_path, key, ran) -> None:
    async with agent_and_backend(tmp_path, key, storing=False) as backend:
        order = backend.order(touch(ran))
        await backend.desk.received(backend.signed(order))
        await backend.end_of(order.nonce)
        await backend.meet()
        await backend.end_of(order.nonce, count=2)
    async with agent_and_backend(tmp_path, key) as backend:
        assert (await backend.end_of(order.nonce)).state == "ok"
        await backend.run(RunCommand(["true"], 30.0))
    async with agent_and_backend(tmp_path, key) as backend:
        await backend.run(RunCommand(["true"], 30.0))
        assert order.nonce not in {one.nonce for one in backend.heard if isinstance(one, OrderFinished)}
    assert ran.read_text() == "x\n"


async def test_an_agent_that_is_stopped_ends_what_runs_and_says_so_in_its_next_life(tmp_path, key) -> None:
    async with agent_and_backend(tmp_path, key) as backend:
        order = backend.order(RunCommand(["sh", "-c", "trap '' TERM; sleep 1000 & wait; wait"], 2000.0))
        await backend.desk.received(backend.signed(order))
        await backend.until(lambda: [one for one in backend.heard if isinstance(one, OrderStarted)])
        began = time.monotonic()
    assert time.monotonic() - began < 4
    async with agent_and_backend(tmp_path, key) as backend:
        end = await backend.end_of(order.nonce)
        assert (end.state, end.detail) == ("cancelled", "the agent was stopped")


async def test_an_order_that_is_cancelled_before_it_came_or_after_it_ended_does_no_harm(tmp_path, key) -> None:
    async with agent_and_backend(tmp_path, key) as backend:
        order = backend.order(RunCommand(["true"], 30.0))
        await backend.desk.received(CancelOrder(order.id, order.nonce))
        await backend.desk.received(backend.signed(order))
        assert (await backend.end_of(order.nonce)).state == "ok"
        await backend.desk.received(CancelOrder(order.id, order.nonce))
        assert (await backend.run(RunCommand(["true"], 30.0))).state == "ok"


@pytest.mark.parametrize(("timeout_s", "then"), [(0.5, "wait"), (30.0, "exit 0")], ids=["timed out", "ended by itself"])
async def test_what_hides_its_mark_is_ended_with_its_group(tmp_path, key, timeout_s, then) -> None:
    said = tmp_path / "pid"
    hidden = f"env -i sh -c 'trap \"\" TERM; echo $$ > {said}; sleep 20' >/dev/null 2>&1 &"
    script = f"{hidden} while [ ! -s {said} ]; do sleep 0.02; done; {then}"
    async with agent_and_backend(tmp_path, key) as backend:
        end = await backend.run(RunCommand(["sh", "-c", script], timeout_s))
        assert end.state == ("timed_out" if then == "wait" else "ok")
        command_line = Path(f"/proc/{said.read_text().strip()}/cmdline")
        assert not command_line.exists() or not command_line.read_bytes(), "it runs still"


async def test_a_revoked_key_ends_what_runs(tmp_path, key) -> None:
    async with agent_and_backend(tmp_path, key) as backend:
        order = backend.order(RunCommand(["sleep", "1000"], 2000.0))
        await backend.desk.received(backend.signed(order))
        await backend.until(lambda: [one for one in backend.heard if isinstance(one, OrderStarted)])
        backend.desk.key_was_refused()
        assert (await backend.end_of(order.nonce)).state == "cancelled"


async def test_more_at_once_than_a_host_takes_is_refused_and_not_run_later(tmp_path, key, ran) -> None:
    async with agent_and_backend(tmp_path, key) as backend:
        running = [backend.order(RunCommand(["sleep", "1000"], 2000.0)) for _ in range(8)]
        for order in running:
            await backend.desk.received(backend.signed(order))
        end = await backend.run(touch(ran))
        assert (end.state, "8 orders already" in end.detail) == ("failed", True)
        for order in running:
            await backend.desk.received(CancelOrder(order.id, order.nonce))
        for order in running:
            await backend.end_of(order.nonce)
        assert (await backend.run(touch(ran))).state == "ok"
    assert ran.read_text() == "x\n"


async def test_an_agent_without_orders_does_not_load_the_cryptography() -> None:
    import subprocess
    import sys

    code = "import sys, chatops_agent.runner; print([m for m in ('cryptography', 'tomllib') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "cryptography" not in done.stdout
