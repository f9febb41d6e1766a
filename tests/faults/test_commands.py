"""Agent and backend are killed around a command: it is run once at most, and what became of it is said or unknown."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.hosts import Host

pytestmark = [pytest.mark.anyio, pytest.mark.faults]

DYING_BACKEND = Path(__file__).with_name("dying_backend.py")
DYING_AGENT = Path(__file__).with_name("dying_agent.py")


@pytest.fixture
def new_host(backend, tmp_path: Path) -> Iterator[Callable[[], Host]]:
    hosts: list[Host] = []

    def make() -> Host:
        hosts.append(Host(backend, tmp_path, CHATOPS_ALLOW_COMMANDS="shell"))
        return hosts[-1]

    yield make
    for host in hosts:
        host.stop()


POINTS = {
    "before it is written down": ("ok", 1),
    "after it is written down": ("unknown", 0),
    "after the program began": ("unknown", 1),
    "in the middle of its output": ("unknown", 1),
    "before its end is written down": ("unknown", 1),
    "after its end is written down": ("ok", 1),
}


async def test_an_agent_that_dies_around_a_command_runs_it_once_at_most_and_says_what_it_knows(
    new_host, tmp_path
) -> None:
    """One backend for all points, since to start one takes seconds."""
    for number, (point, (state, times)) in enumerate(POINTS.items()):
        ran = tmp_path / f"ran{number}"
        host = new_host().start(str(DYING_AGENT), point)
        script = f"echo x >> {ran}; echo begun; sleep 0.3; echo ended"
        command_id = host.post(argv=["sh", "-c", script], timeout_s=30).json()["id"]
        assert host.process.wait(20) == -9, point
        if times and point != "before it is written down":
            host.until(ran.exists)
        assert host.read(command_id)["state"] in ("sent", "running"), point
        host.start()
        ended = host.wait(command_id)
        assert ended["state"] == state, point
        # Another order after it: whatever was to be sent again has been by now.
        assert host.run("true")["state"] == "ok"
        assert (ran.read_text() if ran.exists() else "") == "x\n" * times, point
        assert host.read(command_id)["state"] == state, point


async def test_what_a_killed_agent_left_running_is_ended_when_it_is_back(new_host, tmp_path) -> None:
    host = new_host().start()
    beat = tmp_path / "beat"
    script = f"while true; do date +%s%N > {beat}; sleep 0.05; done"
    command_id = host.post(argv=["sh", "-c", script], timeout_s=600).json()["id"]
    host.until(beat.exists)
    host.kill()
    host.start()
    assert host.wait(command_id)["state"] == "unknown"
    last = beat.read_text()
    time.sleep(0.3)  # six beats of what must be still
    assert beat.read_text() == last


async def test_a_backend_that_is_killed_while_commands_run_learns_how_they_ended(backend, new_host, tmp_path) -> None:
    host = new_host().start()
    ran = tmp_path / "ran"
    ids = []
    for _ in range(3):
        script = f"echo x >> {ran}; for i in 1 2 3 4 5 6 7 8; do echo line $i; sleep 0.25; done"
        command_id = host.post(argv=["sh", "-c", script], timeout_s=60).json()["id"]
        ids.append(command_id)
        host.wait(command_id, "running")
        backend.kill()
        backend.start()
    for command_id in ids:
        ended = host.wait(command_id, within_s=60)
        assert (ended["state"], ended["stdout"]) == ("ok", "".join(f"line {n}\n" for n in range(1, 9)))
    assert ran.read_text() == "x\n" * 3


async def test_what_was_given_while_the_agent_was_away_is_run_once_when_it_comes(new_host, tmp_path) -> None:
    host = new_host().start()
    host.kill()
    ran = tmp_path / "ran"
    ids = [host.post(argv=["sh", "-c", f"echo x >> {ran}"], expires_s=120).json()["id"] for _ in range(5)]
    host.start()
    assert [host.wait(command_id)["state"] for command_id in ids] == ["ok"] * 5
    assert ran.read_text() == "x\n" * 5


def audited(host: Host, command_id: int) -> list[str]:
    params = {"target_type": "command", "target_id": str(command_id)}
    found = host.backend.call("GET", "/audit", params=params).raise_for_status().json()["items"]
    return [entry["result"] for entry in reversed(found)]


async def test_a_backend_that_dies_between_an_end_and_its_word_in_the_audit_log_owes_it_nothing(
    backend, new_host
) -> None:
    host = new_host().start()
    assert backend.stop() == 0
    before = host.log.count("connected as")
    backend.start(str(DYING_BACKEND))
    host.until(lambda: host.log.count("connected as") > before, within_s=60)
    command_id = host.post(argv=["true"], timeout_s=30).json()["id"]
    assert backend.program.process.wait(60) == -9
    backend.start()
    assert host.wait(command_id, within_s=60)["state"] == "ok"
    host.until(lambda: audited(host, command_id) == ["intended", "ok"], within_s=60)
