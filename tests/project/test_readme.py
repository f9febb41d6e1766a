"""The README's two commands, run as written in a fresh clone of what is committed."""

import os
import re
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.conftest import free_port

ROOT = Path(__file__).parents[2]
READY_WITHIN_S = 600.0  # the first time, packages are downloaded
STOPPED_WITHIN_S = 10.0


def first_commands() -> str:
    """The first fenced block of the README."""
    block = re.search(r"^```sh\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert block is not None
    return block[1]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A person's: no setting of this test run, but ports that are free."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("CHATOPS_", "PYTEST", "VIRTUAL_ENV"))
    }
    return kept | {
        "CHATOPS_DATA_DIR": str(tmp_path / "data"),
        "CHATOPS_PORT": str(free_port()),
        "CHATOPS_DASHBOARD_PORT": str(free_port()),
    }


@pytest.fixture
def running(tmp_path: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    commands = first_commands().replace("<this repository>", f"'{ROOT}'")
    assert str(ROOT) in commands
    assert "make up" in commands
    with (tmp_path / "output").open("wb") as output, (tmp_path / "messages").open("wb") as messages:
        # A process group of its own, as a terminal gives it, so that Ctrl-C can be sent to all of it.
        shell = subprocess.Popen(
            ["sh", "-e"],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=messages,
            cwd=tmp_path,
            env=environment,
            start_new_session=True,
        )
        assert shell.stdin is not None
        # An interactive shell outlives Ctrl-C; this one shall too, and tell how make ended.
        shell.stdin.write(f"trap : INT\n{commands}".encode())
        shell.stdin.close()
    yield shell
    if shell.poll() is None:
        os.killpg(shell.pid, signal.SIGKILL)
        shell.wait()
    for process in left_behind(tmp_path):
        process.kill()


def test_the_two_commands_start_everything_and_ctrl_c_stops_it(
    tmp_path: Path, environment: dict[str, str], running: subprocess.Popen[bytes]
) -> None:
    ready = wait_for_ready(running, tmp_path)
    for name, path in (("CHATOPS_PORT", "/ready"), ("CHATOPS_DASHBOARD_PORT", "/login")):
        address = f"http://127.0.0.1:{environment[name]}"
        assert address in ready
        assert status_of(address + path) == 200
    assert "password" in ready, "the first start shows the administrator's password"

    os.killpg(running.pid, signal.SIGINT)
    began = time.monotonic()
    running.wait(STOPPED_WITHIN_S + 5)
    assert time.monotonic() - began < STOPPED_WITHIN_S
    # make ends by the signal whatever its child did; that the child ended well is in its last words.
    assert running.returncode == 128 + signal.SIGINT
    messages = (tmp_path / "messages").read_text()
    assert "chatops: stopped" in messages
    assert "Error" not in messages.partition("chatops: stopping")[2], messages
    assert "killed" not in messages
    assert left_behind(tmp_path) == []


def wait_for_ready(running: subprocess.Popen[bytes], folder: Path) -> str:
    deadline = time.monotonic() + READY_WITHIN_S
    while True:
        lines = (folder / "output").read_text().splitlines()
        ready = [line for line in lines if line.startswith("ready")]
        if ready:
            return ready[0]
        assert running.poll() is None, (folder / "messages").read_text()[-4000:]
        assert time.monotonic() < deadline, (folder / "messages").read_text()[-4000:]
        time.sleep(0.2)


def left_behind(folder: Path) -> list[psutil.Process]:
    """Processes that still run something of the clone or its data."""
    found = []
    for process in psutil.process_iter():
        try:
            if any(str(folder) in word for word in process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    return found


def status_of(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
