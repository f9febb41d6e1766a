"""The backend, but it kills itself where it would write down how an audited intent went: `python dying_backend.py`."""

import os
import signal
from typing import Any

from chatops_backend.audit import trail
from chatops_cli import main

hashed = trail.entry_hash


def hash_or_die(previous: bytes, entry: Any) -> bytes:
    if entry.intent_id is not None:
        os.kill(os.getpid(), signal.SIGKILL)
    return hashed(previous, entry)


trail.entry_hash = hash_or_die
main(["server"], prog_name="chatops")
