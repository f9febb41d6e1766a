"""The command `chatops doctor`: the checks as a table; exit code 1 when one failed."""

import asyncio
import sys

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from chatops_backend.doctor.checks import check_everything
from chatops_backend.settings import Settings

_STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}


@click.command()
def doctor() -> None:
    """Look at what ChatOps needs here and say what to do about what is wrong."""
    findings = asyncio.run(check_everything(Settings.from_environment()))
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("", "check", "found", "what to do"):
        table.add_column(heading, overflow="fold")
    for one in findings:
        table.add_row(Text(one.state, _STYLES[one.state]), Text(one.check), Text(one.detail), Text(one.advice))
    Console(highlight=False).print(table)
    if any(one.state == "fail" for one in findings):
        sys.exit(1)
