"""An agent that sends log lines, as rows of its frames."""

import contextlib
import itertools
import time
from collections.abc import AsyncIterator
from typing import Any

from chatops_protocol.log_lines import LOG, LOG_COLUMNS
from tests.backend.ingest.agent_socket import AgentSocket, samples, welcomed
from tests.stack import Backend

LAYOUT = {"host": ["cpu_percent", "load_1m"], LOG: list(LOG_COLUMNS)}


class LogAgent:
    def __init__(self, agent: AgentSocket, first: int = 1) -> None:
        self.agent = agent
        self._sequences = itertools.count(first)

    async def send(self, *lines: list[Any] | str) -> None:
        """Lines, or only their messages; returns when they are stored."""
        rows = [[time.time(), "/var/log/app.log", None, line] if isinstance(line, str) else line for line in lines]
        await self.send_rows(rows)

    async def send_rows(self, rows: Any, **changes: Any) -> None:
        sequence = next(self._sequences)
        await self.agent.send(samples(sequence, rows={LOG: rows}, **changes))
        await self.agent.stored(sequence)


@contextlib.asynccontextmanager
async def logging_agent(backend: Backend, key: str, **options: Any) -> AsyncIterator[LogAgent]:
    options = {"layouts": {1: LAYOUT}} | options
    async with welcomed(backend, key, **options) as agent:
        yield LogAgent(agent)


def listed(backend: Backend, server_id: int, **query: Any) -> list[dict[str, Any]]:
    """A page of lines; those that the platform tells of itself only when asked for."""
    answer = backend.call("GET", f"/logs/{server_id}", params=query)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items if "source" in query else [line for line in items if line["source"] != "chatops"]


def messages(backend: Backend, server_id: int, **query: Any) -> list[str]:
    return [line["message"] for line in listed(backend, server_id, **query)]
