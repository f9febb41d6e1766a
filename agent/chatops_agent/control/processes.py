"""Answers `ListProcesses`: the processes of this host now, their CPU share over half a second, secrets masked."""

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

import psutil

from chatops_agent.collectors.process_table import PAGE_BYTES, TICKS_PER_SECOND, read_bytes, user_name
from chatops_agent.control.masking import masked
from chatops_agent.control.signals import booted_at
from chatops_agent.worker import Worker
from chatops_protocol.control_messages import ProcessEntry, ProcessesListed

OVER_S = 0.5
# 2,000 of them with the longest command lines are 1 MB, what one message may hold.
MOST = 1_500


class _Reading(NamedTuple):
    started_ticks: int
    parent: int
    state: str
    name: str
    cpu_seconds: float
    resident_bytes: int
    threads: int


class ProcessLister:
    def __init__(self, worker: Worker, clock: Callable[[], float] = time.time) -> None:
        self._worker = worker
        self._clock = clock
        self._reading: asyncio.Task[ProcessesListed] | None = None

    async def answer(self) -> ProcessesListed:
        """Who asks while a reading is under way gets that one: the worker has the agent's own readings to make."""
        if self._reading is None:
            self._reading = asyncio.create_task(self._read())
            self._reading.add_done_callback(self._forget)
        return await asyncio.shield(self._reading)

    def _forget(self, _: object) -> None:
        self._reading = None

    async def _read(self) -> ProcessesListed:
        first = await self._worker.run(_read_all)
        began = time.monotonic()
        await asyncio.sleep(OVER_S)
        return await self._worker.run(self._compare, first, began)

    def _compare(self, first: dict[int, _Reading], began: float) -> ProcessesListed:
        now = _read_all()
        seconds = time.monotonic() - began
        shares = {pid: _cpu_percent(first.get(pid), reading, seconds) for pid, reading in now.items()}
        chosen = sorted(now, key=lambda pid: (shares[pid] or 0.0, now[pid].resident_bytes), reverse=True)[:MOST]
        users: dict[int, str] = {}
        entries = []
        for pid in sorted(chosen):
            with suppress(OSError, ValueError, IndexError, psutil.Error):  # it ended since
                entries.append(_entry(pid, now[pid], shares[pid], users))
        return ProcessesListed(self._clock(), len(now), entries)


def _entry(pid: int, reading: _Reading, share: float | None, users: dict[int, str]) -> ProcessEntry:
    status = read_bytes(f"/proc/{pid}/status")
    uid = int(status[status.index(b"\nUid:") + 5 :].split(None, 2)[1])
    if uid not in users:
        users[uid] = user_name(uid)
    argv = [part.decode("utf-8", "replace") for part in read_bytes(f"/proc/{pid}/cmdline").rstrip(b"\0").split(b"\0")]
    return ProcessEntry(
        pid=pid,
        parent_pid=reading.parent,
        started_at=round(booted_at() + reading.started_ticks / TICKS_PER_SECOND, 2),
        name=reading.name,
        user=users[uid],
        state=reading.state,
        cpu_percent=share,
        memory_resident_bytes=reading.resident_bytes,
        thread_count=reading.threads,
        command_line=masked(argv) if argv[0] else "",
    )


def _read_all() -> dict[int, _Reading]:
    found = {}
    for entry in os.listdir("/proc"):  # noqa: PTH208 - as the process table
        if entry.isdigit():
            with suppress(OSError, ValueError, IndexError):  # it ended since the directory was listed
                found[int(entry)] = _read(entry)
    return found


def _read(entry: str) -> _Reading:
    stat = read_bytes(f"/proc/{entry}/stat")
    closing = stat.rindex(b")")
    fields = stat[closing + 2 :].split(b" ", 22)
    return _Reading(
        started_ticks=int(fields[19]),
        parent=int(fields[1]),
        state=fields[0].decode("ascii", "replace"),
        name=stat[stat.index(b"(") + 1 : closing].decode("utf-8", "replace"),
        cpu_seconds=(int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND,
        resident_bytes=int(fields[21]) * PAGE_BYTES,
        threads=int(fields[17]),
    )


def _cpu_percent(before: _Reading | None, now: _Reading, seconds: float) -> float | None:
    if before is None or before.started_ticks != now.started_ticks or seconds <= 0:
        return None
    return round(max(0.0, now.cpu_seconds - before.cpu_seconds) / seconds * 100, 1)
