"""Follows the engine's events and brings them into the spool with the place it has read up to, as log lines come there.

A thread of its own, since the engine may say nothing for days. `spool` takes lines and the new position, and says
whether it has them; what it has not is offered again. An engine remembers its last 256 events: those of a short absence
of the agent are told afterwards, once.
"""

import threading
import time
from collections.abc import Callable
from typing import Any

from chatops_agent.containers.engine import Engine, EngineError
from chatops_agent.containers.events import EventTeller, time_ns
from chatops_agent.counters import Counters
from chatops_agent.following.lines import Row

POSITION = "docker:events"
AGAIN_AFTER_S = 5.0
SPOOL_AGAIN_AFTER_S = 1.0

Spool = Callable[[list[Row], dict[str, bytes]], bool]


class EventWatcher:
    def __init__(
        self,
        engine: Engine,
        position: bytes | None,
        spool: Spool,
        counters: Counters,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._engine, self._spool, self._counters = engine, spool, counters
        self._after_ns = int(position) if position else int(wall_clock() * 1e9)
        self._teller = EventTeller()
        self._stopped = threading.Event()
        self._stream: Any = None
        self._thread = threading.Thread(target=self._run, name="container-events", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Returns at once."""
        self._stopped.set()
        stream = self._stream
        if stream is not None:
            stream.close()

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._stream = self._engine.events(_after(self._after_ns))
                for event in self._stream:
                    if self._stopped.is_set():
                        return
                    self._take(event)
            except EngineError as error:
                self._counters.log_once("containers", str(error), "the events of %s cannot be followed: %s")
            except Exception as error:  # an event that nobody foresaw must not end the thread
                self._counters.log_once("containers", repr(error), "the events of %s cannot be followed: %s")
            self._stopped.wait(AGAIN_AFTER_S)

    def _take(self, event: Any) -> None:
        if not isinstance(event, dict):
            return
        happened_ns = time_ns(event)
        lines = self._teller.tell(event)
        while lines and not self._stopped.is_set():
            if self._spool(lines, {POSITION: b"%d" % happened_ns}):
                break
            self._stopped.wait(SPOOL_AGAIN_AFTER_S)
        self._after_ns = max(self._after_ns, happened_ns)


def _after(ns: int) -> str:
    # The engine counts `since` in: a nanosecond later is the next.
    seconds, nanoseconds = divmod(ns + 1, 1_000_000_000)
    return f"{seconds}.{nanoseconds:09d}"
