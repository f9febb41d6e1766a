"""`container`: reads every running container once an interval, and never keeps the other collectors waiting.

Each is asked for by a thread of its own, within a bound: Docker 20.10 answers even one-shot statistics only at its next
tick, up to a second later, but all that wait for it at once (measured: 20 containers 20 s one by one, 1 s together).
A collection waits a quarter of a second. What takes longer is read beside the collections, just before the next one.
"""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, NamedTuple

from chatops_agent.collectors.interface import Readings, Row, row
from chatops_agent.containers.engine import Engine, EngineError
from chatops_agent.containers.statistics import readings_of
from chatops_agent.counters import Counters
from chatops_agent.rates import Rates
from chatops_protocol.catalog import CONTAINER

THREADS = 64
MOST_CONTAINERS = 300
READ_WITHIN_S = 10.0
WAIT_S = 0.25
# A reading that took one second is begun so much more before it is needed.
MARGIN_S = 0.5
SHORT_ID = 12
_SHA = "sha256:"


class Sample(NamedTuple):
    container_id: str
    name: str
    image: str
    readings: Readings


class Sampler:
    def __init__(self, engine: Engine, counters: Counters, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._engine, self._counters, self._monotonic = engine, counters, monotonic
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="containers")
        self._rates: dict[str, Rates] = {}
        self._newest: dict[str, Readings] = {}
        self._taken_at: float | None = None

    def read(self) -> list[Sample]:
        """Raise `EngineError` when there is no engine; a container that does not answer is left out and counted."""
        listed = self._engine.list(stopped=False)
        if len(listed) > MOST_CONTAINERS:
            what = f"{len(listed)} containers run, {MOST_CONTAINERS} are read"
            self._counters.log_once("containers", what, "%s: %s")
        rates = {entry["Id"]: self._rates.get(entry["Id"]) or Rates() for entry in listed[:MOST_CONTAINERS]}
        futures = [self._pool.submit(self._read_one, entry, rates[entry["Id"]]) for entry in listed[:MOST_CONTAINERS]]
        _, late = wait(futures, READ_WITHIN_S)
        for future in late:
            future.cancel()
        if late:
            self._counters.collector_failed("container", TimeoutError(f"{len(late)} did not answer"))
        samples = [future.result() for future in futures if future.done() and not future.cancelled()]
        found = [sample for sample in samples if sample is not None]
        self._rates = rates
        self._newest = {sample.container_id: sample.readings for sample in found}
        self._taken_at = self._monotonic()
        return found

    def fresh(self, seconds: float) -> dict[str, Readings]:
        """What the last reading found, by container id, if that is not longer ago."""
        is_fresh = self._taken_at is not None and self._monotonic() - self._taken_at <= seconds
        return self._newest if is_fresh else {}

    def _read_one(self, entry: dict[str, Any], rates: Rates) -> Sample | None:
        container_id = str(entry["Id"])
        readings: Readings = {}
        try:
            if entry.get("State") != "restarting":
                statistics = self._engine.statistics(container_id)
                readings = readings_of(statistics, rates, self._monotonic())
            readings["restart_count"] = self._engine.inspect(container_id).get("RestartCount")
        except EngineError as error:
            # It may have ended since the list; whatever else it is, it is this container's alone.
            self._counters.log_once("container", str(error), "cannot read a %s: %s (not repeated)")
            return None
        return Sample(container_id, name_of(entry), image_of(entry), readings)


class ContainerCollector:
    """`wait_s`: how long a collection waits for the engine. `now` of the collections tells how far apart they are."""

    measurement = CONTAINER

    def __init__(self, sampler: Sampler, wait_s: float = WAIT_S) -> None:
        self._sampler = sampler
        self._wait_s = wait_s
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="container-list")
        self._reading: Future[tuple[list[Sample], float]] | None = None
        self._collected_at: float | None = None

    def collect(self, now: float) -> list[Row]:
        waiting = self._reading
        interval_s = now - self._collected_at if self._collected_at is not None else 0.0
        self._collected_at = now
        if waiting is not None:
            if not waiting.done():
                return []
            self._reading = None
            samples, took_s = waiting.result()
            if took_s > self._wait_s:  # it would not be ready in time again
                self._reading = self._thread.submit(self._read, interval_s - took_s - MARGIN_S)
            return _rows(samples)
        self._reading = self._thread.submit(self._read)
        wait([self._reading], self._wait_s)
        if not self._reading.done():
            return []
        done, self._reading = self._reading, None
        return _rows(done.result()[0])

    def _read(self, after_s: float = 0.0) -> tuple[list[Sample], float]:
        # In its own thread, until just before the next collection. The agent does not wait for it when it stops.
        time.sleep(max(0.0, after_s))
        began = time.monotonic()
        samples = self._sampler.read()
        return samples, time.monotonic() - began


def _rows(samples: list[Sample]) -> list[Row]:
    return [
        row(
            CONTAINER,
            {"container_id": sample.container_id[:SHORT_ID], "name": sample.name, "image": sample.image},
            sample.readings,
        )
        for sample in samples
    ]


def name_of(entry: dict[str, Any]) -> str:
    """Its own name; others are those that links give it, with a slash in them."""
    names = [str(name).removeprefix("/") for name in entry.get("Names") or ()]
    own = [name for name in names if "/" not in name]
    return (own or names or [str(entry["Id"])[:SHORT_ID]])[0]


def image_of(entry: dict[str, Any]) -> str:
    image = str(entry.get("Image") or "")
    return image[: len(_SHA) + SHORT_ID] if image.startswith(_SHA) else image
