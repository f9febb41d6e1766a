"""Analyses compute beside the event loop, on two threads, and queue behind each other."""

import asyncio
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from chatops_backend.alerts import replays
from chatops_backend.analysis.turns import THREADS, Turns
from chatops_backend.problems import ProblemError

pytestmark = pytest.mark.anyio


class Caller:
    """A request whose connection stays open: that is all that is asked of one."""

    async def receive(self) -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError("unreachable")


def turns() -> Turns:
    return Turns(SimpleNamespace(runs_policies=False))  # type: ignore[arg-type]  # the one attribute that is used


async def test_computing_holds_up_neither_the_loop_nor_more_than_its_threads() -> None:
    made, inside, most, let_go = turns(), set[str](), [0], threading.Event()
    lock = threading.Lock()

    def work() -> str:
        with lock:
            inside.add(threading.current_thread().name)
            most[0] = max(most[0], len(inside))
        assert let_go.wait(60)
        return "done"

    tasks = [asyncio.create_task(made.compute(work)) for _ in range(5)]
    async with asyncio.timeout(60):
        while len(inside) < THREADS:
            await asyncio.sleep(0.01)  # the loop goes on while they compute
    assert not any(task.done() for task in tasks)
    let_go.set()
    assert await asyncio.gather(*tasks) == ["done"] * 5
    assert most[0] == THREADS
    assert all(name.startswith("analysis") for name in inside)


async def test_one_runs_at_a_time_and_too_many_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replays, "MOST_WAITING", 1)
    made, let_go, running = turns(), asyncio.Event(), []

    async def analysis() -> str:
        running.append("one")
        await let_go.wait()
        return "done"

    first = asyncio.create_task(made.run(Caller(), analysis()))  # type: ignore[arg-type]  # as above
    async with asyncio.timeout(60):
        while not running:
            await asyncio.sleep(0)
    second = asyncio.create_task(made.run(Caller(), analysis()))  # type: ignore[arg-type]  # as above
    async with asyncio.timeout(60):
        while made._replays._waiting < 1:
            await asyncio.sleep(0)
    with pytest.raises(ProblemError) as refused:
        await made.run(Caller(), analysis())  # type: ignore[arg-type]  # as above
    assert (refused.value.problem.status, refused.value.problem.title) == (503, "Too many analyses")
    assert running == ["one"]
    let_go.set()
    assert await asyncio.gather(first, second) == ["done", "done"]
