"""Questions: one answer or parts, in time or not at all, and never more than the connection takes."""

import asyncio
import os
from collections.abc import AsyncIterator
from typing import Any

import pytest

from chatops_agent.control.processes import ProcessLister
from chatops_agent.control.questions import MOST_AT_ONCE, Questions
from chatops_agent.control.refusal import RefusedError
from chatops_agent.worker import Worker
from chatops_protocol.control_messages import (
    Answered,
    AnswerFailed,
    Ask,
    ListProcesses,
    ProcessEntry,
    ProcessesListed,
)

pytestmark = pytest.mark.anyio

HUGE = ProcessEntry(1, 0, 0.0, "n" * 2_000_000, "root", "S", None, 0, 1, "")


class Line:
    """Takes answers; `full` makes it wait."""

    def __init__(self) -> None:
        self.said: list[Answered | AnswerFailed] = []
        self.room = asyncio.Event()
        self.room.set()
        self._said = asyncio.Event()

    async def send(self, message: Answered | AnswerFailed) -> None:
        await self.room.wait()
        self.said.append(message)
        self._said.set()

    async def until(self, count: int) -> list[Answered | AnswerFailed]:
        async with asyncio.timeout(10):
            while len(self.said) < count:
                self._said.clear()
                await self._said.wait()
        return self.said


def listed(total: int, *processes: ProcessEntry) -> ProcessesListed:
    return ProcessesListed(1.0, total, list(processes))


def questions(line: Line, answer: Any) -> Questions:
    return Questions({ListProcesses: answer}, line.send)


async def test_an_answer_is_given_under_the_number_of_its_question() -> None:
    async def answer(_: ListProcesses) -> ProcessesListed:
        return listed(3)

    line = Line()
    questions(line, answer).ask(Ask(7, 5.0, ListProcesses()))
    assert await line.until(1) == [Answered(7, listed(3), last=True)]


async def test_parts_come_in_order_and_then_an_end() -> None:
    async def answer(_: ListProcesses) -> AsyncIterator[ProcessesListed]:
        for total in range(3):
            yield listed(total)

    line = Line()
    questions(line, answer).ask(Ask(7, 5.0, ListProcesses()))
    parts = [Answered(7, listed(total), last=False) for total in range(3)]
    assert await line.until(4) == [*parts, Answered(7, None, last=True)]


async def test_parts_are_made_no_faster_than_they_are_taken_and_end_when_nobody_wants_more() -> None:
    made = 0
    ended = asyncio.Event()

    async def answer(_: ListProcesses) -> AsyncIterator[ProcessesListed]:
        nonlocal made
        try:
            while True:
                made += 1
                yield listed(made)
        finally:
            ended.set()

    line = Line()
    line.room.clear()
    asked = questions(line, answer)
    asked.ask(Ask(7, 5.0, ListProcesses()))
    await asyncio.sleep(0.2)  # time to make thousands
    assert made == 1
    asked.stop(7)
    async with asyncio.timeout(5):
        await ended.wait()
    assert line.said == []


async def test_what_takes_too_long_is_given_up_and_what_fails_or_is_refused_says_why() -> None:
    async def slow(_: ListProcesses) -> ProcessesListed:
        await asyncio.sleep(60)
        return listed(0)

    async def slow_parts(_: ListProcesses) -> AsyncIterator[ProcessesListed]:
        await asyncio.sleep(60)
        yield listed(0)

    async def broken(_: ListProcesses) -> ProcessesListed:
        raise OSError("the disk\0 is gone")

    async def refusing(_: ListProcesses) -> ProcessesListed:
        raise RefusedError("not on this host")

    async def huge(_: ListProcesses) -> ProcessesListed:
        return listed(1, HUGE)

    for answer, reason, says in (
        (slow, "failed", "more than 0.1 s"),
        (slow_parts, "failed", "more than 0.1 s"),
        (broken, "failed", "OSError: the disk is gone"),
        (refusing, "refused", "not on this host"),
        (huge, "refused", "more than fit"),
    ):
        line = Line()
        questions(line, answer).ask(Ask(1, 0.1, ListProcesses()))
        (failed,) = await line.until(1)
        assert isinstance(failed, AnswerFailed)
        assert (failed.reason, says in failed.detail) == (reason, True), answer.__name__


async def test_too_many_at_once_are_refused() -> None:
    async def never(_: ListProcesses) -> ProcessesListed:
        await asyncio.sleep(60)
        return listed(0)

    line = Line()
    asked = questions(line, never)
    for number in range(1, MOST_AT_ONCE + 3):
        asked.ask(Ask(number, 60.0, ListProcesses()))
    said = await line.until(2)
    assert {one.id for one in said} <= set(range(1, MOST_AT_ONCE + 3))
    assert all(isinstance(one, AnswerFailed) and one.reason == "refused" for one in said)
    asked.stop_all()


async def test_many_who_ask_for_the_processes_at_once_cost_one_reading() -> None:
    class Counting(Worker):
        calls = 0

        def run(self, function, *args, **kwargs):  # type: ignore[no-untyped-def]
            self.calls += 1
            return super().run(function, *args, **kwargs)

    # The worker's thread also collects the readings and writes the spool.
    worker = Counting()
    lister = ProcessLister(worker)
    impatient = asyncio.create_task(lister.answer())
    others = [asyncio.create_task(lister.answer()) for _ in range(20)]
    await asyncio.sleep(0)
    impatient.cancel()
    answers = await asyncio.gather(*others)
    assert worker.calls == 2
    assert os.getpid() in {entry.pid for entry in answers[0].processes}
    assert await lister.answer() is not answers[0]
    worker.close()
