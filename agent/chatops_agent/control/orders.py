"""Carries out orders: checks, writes down, acts, reports. A report is repeated until the backend has stored it.

The order of steps is the promise. Policy, signature, server and time are checked; then the order is on disk; then it is
carried out; then how it ended is on disk; then it is told. Whoever dies where, nothing is carried out twice.
"""

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from chatops_agent.containers.control import Containers
from chatops_agent.control import ledger as ledger_file
from chatops_agent.control.ledger import Ledger
from chatops_agent.control.policy import Policy
from chatops_agent.control.program import Ending, Program, Stop, run_program
from chatops_agent.control.refusal import RefusedError
from chatops_agent.control.remnants import end_leftovers
from chatops_agent.control.report import News, Report
from chatops_agent.control.signals import signal_process
from chatops_agent.control.trust import Trust
from chatops_agent.worker import Worker
from chatops_protocol.container_messages import ControlContainer
from chatops_protocol.control_messages import (
    Act,
    CancelOrder,
    CarryOut,
    EndState,
    Order,
    OrderFinished,
    OutcomeStored,
    OutputStored,
    RunCommand,
    SignalProcess,
)

log = logging.getLogger("chatops_agent")

MOST_AT_ONCE = 8
# With those that ended and wait for the backend to store their output.
MOST_HELD = 24
MAX_DETAIL = 2000
CHECKED_WITHIN_S = 20.0

Work = Callable[[Report, Stop], "asyncio.Future[Ending]"]


class Orders:
    """`changed` is called when there may be something to report."""

    def __init__(
        self,
        directory: Path,
        policy: Policy,
        trust: Trust,
        containers: Containers,
        changed: Callable[[], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._directory, self._policy, self._trust, self._changed = directory, policy, trust, changed
        self._containers = containers
        self._clock = clock
        self._disk = Worker()
        self._threads = ThreadPoolExecutor(MOST_AT_ONCE, thread_name_prefix="order")
        self._checking = ThreadPoolExecutor(1, thread_name_prefix="check")
        self._ledger: Ledger | None = None
        self._opening = asyncio.Lock()
        self._reports: dict[str, Report] = {}
        self._running: dict[str, tuple[asyncio.Task[None], Stop]] = {}
        self._turn = 0

    async def start(self) -> None:
        """Look what a former life of the agent left unfinished."""
        problem = self._policy.problem()
        if problem is not None:
            log.error("no command will be run: %s", problem)
        if self._policy.effective != "off" or self._containers.may_control or ledger_file.exists(self._directory):
            try:
                await self._opened()
            except (OSError, sqlite3.Error) as error:
                log.error("the ledger of orders cannot be used, so none is carried out: %s", error)  # noqa: TRY400

    async def met(self, backend_time: float) -> None:
        """Connected: everything that is not known to be stored is said again."""
        try:
            if self._policy.effective != "off" or self._containers.may_control:
                ledger = await self._opened()
                await self._disk.run(ledger.set_floor_if_new, backend_time)
        except (OSError, sqlite3.Error) as error:
            log.error("the ledger of orders cannot be used: %s", error)  # noqa: TRY400 - tried again with the next order
        for report in self._reports.values():
            report.rewind()
        self._changed()

    def take_news(self) -> tuple[News | None, float | None]:
        """The next message of any order, each in turn; or None, and after how many seconds to ask again."""
        waits: list[float] = []
        reports = list(self._reports.values())
        for step in range(len(reports)):
            report = reports[(self._turn + step) % len(reports)]
            news, wait_s = report.take()
            if news is not None:
                self._turn += step + 1
                return news, None
            if wait_s is not None:
                waits.append(wait_s)
        return None, min(waits, default=None)

    async def carry_out(self, message: CarryOut) -> None:
        """Check and begin; returns when the order is under way or refused."""
        if message.nonce in self._running:
            return  # it is on its way, and so is what is to be said of it
        try:
            await self._begin(message)
        except RefusedError as error:
            log.warning("order %d: %s", message.id, error)
            self._end_unbegun(message, "failed", str(error))
        except (OSError, sqlite3.Error) as error:
            log.error("order %d cannot be written down: %s", message.id, error)  # noqa: TRY400
            self._end_unbegun(message, "failed", f"refused: the agent cannot write it to its disk first ({error})")

    def cancel(self, message: CancelOrder) -> None:
        running = self._running.get(message.nonce)
        if running is not None:
            running[1].ask(message.reason or "it was cancelled")

    def cancel_all(self, reason: str) -> None:
        for _, stop in self._running.values():
            stop.ask(reason)

    def output_stored(self, message: OutputStored) -> None:
        report = self._reports.get(message.nonce)
        if report is not None:
            report.output.stored(message.sequence)
            self._changed()

    async def outcome_stored(self, message: OutcomeStored) -> None:
        report = self._reports.get(message.nonce)
        if report is not None and report.outcome is not None:
            del self._reports[message.nonce]
        if self._ledger is not None:
            try:
                await self._disk.run(self._ledger.reported, message.nonce)
            except sqlite3.Error as error:
                # Then it is said once more in the next life, which does no harm.
                log.warning("the end of order %s is not noted as told: %s", message.nonce, error)

    async def close(self, within_s: float) -> None:
        """End what runs and write down that it was."""
        for _, stop in self._running.values():
            stop.ask("the agent was stopped", within_s / 2)
        if self._running:
            await asyncio.wait([task for task, _ in self._running.values()], timeout=within_s)
        if self._ledger is not None:
            await asyncio.wait({self._disk.run(self._ledger.close)}, timeout=within_s / 2)

    # -- steps ---------------------------------------------------------------------------------------------------

    async def _opened(self) -> Ledger:
        async with self._opening:
            return self._ledger or await self._open()

    async def _open(self) -> Ledger:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        ledger = await self._disk.run(Ledger, self._directory)
        for interrupted in ledger.interrupted:
            killed = await self._disk.run(end_leftovers, interrupted.nonce)
            log.warning(
                "order %d was under way when the agent ended; %d of its processes were ended now",
                interrupted.id,
                killed,
            )
        for finished in await self._disk.run(ledger.unreported):
            self._report_end(finished)
        self._ledger = ledger
        return ledger

    async def _begin(self, message: CarryOut) -> None:
        self._require_something()
        order = self._trust.verify(message)
        ledger = await self._opened()
        await self._disk.run(ledger.set_floor_if_new, self._trust.now())
        if await self._disk.run(ledger.knows, order.nonce):
            # It came a second time: what is known of it is all there is to say.
            if order.nonce not in self._running and order.nonce not in self._reports:
                known = await self._disk.run(ledger.outcome_of, order.nonce)
                if known is not None:
                    self._report_end(known)
            return
        if self._trust.is_late(order):
            self._end_unbegun(message, "expired", "it reached the agent too late and was not run")
            return
        work = await self._work_for(order)
        if len(self._running) >= MOST_AT_ONCE or len(self._reports) >= MOST_HELD:
            raise RefusedError(f"refused: the agent carries out {len(self._running)} orders already; try again later")
        if not await self._disk.run(ledger.begin, order):
            raise RefusedError("refused: the order is older than what this agent remembers; give it again")
        report = self._reports[order.nonce] = Report(order.id, order.nonce)
        report.started_at = self._clock()
        stop = Stop()
        self._running[order.nonce] = (asyncio.create_task(self._carry(order, work, report, stop, ledger)), stop)
        self._changed()

    def _require_something(self) -> None:
        """Raise `RefusedError` when this host allows no act at all. Which one it is, is read when it is trusted."""
        if not self._containers.may_control:
            try:
                self._policy.require()
            except RefusedError as error:
                raise RefusedError(f"{error}; nor are its containers controlled (CHATOPS_ALLOW_DOCKER)") from None

    async def _program_for(self, act: RunCommand) -> Program:
        """In a thread: the list may name folders on a disk that does not answer, and patterns that take their time."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CHECKED_WITHIN_S):
                return await loop.run_in_executor(self._checking, self._policy.program_for, act)
        except TimeoutError:
            raise RefusedError("refused: this host takes too long to look whether its list allows it") from None

    async def _work_for(self, order: Order) -> Work:
        """What the order's act comes to here. Raise `RefusedError` when this host does not allow it."""
        act: Act = order.act
        match act:
            case RunCommand():
                program = await self._program_for(act)
                return lambda report, stop: asyncio.ensure_future(
                    run_program(program, order.nonce, report.output, self._changed, stop, self._threads)
                )
            case SignalProcess():
                self._policy.require_signal(act)
                loop = asyncio.get_running_loop()
                return lambda _report, _stop: loop.run_in_executor(self._threads, signal_process, act)
            case ControlContainer():
                self._containers.require_control()
                loop = asyncio.get_running_loop()
                return lambda _report, _stop: loop.run_in_executor(self._threads, self._containers.carry_out, act)

    async def _carry(
        self,
        order: Order,
        work: Work,
        report: Report,
        stop: Stop,
        ledger: Ledger,
    ) -> None:
        began = time.monotonic()
        try:
            ending = await work(report, stop)
        except Exception as error:  # whatever it is, the backend must hear of it
            log.exception("order %d failed", order.id)
            ending = Ending("unknown", None, f"the agent failed: {type(error).__name__}: {error}")
        report.output.ended = True
        finished = OrderFinished(
            order.id,
            order.nonce,
            ending.state,
            ending.exit_code,
            clean(ending.detail),
            round(time.monotonic() - began, 3),
            report.output.written["stdout"],
            report.output.written["stderr"],
        )
        try:
            await self._disk.run(ledger.finish, finished)
        except sqlite3.Error as error:
            log.error("the end of order %d cannot be written down: %s", order.id, error)  # noqa: TRY400
        report.outcome = finished
        del self._running[order.nonce]
        self._changed()

    def _end_unbegun(self, message: CarryOut, state: EndState, detail: str) -> None:
        """Told, but not kept: an order that never began is safe to refuse again."""
        if message.nonce not in self._reports:
            self._report_end(OrderFinished(message.id, message.nonce, state, None, clean(detail)))

    def _report_end(self, finished: OrderFinished) -> None:
        report = self._reports[finished.nonce] = Report(finished.id, finished.nonce)
        report.output.ended = True
        report.outcome = finished
        self._changed()


def clean(text: str) -> str:
    return text.replace("\0", "\ufffd")[:MAX_DETAIL]
