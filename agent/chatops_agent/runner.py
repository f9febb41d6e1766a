"""Runs the agent: collects on a fixed schedule whether or not there is a connection, and stops cleanly on a signal."""

import asyncio
import gc
import logging
import os
import platform
import random
import signal
import ssl
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from chatops_agent import __version__
from chatops_agent.collection import Collection, standard_collection
from chatops_agent.collectors.interface import Row
from chatops_agent.connection import Connection, tls_for
from chatops_agent.containers.control import Containers
from chatops_agent.containers.engine import Engine
from chatops_agent.containers.sampling import ContainerCollector, Sampler
from chatops_agent.control.desk import Desk
from chatops_agent.control.privacy import hide_environment
from chatops_agent.counters import Counters
from chatops_agent.settings import Settings
from chatops_agent.spool import Spool
from chatops_agent.worker import Worker
from chatops_protocol.agent_messages import Authenticate
from chatops_protocol.log_lines import LOG, LOG_COLUMNS

if TYPE_CHECKING:
    from chatops_agent.containers.watcher import EventWatcher

log = logging.getLogger("chatops_agent")
HANGS_AFTER_S = 60.0
STOP_WITHIN_S = 4.0
ORDERS_END_WITHIN_S = 2.0


def run_agent(settings: Settings) -> None:
    """Run until SIGINT or SIGTERM. Raise `SettingsError` or `SpoolError` when it cannot start."""
    tls = tls_for(settings)
    counters = Counters()
    engine = Engine(settings.docker_socket) if settings.docker_policy != "off" else None
    sampler = Sampler(engine, counters) if engine is not None else None
    also = [ContainerCollector(sampler)] if sampler is not None else []
    collection = standard_collection(counters, settings.interval_s, settings.process_interval_s, also)
    tells_lines = settings.follows_logs or engine is not None
    layout = collection.layout | ({LOG: list(LOG_COLUMNS)} if tells_lines else {})
    spool = Spool(settings.spool_dir, settings.spool_max_bytes, layout, counters)
    containers = Containers(settings.docker_policy, engine, sampler)
    asyncio.run(_run(settings, tls, counters, collection, spool, containers, engine))


async def _run(
    settings: Settings,
    tls: ssl.SSLContext | None,
    counters: Counters,
    collection: Collection,
    spool: Spool,
    containers: Containers,
    engine: Engine | None,
) -> None:
    worker = Worker()
    desk = Desk(settings, worker, containers, is_root=os.geteuid() == 0)
    if desk.command_policy != "off":
        hide_environment()

    def hello() -> Authenticate:
        return Authenticate(
            api_key=settings.api_key,
            stream=spool.stream,
            layouts=spool.layouts,
            agent_version=__version__,
            platform=describe_platform(),
            interval_s=settings.interval_s,
            understands=desk.understands,
            command_policy=desk.command_policy,
        )

    connection = Connection(settings, spool, counters, worker, random.SystemRandom().uniform, hello, tls, desk)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    log.info(
        "collecting every %g s, sending to %s, spooling in %s", settings.interval_s, settings.url, settings.spool_dir
    )
    # Nothing of what is loaded now will be garbage: the collector need not look at it again.
    gc.collect()
    gc.freeze()

    def collect() -> None:
        taken_at = time.time()
        spool.append(collection.collect(), taken_at)

    stopping = asyncio.create_task(stop.wait())
    sending = asyncio.create_task(connection.run())
    serving = asyncio.create_task(desk.run())
    ending: set[asyncio.Future[Any]] = {stopping, sending, serving}
    if settings.follows_logs:
        following = asyncio.create_task(_follow_logs(settings, spool, counters, worker, connection.frames_waiting))
        ending.add(following)
    watcher = await _watch_containers(engine, spool, counters, worker, connection.frames_waiting) if engine else None
    try:
        await _collect_on_schedule(
            settings.interval_s,
            lambda: worker.run(collect),
            connection.frames_waiting,
            lambda: collection.running,
            ending,
        )
        for task in ending:
            if task.done():
                task.result()
    finally:
        log.info("stopping")
        serving.cancel()
        if watcher is not None:
            watcher.close()
        await desk.close(ORDERS_END_WITHIN_S)
        for task in ending:
            task.cancel()
        await asyncio.wait(ending, timeout=STOP_WITHIN_S)
        closing = worker.run(spool.close)
        await asyncio.wait({closing}, timeout=STOP_WITHIN_S)
    # The interpreter would wait for threads that may hang in the kernel: reading a dead disk, looking up a name.
    logging.shutdown()
    os._exit(0)


async def _follow_logs(
    settings: Settings, spool: Spool, counters: Counters, worker: Worker, spooled: Callable[[], None]
) -> None:
    # Late: most hosts need none of it, and every module costs memory.
    from chatops_agent.following.feed import POLL_S, Feed

    feed = await worker.run(Feed, settings, spool, counters)
    try:
        while True:
            if await worker.run(feed.poll):
                spooled()
            await asyncio.sleep(POLL_S)
    finally:
        worker.run(feed.close)


async def _watch_containers(
    engine: Engine, spool: Spool, counters: Counters, worker: Worker, spooled: Callable[[], None]
) -> "EventWatcher":
    from chatops_agent.containers.watcher import POSITION, EventWatcher

    loop = asyncio.get_running_loop()

    async def store(rows: list[Row], position: dict[str, bytes]) -> bool:
        stored = await worker.run(spool.append_lines, {LOG: rows}, time.time(), position)
        if stored:
            spooled()
        return stored

    def spool_events(rows: list[Row], position: dict[str, bytes]) -> bool:
        return asyncio.run_coroutine_threadsafe(store(rows, position), loop).result()

    position = (await worker.run(spool.positions)).get(POSITION)
    watcher = EventWatcher(engine, position, spool_events, counters)
    watcher.start()
    return watcher


async def _collect_on_schedule(
    interval_s: float,
    collect: Callable[[], "asyncio.Future[None]"],
    collected: Callable[[], None],
    running: Callable[[], str | None],
    until: "set[asyncio.Future[Any]]",
) -> None:
    """Collect at whole multiples of the interval after the start; what was missed is skipped, never caught up with."""
    loop = asyncio.get_running_loop()
    start, tick = loop.time(), 0
    while True:
        job = collect()
        hung = False
        while not job.done():
            done, _ = await asyncio.wait({job, *until}, timeout=HANGS_AFTER_S, return_when=asyncio.FIRST_COMPLETED)
            if done & until:
                return
            if not done and not hung:
                hung = True
                log.error(
                    "reading %s takes more than %.0f s", running() or "nothing (writing the spool)", HANGS_AFTER_S
                )
        job.result()
        collected()
        tick = max(tick + 1, int((loop.time() - start) // interval_s) + 1)
        done, _ = await asyncio.wait(
            until, timeout=start + tick * interval_s - loop.time(), return_when=asyncio.FIRST_COMPLETED
        )
        if done:
            return


def describe_platform() -> str:
    """Such as `Debian GNU/Linux 12 (bookworm), Linux 6.1.0 x86_64`."""
    system = os.uname()
    kernel = f"{system.sysname} {system.release} {system.machine}"
    try:
        return f"{platform.freedesktop_os_release()['PRETTY_NAME']}, {kernel}"
    except (OSError, KeyError):
        return kernel
