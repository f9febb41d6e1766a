"""Real agents of a real backend, each with a server, settings and a spool of its own."""

import secrets
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from tests.stack import STOP_TIMEOUT_S, Backend, environment

WITHIN_S = 20.0
ENDED = ("ok", "failed", "timed_out", "cancelled", "expired", "unknown")


class Host:
    """One server and its agent. `run` gives a command and waits for its end."""

    def __init__(self, backend: Backend, directory: Path, **settings: str) -> None:
        self.backend = backend
        self.name = f"host-{secrets.token_hex(4)}"
        self.server_id, self.key = backend.add_server(self.name)
        self.directory = directory / self.name
        self.spool = self.directory / "spool"
        self.spool.mkdir(parents=True)
        self.settings = settings
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *program: str, **settings: str) -> "Host":
        """Start the agent, or another program that is one, and wait until it is connected."""
        env = {
            **environment(self.backend.settings),
            "CHATOPS_API_URL": self.backend.url,
            "CHATOPS_API_KEY": self.key,
            "CHATOPS_SPOOL_DIR": str(self.spool),
            "CHATOPS_INTERVAL": "1",
            "CHATOPS_ALLOW_ROOT": "1",
            "HOME": str(self.directory),
            **self.settings,
            **settings,
        }
        for name in ("CHATOPS_SECRET_KEY", "CHATOPS_ADMIN_PASSWORD", "CHATOPS_DATABASE_URL"):
            env.pop(name)
        before = self.connections()
        with (self.directory / "agent.log").open("ab") as log:
            command = program or ("-m", "chatops_agent")
            self.process = subprocess.Popen([sys.executable, *command], env=env, stdout=log, stderr=log)
        self.until(lambda: self.connections() > before)
        return self

    @property
    def log(self) -> str:
        return (self.directory / "agent.log").read_text()

    def connections(self) -> int:
        events = self.backend.call("GET", f"/servers/{self.server_id}/connections").raise_for_status().json()["items"]
        return sum(event["event"] == "connected" for event in events)

    def until(self, condition: Callable[[], bool], within_s: float = WITHIN_S) -> None:
        deadline = time.monotonic() + within_s
        while not condition():
            assert time.monotonic() < deadline, f"in vain: {self.log[-2000:] if self.process else ''}"
            time.sleep(0.05)

    def post(self, **request: Any) -> httpx.Response:
        return self.backend.call("POST", f"/commands/{self.server_id}", json=request)

    def run(self, *argv: str, within_s: float = WITHIN_S, **request: Any) -> dict[str, Any]:
        asked = self.post(**({"argv": list(argv)} if argv else {}), wait_s=within_s, **request)
        assert asked.status_code == 200, asked.text
        result: dict[str, Any] = asked.json()
        return result

    def read(self, command_id: int) -> dict[str, Any]:
        found: dict[str, Any] = self.backend.call("GET", f"/commands/{command_id}").raise_for_status().json()
        return found

    def wait(self, command_id: int, *states: str, within_s: float = WITHIN_S) -> dict[str, Any]:
        self.until(lambda: self.read(command_id)["state"] in (states or ENDED), within_s)
        return self.read(command_id)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(STOP_TIMEOUT_S)
