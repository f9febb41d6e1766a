"""Waits until the backend's roll-ups hold what was imported: for `chatops import` and `chatops demo`."""

import time
from collections.abc import Iterator

import click

from chatops_client import Client
from chatops_protocol.transfer_resources import ImportProgress

TIMEOUT_S = 3600.0
POLL_S = 0.5


def until_rolled_up(client: Client, progress: ImportProgress) -> Iterator[int]:
    """How many days of measurements are done, each time somebody may want to know. Raises `click.ClickException` when
    that takes too long."""
    total, deadline = progress.pending_days, time.monotonic() + TIMEOUT_S
    while progress.pending_days:
        if time.monotonic() > deadline:
            reason = progress.failure or "the backend is busy"
            raise click.ClickException(f"the readings are stored, and the roll-ups do not hold them yet: {reason}")
        # The backend tells nobody when it is done: it is asked.
        time.sleep(POLL_S)
        progress = client.transfer.import_progress()
        yield total - progress.pending_days
