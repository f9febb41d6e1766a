"""What every benchmark needs: the machine in words, a database of its own, a table."""

import asyncio
import contextlib
import math
import os
import platform
import secrets
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import psutil

from chatops_backend.settings import Settings
from tests.conftest import settings_for


def describe_machine() -> str:
    memory = psutil.virtual_memory().total / 2**30
    load = os.getloadavg()[0]
    return (
        f"{_processor()}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, load at start {load:.1f}"
    )


def databases() -> list[tuple[str, str | None]]:
    """What to measure on: a name, and the server's address or None for the embedded database."""
    url = os.environ.get("CHATOPS_TEST_DATABASE_URL")
    return [("embedded", None), ("server", url)] if url else [("embedded", None)]


@contextlib.contextmanager
def fresh_settings(url: str | None) -> Iterator[Settings]:
    """Settings with an empty database of their own, which is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="chatops-bench-") as directory:
        if url is None:
            yield settings_for(Path(directory), None)
            return
        name = f"chatops_bench_{secrets.token_hex(4)}"
        asyncio.run(_on_server(url, f'CREATE DATABASE "{name}"'))
        try:
            yield settings_for(Path(directory), urlunsplit(urlsplit(url)._replace(path=f"/{name}")))
        finally:
            asyncio.run(_on_server(url, f'DROP DATABASE "{name}" WITH (FORCE)'))


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, as `docs/performance.md` takes it."""
    widths = [max(len(line[column]) for line in [head, *rows]) for column in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"

    return "\n".join([line(head), line(["-" * width for width in widths]), *map(line, rows)])


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest of `values` that at least `share` of them do not exceed."""
    return sorted(values)[max(0, math.ceil(len(values) * share) - 1)]


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


async def _on_server(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
