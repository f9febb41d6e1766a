"""`chatops up`: says in one line why it cannot start, restarts what dies, and leaves nothing behind."""

import contextlib
import re
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import psutil
import pytest

from chatops_backend.settings import Settings
from tests.conftest import needs_ipv6
from tests.stack import Program, environment

pytestmark = [pytest.mark.anyio, pytest.mark.faults]

READY_WITHIN_S = 90.0


class Up:
    def __init__(self, settings: Settings, **changes: str) -> None:
        self.settings = settings
        env = {**environment(settings), "CHATOPS_INTERVAL": "1", **changes}
        self.program = Program(["up"], env, settings.data_dir.parent / f"{settings.data_dir.name}-up.log")

    @property
    def text(self) -> str:
        return self.program.log.read_text()

    def wait_for(self, pattern: str, within_s: float = READY_WITHIN_S) -> None:
        deadline = time.monotonic() + within_s
        while not re.search(pattern, self.text, re.MULTILINE):
            assert self.program.process.poll() is None, self.text
            assert time.monotonic() < deadline, self.text
            time.sleep(0.05)

    def part(self, command: str) -> psutil.Process:
        """The process of one part, by its command line."""
        for child in psutil.Process(self.program.process.pid).children():
            with contextlib.suppress(psutil.ZombieProcess, psutil.NoSuchProcess):
                if child.cmdline()[-1:] == [command]:
                    return child
        raise AssertionError(f"no {command} runs: {self.text}")


@pytest.fixture
async def up(new_settings) -> Iterator[Up]:
    started = Up(await new_settings())
    yield started
    if started.program.process.poll() is None:
        started.program.stop()


async def test_what_dies_is_restarted_and_ctrl_c_leaves_nothing_behind(up: Up) -> None:
    up.wait_for(r"^ready")
    parts = ["server", "dashboard", "agent"] + ([] if up.settings.database_url else ["db"])
    for name in parts:
        up.part(name).kill()
    deadline = time.monotonic() + READY_WITHIN_S
    url = f"http://127.0.0.1:{up.settings.port}/ready"
    while True:
        try:
            answers = httpx.get(url, trust_env=False, timeout=2).status_code == 200
        except httpx.HTTPError:
            answers = False
        if answers and sum(up.text.count(f"{part} ended") for part in ("backend", "dashboard", "agent")) >= 3:
            break
        assert time.monotonic() < deadline, up.text
        time.sleep(0.1)
    family = psutil.Process(up.program.process.pid).children(recursive=True)
    assert up.program.stop() == 0, up.text
    _, alive = psutil.wait_procs(family, timeout=5)
    assert not alive, alive


async def test_backend_and_dashboard_share_a_secret_of_this_start_that_nobody_else_is_given(new_settings) -> None:
    up = Up(await new_settings(), CHATOPS_DASHBOARD_SECRET="")
    try:
        up.wait_for(r"^ready")
        given = {name: up.part(name).environ().get("CHATOPS_DASHBOARD_SECRET") for name in ("server", "dashboard")}
        assert len(given["server"] or "") >= 32
        assert given["dashboard"] == given["server"]
        for name in ["agent"] + ([] if up.settings.database_url else ["db"]):
            assert up.part(name).environ().get("CHATOPS_DASHBOARD_SECRET") in (None, "")
    finally:
        assert up.program.stop() == 0, up.text


@needs_ipv6
async def test_it_runs_on_an_ipv6_address(new_settings) -> None:
    settings = replace(await new_settings(), host="::1")
    up = Up(settings)
    try:
        up.wait_for(rf"^ready: dashboard http://\[::1\]:{settings.dashboard_port} +api http://\[::1\]:{settings.port}$")
        up.wait_for("agent: .*connected")
        page = httpx.get(f"http://[::1]:{settings.dashboard_port}/login", trust_env=False, timeout=10)
        assert page.status_code == 200
    finally:
        assert up.program.stop() == 0, up.text


async def test_a_port_in_use_is_one_clear_line(new_settings) -> None:
    settings = await new_settings(migrated=False)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", settings.dashboard_port))
        taken.listen()
        up = Up(settings)
        assert up.program.process.wait(60) == 1
    assert re.search(rf"^Error: port {settings.dashboard_port} .*CHATOPS_DASHBOARD_PORT$", up.text, re.MULTILINE), (
        up.text
    )
    assert "Traceback" not in up.text


async def test_one_port_for_both_is_one_clear_line(new_settings) -> None:
    settings = await new_settings()
    started = Up(replace(settings, dashboard_port=settings.port))
    assert started.program.process.wait(30) == 1
    assert started.text.startswith("Error: CHATOPS_PORT and CHATOPS_DASHBOARD_PORT are both "), started.text
    assert started.text.count("\n") == 1


async def test_a_wrong_setting_of_the_agent_is_one_clear_line(new_settings) -> None:
    """It would end at its start, again and again, after everything was said to be ready."""
    started = Up(await new_settings(migrated=False), CHATOPS_INTERVAL="0")
    assert started.program.process.wait(30) == 1
    assert re.fullmatch(r"Error: CHATOPS_INTERVAL .*\n", started.text), started.text


async def test_a_first_start_that_ends_before_it_is_ready_still_tells_the_password(new_settings) -> None:
    started = Up(await new_settings(), CHATOPS_ADMIN_PASSWORD="", CHATOPS_ADMIN_USERNAME="chief")
    started.wait_for(r"^chatops: starting (database|backend)")
    assert started.program.stop() == 0, started.text
    assert "ready: dashboard" not in started.text
    assert re.search(r"^chatops: chief was created with password \S{16,}$", started.text, re.MULTILINE), started.text


async def test_a_data_directory_that_cannot_be_written_is_one_clear_line(new_settings, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    settings = replace(await new_settings(migrated=False), data_dir=tmp_path / "file")
    up = Up(settings, CHATOPS_DATA_DIR=str(tmp_path / "file" / "data"))
    assert up.program.process.wait(60) == 1
    assert re.search(r"^Error: the data directory .* cannot be written .*CHATOPS_DATA_DIR", up.text, re.MULTILINE), (
        up.text
    )
    assert "Traceback" not in up.text


async def test_a_second_start_on_the_same_directory_is_refused(up: Up, new_settings) -> None:
    if up.settings.database_url is not None:
        pytest.skip("several backends may share a server")
    up.wait_for(r"^ready")
    other = await new_settings(migrated=False)
    second = Up(replace(up.settings, port=other.port, dashboard_port=other.dashboard_port))
    assert second.program.process.wait(60) == 1
    assert "already running" in second.text, second.text
    assert "Traceback" not in second.text
