"""The channel to agents: parts of an answer, slow askers, and connections that end."""

import asyncio
from typing import Any

import msgspec
import pytest

from chatops_backend.control.channel import MAX_WAITING_PARTS, MOST_OF_ONE, MOST_QUESTIONS, AgentChannel
from chatops_backend.problems import ProblemError
from chatops_protocol.control_messages import Answered, AnswerFailed, Ask, ListProcesses, ProcessesListed, StopAsking

pytestmark = pytest.mark.anyio


class Connection:
    """What the channel needs of an agent's connection."""

    def __init__(self, server_id: int = 1) -> None:
        self.server_id = server_id
        self.closing = False
        self.understands = frozenset({"list_processes"})
        self.sent: list[Any] = []
        self.something = asyncio.Event()

    def offer(self, message: Any) -> None:
        self.sent.append(message)
        self.something.set()

    async def asked(self) -> Ask:
        await self.something.wait()
        return next(message for message in self.sent if isinstance(message, Ask))


def part(total: int) -> ProcessesListed:
    return ProcessesListed(1.0, total, [])


async def collect(channel: AgentChannel, count: int | None = None) -> list[int]:
    found = []
    parts = channel.ask_for_parts(1, ListProcesses(), ProcessesListed, 5.0)
    async for one in parts:
        found.append(one.total)
        if len(found) == count:
            break
    await parts.aclose()
    return found


@pytest.fixture
def connection() -> Connection:
    return Connection()


@pytest.fixture
def channel(connection: Connection) -> AgentChannel:
    made = AgentChannel()
    made.opened(connection)  # type: ignore[arg-type]
    return made


async def test_parts_are_passed_on_until_the_last(channel, connection) -> None:
    asking = asyncio.create_task(collect(channel))
    ask = await connection.asked()
    for total in range(3):
        channel.received(connection, Answered(ask.id, part(total), last=False))
    channel.received(connection, Answered(ask.id, None))
    assert await asking == [0, 1, 2]
    assert not [message for message in connection.sent if isinstance(message, StopAsking)]


async def test_who_has_enough_stops_the_agent(channel, connection) -> None:
    asking = asyncio.create_task(collect(channel, 2))
    ask = await connection.asked()
    for total in range(5):
        channel.received(connection, Answered(ask.id, part(total), last=False))
    assert await asking == [0, 1]
    assert connection.sent[-1] == StopAsking(ask.id)


async def test_an_asker_that_is_too_slow_is_given_up_and_holds_nothing_up(channel, connection) -> None:
    parts = channel.ask_for_parts(1, ListProcesses(), ProcessesListed, 5.0)
    first = asyncio.ensure_future(anext(parts))
    ask = await connection.asked()
    channel.received(connection, Answered(ask.id, part(0), last=False))
    assert (await first).total == 0
    for total in range(MAX_WAITING_PARTS + 10):
        channel.received(connection, Answered(ask.id, part(total), last=False))
    assert connection.sent[-1] == StopAsking(ask.id)
    with pytest.raises(ProblemError, match="more came than could be passed on"):
        async for _ in parts:
            pass


async def test_the_end_of_a_connection_ends_its_questions_only(channel, connection) -> None:
    newer = Connection()
    asking = asyncio.create_task(collect(channel))
    await connection.asked()
    channel.opened(newer)
    assert channel.connected(1) is newer
    channel.closed(connection)
    with pytest.raises(ProblemError, match="was lost"):
        await asking
    again = asyncio.create_task(channel.ask(1, ListProcesses(), ProcessesListed))
    channel.received(newer, Answered((await newer.asked()).id, part(4)))
    assert (await again).total == 4
    channel.closed(newer)
    assert channel.everyone() == []
    with pytest.raises(ProblemError, match="not connected"):
        await channel.ask(1, ListProcesses(), ProcessesListed)


async def test_a_refusal_and_a_failure_are_told_apart(channel, connection) -> None:
    for reason, status in (("refused", 409), ("failed", 502)):
        connection.sent.clear()
        connection.something.clear()
        asking = asyncio.create_task(channel.ask(1, ListProcesses(), ProcessesListed))
        channel.received(connection, AnswerFailed((await connection.asked()).id, reason, "why"))
        with pytest.raises(ProblemError) as error:
            await asking
        assert (error.value.problem.status, error.value.problem.detail) == (status, "why")


async def test_more_questions_than_an_agent_answers_do_not_reach_its_connection(channel, connection) -> None:
    # What waits for an agent is bounded, and one that has too much waiting is cut off: nobody may do that by asking.
    other = Connection(2)
    channel.opened(other)
    asking = [asyncio.create_task(channel.ask(1, ListProcesses(), ProcessesListed)) for _ in range(2_000)]
    done, under_way = await asyncio.wait(asking, timeout=1.0)
    assert len(connection.sent) == len(under_way) == MOST_QUESTIONS
    assert {task.exception().problem.status for task in done} == {503}
    answered = asyncio.create_task(channel.ask(2, ListProcesses(), ProcessesListed))
    channel.received(other, Answered((await other.asked()).id, part(7)))
    assert (await answered).total == 7
    for task in under_way:
        task.cancel()
    await asyncio.wait(under_way)
    again = asyncio.create_task(channel.ask(1, ListProcesses(), ProcessesListed))
    await asyncio.sleep(0)
    assert not again.done(), "there is room again"
    again.cancel()


async def test_one_person_does_not_keep_an_agent_from_answering_others(channel, connection) -> None:
    def ask(asker: int) -> asyncio.Task[ProcessesListed]:
        return asyncio.create_task(channel.ask(1, ListProcesses(), ProcessesListed, asker=asker))

    done, under_way = await asyncio.wait([ask(1) for _ in range(100)], timeout=1.0)
    assert len(under_way) == MOST_OF_ONE
    assert {task.exception().problem.status for task in done} == {429}
    other = ask(2)
    await asyncio.sleep(0)
    assert len(connection.sent) == MOST_OF_ONE + 1
    for task in {*under_way, other}:
        task.cancel()
    await asyncio.wait({*under_way, other})


@pytest.mark.parametrize("taken_at", [float("nan"), float("inf"), -1.0, 1e300])
def test_an_answer_from_no_time_at_all_is_no_message(taken_at) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.msgpack.decode(msgspec.msgpack.encode(ProcessesListed(taken_at, 0, [])), type=ProcessesListed)
