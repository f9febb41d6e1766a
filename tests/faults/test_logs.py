"""Agent and backend are killed while a program logs and its log is rotated: each line is stored once."""

import asyncio
import os
import secrets
import shutil
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from chatops_backend.database.open import open_database
from tests.faults.test_kills import agent_environment
from tests.stack import Program

pytestmark = [pytest.mark.anyio, pytest.mark.faults]

KILLS = 4
WITHIN_S = 90.0


class LoggingProgram:
    """Writes numbered lines without pause; its log is renamed, or copied and truncated, in turn."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.written = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        path.touch()
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(0.01):
            with self.path.open("a") as file:
                file.write("".join(f"line {n}\n" for n in range(self.written, self.written + 5)))
            self.written += 5
            if self.written % 1000 == 0:
                self._rotate(self.path.with_name(f"{self.path.name}-{self.written}"))

    def _rotate(self, rotated: Path) -> None:
        if self.written % 2000:
            self.path.rename(rotated)
            self.path.touch()
        else:
            shutil.copy2(self.path, rotated)
            os.truncate(self.path, 0)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()


async def test_each_line_is_stored_once_whoever_is_killed(backend, tmp_path) -> None:
    server_id, key = backend.add_server(f"logging-{secrets.token_hex(4)}")
    environment = agent_environment(backend.url, key, tmp_path / "spool") | {
        "CHATOPS_LOG_FILES": str(tmp_path / "app.log"),
        "CHATOPS_LOG_LINES_PER_S": "10000",
    }

    def newest() -> int:
        """The number of the newest line that is stored."""
        query = {"source": str(tmp_path / "app.log"), "limit": 1}
        items = backend.call("GET", f"/logs/{server_id}", params=query).raise_for_status().json()["items"]
        return int(items[0]["message"].split()[1]) if items else -1

    async def until_newer_than(number: int) -> None:
        deadline = time.monotonic() + WITHIN_S
        while newest() <= number:
            assert agent.process.poll() is None, agent.log.read_text()
            assert time.monotonic() < deadline, agent.log.read_text()[-2000:]
            await asyncio.sleep(secrets.randbelow(200) / 1000)

    def connected() -> int:
        return agent.log.read_text().count("connected as server")

    agent = Program(["agent"], environment, tmp_path / "agent.log")
    deadline = time.monotonic() + WITHIN_S
    while not connected() or not (tmp_path / "spool").exists():
        assert time.monotonic() < deadline, agent.log.read_text()
        await asyncio.sleep(0.05)
    program = LoggingProgram(tmp_path / "app.log")
    try:
        for round_ in range(KILLS):
            await until_newer_than(newest())
            if round_ % 2:
                backend.kill()
                await asyncio.to_thread(backend.start)
            else:
                agent.kill()
                agent = Program(["agent"], environment, tmp_path / "agent.log")
        await until_newer_than(newest())
        program.stop()
        await until_newer_than(program.written - 2)
        assert agent.stop() == 0
    finally:
        program.stop()
        agent.kill()
    assert await asyncio.to_thread(backend.stop) == 0
    async with open_database(backend.settings) as database:
        rows = await database.fetch(
            "SELECT message FROM chatops.logs WHERE server_id = $1 AND source <> 'chatops' ORDER BY id", server_id
        )
    stored = Counter(row["message"] for row in rows)
    expected = {f"line {number}" for number in range(program.written)}
    assert {line: count for line, count in stored.items() if count > 1} == {}, "stored twice"
    assert expected - stored.keys() == set(), "lost"
    assert stored.keys() - expected == set()
