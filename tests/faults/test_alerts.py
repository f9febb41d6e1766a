"""Alerts while backends are killed and the receiver fails: each transition happens once and is delivered, in order."""

import asyncio
import signal
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

import asyncpg
import pytest

from chatops_backend.database.open import open_database
from chatops_backend.settings import Settings
from tests.backend.alerts.sinks import DIES, HttpSink, Request, running
from tests.conftest import NewSettings, free_port
from tests.faults.alerting_backend import BUSY, IDLE, prepare, states, transitions, until
from tests.stack import Backend, running_backend

pytestmark = [pytest.mark.anyio, pytest.mark.faults]

HOSTS = 20
# Of ten requests, three are refused, and one is taken but the connection ends before the answer.
REFUSED, UNANSWERED = (2, 5, 8), (6,)
# The wave's requests, counted from one, during which the backend is killed.
KILLED_AT = {"first": (1, 7), "second": (1,)}
TAKEOVER_WITHIN_S = 30.0


class FailingReceiver:
    """Answers as `REFUSED` and `UNANSWERED` say, and kills the backend in the middle of some requests. While `closed`
    it refuses all, so that a backend that is killed meanwhile cannot have delivered anything."""

    def __init__(self, sink: HttpSink) -> None:
        self.backend: Backend | None = None
        self.sink = sink
        self.answered: list[Request] = []
        self.closed = True
        self.kill_at: set[int] = set()
        self.kills = 0
        sink.answer = self._answer

    def kill_in_the_next(self, numbers: Iterable[int]) -> None:
        """While it waits for the answers to these requests, counted from now."""
        self.kill_at = {len(self.sink.requests) + number for number in numbers}

    def _answer(self, request: Request) -> int:
        number = len(self.sink.requests)
        if self.closed:
            return 503
        if number in self.kill_at:
            assert self.backend is not None
            self.backend.kill()
            self.kills += 1
            return DIES
        if number % 10 in REFUSED:
            return 503
        if number % 10 in UNANSWERED:
            return DIES
        self.answered.append(request)
        return 200


def start(backend: Backend) -> None:
    """Start it; the receiver may kill it before it says that it is ready."""
    try:
        backend.start()
    except AssertionError:
        if backend.program.process.poll() != -signal.SIGKILL:
            raise


async def revive(backend: Backend, until_kills: int, receiver: FailingReceiver) -> None:
    """Start the backend whenever it was killed, until it was that often."""
    while True:
        await until(lambda: backend.program.process.poll() is not None)
        await asyncio.to_thread(start, backend)
        if receiver.kills >= until_kills and backend.program.process.poll() is None:
            return


async def test_whatever_is_killed_and_refused_every_transition_is_told_and_repeats_carry_its_key(
    new_settings: NewSettings,
) -> None:
    settings = replace(await new_settings(), allow_private_targets=True)
    async with running(HttpSink()) as sink:
        receiver = FailingReceiver(sink)
        with running_backend(settings) as backend:
            receiver.backend = backend
            hosts = await asyncio.to_thread(prepare, backend, sink.url, HOSTS)
            names = list(hosts.keys)
            first, second = names[: HOSTS // 2], names[HOSTS // 2 :]

            async def report(which: list[str], values: list[float]) -> None:
                await asyncio.to_thread(hosts.report, backend, which, values)

            # Readings are stored, and nobody looked at them yet.
            await report(first, BUSY)
            backend.kill()
            await asyncio.to_thread(backend.start)
            # Transitions are stored, and nobody was told yet.
            await until(lambda: states(backend) == dict.fromkeys(first, "firing"))
            backend.kill()
            receiver.closed = False
            receiver.kill_in_the_next(KILLED_AT["first"])
            await asyncio.to_thread(start, backend)
            await revive(backend, len(KILLED_AT["first"]), receiver)

            await report(first, IDLE)
            await report(second, BUSY)
            receiver.kill_in_the_next(KILLED_AT["second"])
            await revive(backend, len(KILLED_AT["first"]) + len(KILLED_AT["second"]), receiver)

            wanted = {(name, "firing") for name in names} | {(name, "resolved") for name in first}
            await until(lambda: set(transitions(receiver.answered)) == wanted)
            assert await asyncio.to_thread(backend.stop) == 0
    assert receiver.kills == 3
    check_deliveries(receiver)
    assert await happened(settings) == dict.fromkeys(wanted, 1)


def check_deliveries(receiver: FailingReceiver) -> None:
    """What was taken twice is what the sender could not know to be taken, and nothing else."""
    requests, taken, answered = receiver.sink.requests, receiver.sink.taken, receiver.answered
    keys = defaultdict(set)
    for request in requests:
        keys[tuple(transitions([request]))].add(request.key)
    assert {len(found) for found in keys.values()} == {1}, "repeats carry the key of the first"
    assert len({request.key for request in requests}) == len(keys)
    told = transitions(answered)
    assert set(told.values()) == {1}, "nothing comes again that was answered"
    unanswered = [request for request in taken if not any(request is one for one in answered)]
    assert len(unanswered) > receiver.kills
    assert len(taken) - len({request.key for request in taken}) == len(unanswered)
    refused = len(requests) - len(taken)
    assert refused >= 0.2 * len(requests)
    order = [what for request in answered for what in transitions([request])]
    for name, status in order:
        if status == "resolved":
            assert order.index((name, "firing")) < order.index((name, "resolved"))


async def happened(settings: Settings) -> dict[tuple[str, str], int]:
    """How often each host's alert fired and ended, as the database has it."""
    words = {"fired": "firing", "resolved": "resolved"}
    async with open_database(settings) as database:
        rows = await database.fetch(
            "SELECT server.name, event.transition, count(*) AS times FROM chatops.alert_events AS event"
            " JOIN chatops.servers AS server ON server.id = event.server_id GROUP BY 1, 2"
        )
    return {(row["name"], words[row["transition"]]): row["times"] for row in rows}


async def test_another_backend_evaluates_within_half_a_minute_after_the_one_that_did_was_killed(
    new_settings: NewSettings, tmp_path
) -> None:
    settings = replace(await new_settings(), allow_private_targets=True)
    if settings.database_url is None:
        pytest.skip("two backends need a database server: the embedded database takes one client at a time")
    beside = replace(settings, data_dir=tmp_path, port=free_port(), dashboard_port=free_port())
    async with running(HttpSink(answer=lambda _: 503)) as sink:
        with running_backend(settings) as leader, running_backend(beside) as other:
            connection = await asyncpg.connect(settings.database_url)
            hosts = await asyncio.to_thread(prepare, leader, sink.url, 6)
            names = list(hosts.keys)
            await asyncio.to_thread(hosts.report, other, names[:3], BUSY)
            await until(lambda: states(other) == dict.fromkeys(names[:3], "firing"))
            # It has just moved its lease ahead, and nobody was told yet.
            holder = await connection.fetchval("SELECT holder FROM chatops.leases")
            leader.kill()
            killed = time.monotonic()
            sink.answer = lambda _: 200
            await asyncio.to_thread(hosts.report, other, names[:3], IDLE)
            await asyncio.to_thread(hosts.report, other, names[3:], BUSY)
            async with asyncio.timeout(60):
                while await connection.fetchval("SELECT holder FROM chatops.leases") == holder:
                    await asyncio.sleep(0.05)
            took_s = time.monotonic() - killed
            wanted = {(name, "firing") for name in names} | {(name, "resolved") for name in names[:3]}
            await until(lambda: set(transitions(sink.taken)) == wanted)
            assert took_s < TAKEOVER_WITHIN_S
            await connection.close()
            assert await asyncio.to_thread(other.stop) == 0
    assert set(transitions(sink.taken).values()) == {1}
    assert await happened(settings) == dict.fromkeys(wanted, 1)
