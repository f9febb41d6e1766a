"""Real processes for tests: the backend as `chatops server`, started, killed and stopped by its own process id."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from chatops_backend.settings import Settings
from tests.conftest import ADMIN_PASSWORD

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 15.0
# Of fifteen minutes; what takes a token with it may use it for a while.
TOKEN_LASTS_S = 300.0


def environment(settings: Settings) -> dict[str, str]:
    """The settings as a process reads them, beside what every program needs."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("CHATOPS_")}
    return kept | {
        "CHATOPS_DATA_DIR": str(settings.data_dir),
        "CHATOPS_DATABASE_URL": settings.database_url or "",
        "CHATOPS_HOST": settings.host,
        "CHATOPS_PORT": str(settings.port),
        "CHATOPS_DASHBOARD_PORT": str(settings.dashboard_port),
        "CHATOPS_SECRET_KEY": settings.secret_key or "",
        "CHATOPS_ADMIN_PASSWORD": settings.admin_password or "",
        "CHATOPS_DASHBOARD_SECRET": settings.dashboard_secret or "",
        "CHATOPS_TRUSTED_PROXIES": ",".join(settings.trusted_proxies),
        "CHATOPS_ALLOW_PRIVATE_TARGETS": "1" if settings.allow_private_targets else "",
        "PYTHONUNBUFFERED": "1",
    }


class Program:
    """One `chatops <arguments>` process and what it printed, in `log`."""

    def __init__(self, arguments: list[str], env: dict[str, str], log: Path, *, instead: str | None = None) -> None:
        """`instead`: a Python file to run."""
        self.log = log
        program = [instead] if instead is not None else ["-m", "chatops_cli", *arguments]
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, *program],
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """End it as Ctrl-C does and return its exit code."""
        self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"did not stop within {STOP_TIMEOUT_S} s: {self.log.read_text()[-2000:]}") from None

    def wait_until_answers(self, url: str) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(url, trust_env=False, timeout=2).status_code == 200:
                    return
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"{url} does not answer: {self.log.read_text()[-4000:]}")
            time.sleep(0.05)


class Backend:
    """`chatops server` on the settings' database, and an administrator's REST session."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.url = f"http://127.0.0.1:{settings.port}"
        self.agents_url = f"ws://127.0.0.1:{settings.port}/api/v1/agents/ws"
        self._token: str | None = None
        self._logged_in_at = 0.0
        self.start()

    def start(self, instead: str | None = None) -> None:
        """`instead`: a Python file that is a backend too."""
        log = self.settings.data_dir / "backend.log"
        self.program = Program(["server"], environment(self.settings), log, instead=instead)
        self.program.wait_until_answers(f"{self.url}/ready")

    def kill(self) -> None:
        self.program.kill()

    def stop(self) -> int:
        return self.program.stop()

    def headers(self) -> dict[str, str]:
        """An administrator's access token; log in on first use, and again before it runs out."""
        if self._token is None or time.monotonic() - self._logged_in_at > TOKEN_LASTS_S:
            login = {"username": "admin", "password": ADMIN_PASSWORD}
            answer = httpx.post(f"{self.url}/api/v1/auth/login", json=login, trust_env=False).raise_for_status()
            self._token, self._logged_in_at = answer.json()["access_token"], time.monotonic()
        return {"Authorization": f"Bearer {self._token}"}

    def call(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        """A request under ``/api/v1`` as the administrator."""
        url = f"{self.url}/api/v1{path}"
        return httpx.request(method, url, headers=self.headers(), trust_env=False, timeout=30, **arguments)

    def add_server(self, name: str) -> tuple[int, str]:
        """Return the id of a new server and a key for its agent."""
        server_id = self.call("POST", "/servers", json={"name": name}).raise_for_status().json()["id"]
        key = self.call("POST", "/api-keys", json={"server_id": server_id, "name": name}).raise_for_status().json()
        return server_id, key["key"]


@contextlib.contextmanager
def running_backend(settings: Settings) -> Iterator[Backend]:
    backend = Backend(settings)
    try:
        yield backend
    finally:
        if backend.program.process.poll() is None:
            backend.stop()
