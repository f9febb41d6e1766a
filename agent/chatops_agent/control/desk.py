"""Where the connection hands over what is not about readings, and takes what there is to say. One per agent.

`sender.py` calls `met` after each welcome, `received` for each message, and sends what `next_message` returns.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Mapping

from chatops_agent.containers.control import Containers
from chatops_agent.control.orders import Orders
from chatops_agent.control.policy import Policy
from chatops_agent.control.processes import ProcessLister
from chatops_agent.control.questions import Answerer, Questions
from chatops_agent.control.trust import Trust
from chatops_agent.settings import Settings
from chatops_agent.worker import Worker
from chatops_protocol.agent_messages import Welcome
from chatops_protocol.control_messages import (
    KNOWN_ACTS,
    KNOWN_QUESTIONS,
    Answered,
    AnswerFailed,
    Ask,
    CancelOrder,
    CarryOut,
    CommandPolicy,
    ControlFromAgent,
    ControlToAgent,
    ListProcesses,
    OutcomeStored,
    OutputStored,
    StopAsking,
)

log = logging.getLogger("chatops_agent")

# Answers that wait for the socket; who makes more waits.
MOST_ANSWERS = 8
# Far more than a backend has reason to send at once.
MOST_RECEIVED = 1_000


class Desk:
    def __init__(self, settings: Settings, worker: Worker, containers: Containers, *, is_root: bool) -> None:
        self._changed = asyncio.Event()
        self._room = asyncio.Event()
        self._answers: deque[Answered | AnswerFailed] = deque()
        self._inbox: asyncio.Queue[ControlToAgent] = asyncio.Queue(MOST_RECEIVED)
        self._policy = Policy(
            settings.command_policy,
            settings.commands_file,
            is_root=is_root,
            allow_root=settings.allow_root,
            environment=settings.command_environment,
        )
        self._trust = Trust(settings.spool_dir, settings.command_key)
        self._orders = Orders(settings.spool_dir, self._policy, self._trust, containers, self._changed.set)
        processes = ProcessLister(worker)
        answerers: Mapping[type, Answerer] = {
            ListProcesses: lambda _: processes.answer(),
            **containers.answerers,
        }
        self._questions = Questions(answerers, self._put_answer)

    @property
    def understands(self) -> list[str]:
        return [*KNOWN_ACTS, *KNOWN_QUESTIONS]

    @property
    def command_policy(self) -> CommandPolicy:
        return self._policy.effective

    async def run(self) -> None:
        """Work through what was received. Runs until cancelled."""
        await self._orders.start()
        while True:
            message = await self._inbox.get()
            match message:
                case CarryOut():
                    await self._orders.carry_out(message)
                case CancelOrder():
                    self._orders.cancel(message)
                case OutputStored():
                    self._orders.output_stored(message)
                case OutcomeStored():
                    await self._orders.outcome_stored(message)
                case Ask():
                    self._questions.ask(message)
                case StopAsking():
                    self._questions.stop(message.id)

    async def met(self, welcome: Welcome) -> None:
        self._trust.meet(welcome.server_id, welcome.command_key, welcome.server_time)
        self._questions.stop_all()
        self._answers.clear()
        self._room.set()
        await self._orders.met(welcome.server_time)

    async def received(self, message: ControlToAgent) -> None:
        await self._inbox.put(message)

    async def next_message(self) -> ControlFromAgent:
        """What to send next; waits until there is something."""
        while True:
            self._changed.clear()
            if self._answers:
                answer = self._answers.popleft()
                self._room.set()
                return answer
            news, wait_s = self._orders.take_news()
            if news is not None:
                return news
            try:
                async with asyncio.timeout(wait_s):
                    await self._changed.wait()
            except TimeoutError:
                pass

    def key_was_refused(self) -> None:
        """The backend no longer takes this agent's key: whoever gave the orders has lost the right to."""
        self._orders.cancel_all("the agent's key was revoked")

    async def close(self, within_s: float) -> None:
        self._questions.stop_all()
        await self._orders.close(within_s)

    async def _put_answer(self, answer: Answered | AnswerFailed) -> None:
        while len(self._answers) >= MOST_ANSWERS:
            self._room.clear()
            await self._room.wait()
        self._answers.append(answer)
        self._changed.set()
