"""Signals one process, and never a later one that got its number."""

import os
import signal
import sys
from functools import cache

from chatops_agent.collectors.process_table import TICKS_PER_SECOND, read_bytes
from chatops_agent.control.program import Ending
from chatops_protocol.control_messages import SignalProcess

# Kernel ticks; the list says seconds with two digits.
SAME_START_S = 0.02


def signal_process(act: SignalProcess) -> Ending:
    """Return how it went; never raises for what is wrong with the process."""
    if act.pid <= 1 or act.pid == os.getpid():
        return Ending("failed", None, f"process {act.pid} is not signalled from here")
    number = getattr(signal, f"SIG{act.signal}")
    try:
        if sys.platform == "linux" and hasattr(os, "pidfd_open"):
            # The descriptor stays with this process even when its number is given to another.
            descriptor = os.pidfd_open(act.pid)
            try:
                if abs(started_at(act.pid) - act.started_at) > SAME_START_S:
                    return Ending("failed", None, f"process {act.pid} has ended; the number belongs to another now")
                signal.pidfd_send_signal(descriptor, number)
            finally:
                os.close(descriptor)
        else:
            import psutil

            process = psutil.Process(act.pid)
            if abs(process.create_time() - act.started_at) > 1.0:
                return Ending("failed", None, f"process {act.pid} has ended; the number belongs to another now")
            process.send_signal(number)
    except (ProcessLookupError, FileNotFoundError):
        return Ending("failed", None, f"there is no process {act.pid}; it may have ended")
    except PermissionError:
        return Ending("failed", None, f"the agent's user may not signal process {act.pid}")
    except OSError as error:
        return Ending("failed", None, f"process {act.pid} was not signalled: {error.strerror}")
    return Ending("ok", 0, f"{act.signal} was sent to process {act.pid}")


def started_at(pid: int) -> float:
    """When a process began, in Unix seconds to a hundredth."""
    stat = read_bytes(f"/proc/{pid}/stat")
    return booted_at() + int(stat[stat.rindex(b")") + 2 :].split(b" ", 21)[19]) / TICKS_PER_SECOND


@cache
def booted_at() -> float:
    """Read once: it moves by a second now and then, and the times in the list must stay those of the processes."""
    with open("/proc/stat", "rb") as file:  # noqa: PTH123
        return next((float(line[6:]) for line in file if line.startswith(b"btime ")), 0.0)
