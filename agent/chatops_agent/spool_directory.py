"""Claims the spool's directory for one agent and finds the spool in it. `Spool` calls it once, before anything else."""

import fcntl
import logging
import os
from pathlib import Path

from chatops_agent import spool_file

log = logging.getLogger("chatops_agent")


class SpoolError(Exception):
    """The spool cannot be used; the message says why and what to do."""


def lock_directory(directory: Path) -> int:
    """One agent per directory. The lock is the kernel's: it goes with the process, however that ends."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise SpoolError(
            f"the spool directory {directory} cannot be written ({error.strerror}); set CHATOPS_SPOOL_DIR"
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise SpoolError(f"another agent uses the spool in {directory}; give each its own CHATOPS_SPOOL_DIR") from error
    return lock


def find_spool(directory: Path) -> Path | None:
    """The spool in the directory. Should there be several (restored by hand), the one written last."""
    found = sorted(
        directory.glob(f"{spool_file.PREFIX}*{spool_file.SUFFIX}"), key=lambda path: path.lstat().st_mtime, reverse=True
    )
    if len(found) > 1:
        log.warning("%s holds %d spools; only %s is used", directory, len(found), found[0].name)
    return found[0] if found else None
