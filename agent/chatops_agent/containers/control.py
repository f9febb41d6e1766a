"""What this host lets others see of its containers and do with them. The only way to the engine for `desk.py`."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, suppress
from datetime import UTC, datetime
from typing import Any

from chatops_agent.containers.details import details_of, entry_of
from chatops_agent.containers.engine import Engine, EngineError, EngineSilentError, NoContainerError
from chatops_agent.containers.log_reading import LogReading
from chatops_agent.containers.sampling import Sampler
from chatops_agent.control.program import Ending
from chatops_agent.control.refusal import RefusedError
from chatops_protocol.container_messages import (
    ContainerInspected,
    ContainerLogs,
    ContainersListed,
    ContainerVerb,
    ControlContainer,
    DockerPolicy,
    InspectContainer,
    ListContainers,
    ReadContainerLogs,
)

THREADS = 4
MOST_LISTED = 1_000
MOST_LOGS = 8
# Readings older than so many seconds are not those of now.
FRESH_S = 60.0

_DONE: dict[ContainerVerb, str] = {
    "start": "started",
    "stop": "stopped",
    "restart": "restarted",
    "pause": "paused",
    "unpause": "unpaused",
    "kill": "killed",
}


class Containers:
    """`engine` and `sampler` are None exactly when the policy is ``off``."""

    def __init__(self, policy: DockerPolicy, engine: Engine | None, sampler: Sampler | None) -> None:
        self.policy = policy
        self._engine, self._sampler = engine, sampler
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="docker")
        self._logs = 0

    @property
    def may_control(self) -> bool:
        return self.policy == "control"

    @property
    def answerers(self) -> Mapping[type, Callable[[Any], Any]]:
        return {ListContainers: self.list, InspectContainer: self.inspect, ReadContainerLogs: self.logs}

    async def list(self, _: ListContainers) -> ContainersListed:
        listed: ContainersListed = await self._in_thread(self._list, self._require())
        return listed

    async def inspect(self, question: InspectContainer) -> ContainerInspected:
        found = await self._in_thread(self._require().find, question.container)
        return details_of(found.inspected)

    async def logs(self, question: ReadContainerLogs) -> AsyncGenerator[ContainerLogs, None]:
        engine = self._require()
        if self._logs >= MOST_LOGS:
            raise RefusedError(f"{MOST_LOGS} logs of this host are being read already; close one of them")
        self._logs += 1
        try:
            found = await self._in_thread(engine.find, question.container)
            tail, follow = question.tail, question.follow
            stream = await self._in_thread(lambda: engine.open_log(found.id, tail, follow=follow))
            has_terminal = bool((found.inspected.get("Config") or {}).get("Tty"))
            reading = LogReading(stream, has_terminal=has_terminal, follow=follow)
            async with aclosing(reading.pieces()) as pieces:
                async for piece in pieces:
                    yield piece
        finally:
            self._logs -= 1

    def require_control(self) -> None:
        """Raise `RefusedError` when no container may be started or ended."""
        if self.policy != "control":
            raise RefusedError(
                "refused: this host lets nobody control its containers "
                f"(CHATOPS_ALLOW_DOCKER of its agent is {self.policy})"
            )

    def carry_out(self, act: ControlContainer) -> Ending:
        """Return how it went; never raises for what is wrong with engine or container. Blocks."""
        self.require_control()
        engine = self._require()
        try:
            found = engine.find(act.container)
            engine.act(act.verb, found, act.timeout_s)
        except EngineSilentError as error:
            return Ending("timed_out", None, f"{error}; whether it does it yet is not known")
        except EngineError as error:
            return Ending("failed", None, str(error))
        return Ending("ok", 0, f"{found.name} ({found.id[:12]}) was {_DONE[act.verb]}")

    def _list(self, engine: Engine) -> ContainersListed:
        listed = engine.list(stopped=True)
        # The engine lists the youngest first; so do we, and those that run before all others.
        shown = sorted(listed, key=lambda entry: entry.get("State") in ("exited", "created", "dead"))[:MOST_LISTED]
        readings = self._sampler.fresh(FRESH_S) if self._sampler is not None else {}
        entries = []
        for entry in shown:
            inspected = None
            with suppress(NoContainerError):
                inspected = engine.inspect(entry["Id"])
            entries.append(entry_of(entry, inspected, readings.get(entry["Id"], {})))
        return ContainersListed(datetime.now(UTC), self.policy, len(listed), entries)

    def _require(self) -> Engine:
        if self._engine is None:
            raise RefusedError("this host shows no containers (CHATOPS_ALLOW_DOCKER of its agent is off)")
        return self._engine

    def _in_thread(self, function: Callable[..., Any], *arguments: Any) -> "asyncio.Future[Any]":
        return asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)
