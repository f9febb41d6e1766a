"""The agents connected to this process: ask one something and get its answer; hand orders and their news on.

The gateway tells it who comes and goes. Routes call `ask` (one answer) or `ask_for_parts` (several, until the asker has
enough); both raise `ProblemError` with what a person can do. Orders are not given here but through `commands.orders`,
which signs and stores them; their news goes to the listener that `listen_for_orders` names.
"""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncGenerator
from itertools import count
from typing import Protocol, TypeVar

from chatops_backend.ingest.connection import AgentConnection
from chatops_backend.problems import ProblemError
from chatops_protocol.control_messages import (
    Answer,
    Answered,
    AnswerFailed,
    Ask,
    ControlFromAgent,
    OrderFinished,
    OrderOutput,
    OrderStarted,
    Question,
    StopAsking,
)

# Parts that wait for a slow asker; then its question is given up, since the agent's socket cannot wait.
MAX_WAITING_PARTS = 256
# Under way at one agent; more it would refuse by itself, but not before they have filled what waits for its socket.
MOST_QUESTIONS = 32
# Of these by one person: a few viewers could else keep everybody from looking, with logs that they follow.
MOST_OF_ONE = 6

A = TypeVar("A", bound=Answer)

OrderNews = OrderStarted | OrderOutput | OrderFinished


class OrderListener(Protocol):
    """Its methods return at once."""

    def agent_came(self, connection: AgentConnection) -> None: ...

    def agent_left(self, connection: AgentConnection) -> None: ...

    def heard(self, connection: AgentConnection, news: OrderNews) -> None: ...


class _Asked:
    """One question under way, and what came back so far."""

    def __init__(self, connection: AgentConnection, asker: int | None) -> None:
        self.connection = connection
        self.asker = asker
        self.parts: asyncio.Queue[Answered | AnswerFailed | None] = asyncio.Queue(MAX_WAITING_PARTS)

    def put(self, message: Answered | AnswerFailed | None) -> bool:
        """False when its asker is too slow."""
        try:
            self.parts.put_nowait(message)
        except asyncio.QueueFull:
            self.parts.get_nowait()
            self.parts.put_nowait(AnswerFailed(1, "failed", "more came than could be passed on"))
            return False
        return True


class AgentChannel:
    def __init__(self) -> None:
        self._by_server: defaultdict[int, list[AgentConnection]] = defaultdict(list)
        self._asked: dict[int, _Asked] = {}
        self._ids = count(1)
        self._orders: OrderListener | None = None

    def listen_for_orders(self, listener: OrderListener) -> None:
        self._orders = listener

    def connected(self, server_id: int) -> AgentConnection | None:
        """The newest connection of a server's agent to this process."""
        connections = [one for one in self._by_server.get(server_id, ()) if not one.closing]
        return connections[-1] if connections else None

    def everyone(self) -> list[AgentConnection]:
        """The newest connection of each server that has one here."""
        newest = (self.connected(server_id) for server_id in list(self._by_server))
        return [connection for connection in newest if connection is not None]

    # -- what the gateway says -----------------------------------------------------------------------------------

    def opened(self, connection: AgentConnection) -> None:
        self._by_server[connection.server_id].append(connection)
        if self._orders is not None:
            self._orders.agent_came(connection)

    def closed(self, connection: AgentConnection) -> None:
        with contextlib.suppress(ValueError):
            self._by_server[connection.server_id].remove(connection)
        if not self._by_server[connection.server_id]:
            del self._by_server[connection.server_id]
        for asked in self._asked.values():
            if asked.connection is connection:
                asked.put(None)
        if self._orders is not None:
            self._orders.agent_left(connection)

    def received(self, connection: AgentConnection, message: ControlFromAgent) -> None:
        if not isinstance(message, Answered | AnswerFailed):
            if self._orders is not None:
                self._orders.heard(connection, message)
            return
        asked = self._asked.get(message.id)
        # An answer counts only from whom was asked: ids are easy to guess.
        if asked is not None and asked.connection is connection and not asked.put(message):
            del self._asked[message.id]
            connection.offer(StopAsking(message.id))

    # -- questions -----------------------------------------------------------------------------------------------

    async def ask(
        self, server_id: int, question: Question, kind: type[A], within_s: float = 10.0, *, asker: int | None = None
    ) -> A:
        """The agent's answer, which must be of this kind; `asker` is the id of the person who wants it. Raises
        `ProblemError`: not connected here, too old, asked too much, refused, failed, or not in time."""
        parts_of_it = self.ask_for_parts(server_id, question, kind, within_s, asker=asker)
        async with contextlib.aclosing(parts_of_it) as parts:
            async for part in parts:
                return part
        raise _no_answer("The agent gave an empty answer; look at its log on the host.")

    async def ask_for_parts(
        self, server_id: int, question: Question, kind: type[A], within_s: float = 10.0, *, asker: int | None = None
    ) -> AsyncGenerator[A, None]:
        """Answers as they come, the first within `within_s`. Close the iterator to have no more."""
        connection = self.connected(server_id)
        if connection is None:
            raise ProblemError(
                409,
                "Agent not connected",
                f"The agent of server {server_id} is not connected; start it, or wait until it is back.",
            )
        if question.__struct_config__.tag not in connection.understands:
            raise ProblemError(
                409, "Agent too old", f"The agent of server {server_id} cannot answer this; update it on its host."
            )
        self._require_room(connection, asker)
        number = next(self._ids)
        asked = self._asked[number] = _Asked(connection, asker)
        connection.offer(Ask(number, within_s, question))
        ended = False
        try:
            limit: float | None = within_s
            while not ended:
                try:
                    message = await asyncio.wait_for(asked.parts.get(), limit)
                except TimeoutError:
                    raise ProblemError(
                        504, "No answer in time", f"The agent did not answer within {within_s:g} s; try again."
                    ) from None
                limit = None
                ended = message is None or isinstance(message, AnswerFailed) or message.last
                if message is None:
                    raise _no_answer("The connection to the agent was lost; try again in a few seconds.")
                if isinstance(message, AnswerFailed):
                    raise _said(message)
                if message.answer is not None:
                    if not isinstance(message.answer, kind):
                        raise _no_answer("The agent answered something else than it was asked; update it on its host.")
                    yield message.answer
        finally:
            self._asked.pop(number, None)
            if not ended:
                connection.offer(StopAsking(number))

    def _require_room(self, connection: AgentConnection, asker: int | None) -> None:
        there = [asked for asked in self._asked.values() if asked.connection is connection]
        name, again = f"The agent of server {connection.server_id}", {"Retry-After": "1"}
        if asker is not None and sum(asked.asker == asker for asked in there) >= MOST_OF_ONE:
            detail = f"{name} answers {MOST_OF_ONE} questions of yours already; close a log that you follow, or wait."
            raise ProblemError(429, "Too many questions", detail, headers=again)
        if len(there) >= MOST_QUESTIONS:
            raise ProblemError(503, "Busy", f"{name} is asked too much at once; try again in a moment.", headers=again)


def _no_answer(detail: str) -> ProblemError:
    return ProblemError(502, "No answer from the agent", detail)


def _said(failed: AnswerFailed) -> ProblemError:
    match failed.reason:
        case "refused":
            return ProblemError(409, "Refused by the host", failed.detail)
        case "missing":
            return ProblemError(404, "Not found", failed.detail)
        case "failed":
            return _no_answer(failed.detail)
