"""Keeps the agent's environment, in which its key may stand, from what it runs."""

import ctypes
import logging
import sys

log = logging.getLogger("chatops_agent")

_PR_SET_DUMPABLE = 4


def hide_environment() -> None:
    """Other processes of the same user can no longer look into this one (its environment, its memory).

    Root can look into everything, whatever is set here.
    """
    if sys.platform != "linux":
        return
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        log.warning("commands could read the agent's environment: prctl failed with %d", ctypes.get_errno())
