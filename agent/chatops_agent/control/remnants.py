"""Finds the processes that an order has started, and signals them. Used by `program.py`; after a crash by `orders.py`.

They are its process group, and what left that: every descendant carries the order's nonce in its environment. Only what
leaves the group and hides the mark is not found.
"""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

MARK = "CHATOPS_ORDER"


def end_leftovers(nonce: str) -> int:
    """Kill what an agent that died left running for an order. Return how many."""
    pids = _marked(nonce)
    for pid in pids:
        send_signal(pid, signal.SIGKILL)
    return len(pids)


def left_of(group: int, nonce: str) -> list[int]:
    """Processes that carry the mark, or are of the group still."""
    if not Path("/proc/self/environ").exists():
        return _of_group(group)
    # A program may have been started with another environment, and without the mark.
    return [*_marked(nonce), *(_living_of_group(group) if _of_group(group) else ())]


def _marked(nonce: str) -> list[int]:
    wanted = f"{MARK}={nonce}".encode()
    return [pid for pid, environment in _each("environ") if wanted in environment.split(b"\0")]


def _living_of_group(group: int) -> list[int]:
    """Without those that ended and wait for somebody to ask how: nothing ends them."""
    found = []
    for pid, stat in _each("stat"):
        state, _, of_group = stat[stat.rindex(b")") + 2 :].split(b" ", 3)[:3]
        if int(of_group) == group and state not in (b"Z", b"X"):
            found.append(pid)
    return found


def _each(name: str) -> Iterator[tuple[int, bytes]]:
    """This file of /proc of every process that lets it be read."""
    for entry in os.listdir("/proc") if Path("/proc/self").exists() else ():  # noqa: PTH208 - thousands of Paths cost more
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/{name}", "rb") as file:  # noqa: PTH123
                    content = file.read()
            except OSError:
                continue  # it ended, or is another user's
            if content:
                yield int(entry), content


def _of_group(group: int) -> list[int]:
    try:
        os.killpg(group, 0)
    except OSError:
        return []
    return [-group]


def send_signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except OSError:
        pass  # it ended, or is another user's


def is_of_group(pid: int, group: int) -> bool:
    try:
        return os.getpgid(pid) == group
    except OSError:
        return False


def signal_group(group: int, number: signal.Signals) -> None:
    try:
        os.killpg(group, number)
    except OSError:
        pass
