"""Answers questions of the backend: one task each, given up when it takes too long or nobody listens any more.

A new question is one entry in the table that `desk.py` makes: its struct and a function that answers it, or an
asynchronous generator function that answers in parts.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any, Literal

from chatops_agent.control.refusal import MissingError, RefusedError, UnansweredError
from chatops_protocol.agent_messages import MAX_FRAME_BYTES, encode_msgpack
from chatops_protocol.control_messages import Answer, Answered, AnswerFailed, Ask

log = logging.getLogger("chatops_agent")

MOST_AT_ONCE = 32
MAX_DETAIL = 500

# Given the question, an answer or its parts.
Answerer = Callable[[Any], Awaitable[Answer] | AsyncGenerator[Answer, None]]


class Questions:
    """`send` takes an answer and returns when it is on its way: so fast and no faster parts are made."""

    def __init__(
        self, answerers: Mapping[type, Answerer], send: Callable[[Answered | AnswerFailed], Awaitable[None]]
    ) -> None:
        self._answerers = answerers
        self._send = send
        self._asked: dict[int, asyncio.Task[None]] = {}

    def ask(self, ask: Ask) -> None:
        self.stop(ask.id)
        task = asyncio.create_task(self._answer(ask))
        self._asked[ask.id] = task
        task.add_done_callback(lambda _: self._asked.pop(ask.id, None))

    def stop(self, number: int) -> None:
        task = self._asked.pop(number, None)
        if task is not None:
            task.cancel()

    def stop_all(self) -> None:
        for number in list(self._asked):
            self.stop(number)

    async def _answer(self, ask: Ask) -> None:
        try:
            await self._pass_on(ask, self._begin(ask))
        except RefusedError as error:
            await self._send(AnswerFailed(ask.id, "refused", str(error)[:MAX_DETAIL]))
        except UnansweredError as error:
            reason: Literal["missing", "failed"] = "missing" if isinstance(error, MissingError) else "failed"
            await self._send(AnswerFailed(ask.id, reason, str(error).replace("\0", "")[:MAX_DETAIL]))
        except TimeoutError:
            await self._send(AnswerFailed(ask.id, "failed", f"it took more than {ask.within_s:g} s on the host"))
        except Exception as error:  # a question must not end the agent
            log.warning("a question could not be answered: %s: %s", type(error).__name__, error)
            detail = f"{type(error).__name__}: {error}".replace("\0", "")
            await self._send(AnswerFailed(ask.id, "failed", detail[:MAX_DETAIL]))

    def _begin(self, ask: Ask) -> Awaitable[Answer] | AsyncGenerator[Answer, None]:
        if len(self._asked) > MOST_AT_ONCE:
            raise RefusedError("the agent answers too many questions already; try again in a moment")
        answerer = self._answerers.get(type(ask.question))
        if answerer is None:
            raise RefusedError("this agent cannot answer that")
        return answerer(ask.question)

    async def _pass_on(self, ask: Ask, answer: Awaitable[Answer] | AsyncGenerator[Answer, None]) -> None:
        if isinstance(answer, AsyncGenerator):
            async with aclosing(answer):
                limit: float | None = ask.within_s
                while (part := await asyncio.wait_for(anext(answer, None), limit)) is not None:
                    limit = None
                    await self._send_fitting(Answered(ask.id, part, last=False))
            await self._send(Answered(ask.id, None))
            return
        async with asyncio.timeout(ask.within_s):
            found = await answer
        await self._send_fitting(Answered(ask.id, found))

    async def _send_fitting(self, answered: Answered) -> None:
        size = len(encode_msgpack(answered))
        if size > MAX_FRAME_BYTES:
            raise RefusedError(f"the answer has {size} bytes, more than fit into a message; ask for less")
        await self._send(answered)
