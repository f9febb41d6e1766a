"""Waits until the backend's roll-ups hold what was imported."""

import time

import click

from chatops_cli.transfer.bars import Bars
from chatops_client import Client
from chatops_protocol.transfer_resources import ImportProgress

TIMEOUT_S = 3600.0
POLL_S = 0.5


def wait_for_rollups(client: Client, progress: ImportProgress, shown: Bars) -> None:
    """Raises `click.ClickException` when that takes too long."""
    total, deadline = progress.pending_days, time.monotonic() + TIMEOUT_S
    advance = shown("roll-ups", total)
    while progress.pending_days:
        if time.monotonic() > deadline:
            reason = progress.failure or "the backend is busy"
            raise click.ClickException(f"the readings are stored, and the roll-ups do not hold them yet: {reason}")
        time.sleep(POLL_S)
        progress = client.transfer.import_progress()
        advance(total - progress.pending_days)
