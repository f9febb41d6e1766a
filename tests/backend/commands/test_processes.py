"""The live process table of a real agent, and signals to processes of it."""

import signal
import subprocess

import pytest

pytestmark = pytest.mark.anyio


def listed(host) -> list[dict]:
    answer = host.backend.call("GET", f"/processes/{host.server_id}")
    assert answer.status_code == 200, answer.text
    found: list[dict] = answer.json()["processes"]
    return found


async def test_the_table_has_every_process_with_its_figures(host, sleeper) -> None:
    found = {one["pid"]: one for one in listed(host)}
    one = found[sleeper.pid]
    assert (one["name"], one["command_line"], one["thread_count"]) == ("sleep", "sleep 1000", 1)
    assert one["parent_pid"] in found
    assert one["memory_resident_bytes"] > 0
    assert one["cpu_percent"] is not None


async def test_secrets_in_command_lines_do_not_leave_the_host(host) -> None:
    process = subprocess.Popen(["sh", "-c", "sleep 1000; true", "x", "--password=hunter2canary", "--token", "canary99"])
    try:
        text = host.backend.call("GET", f"/processes/{host.server_id}").text
    finally:
        process.kill()
        process.wait()
    assert "--password=***" in text
    assert "canary" not in text


async def test_a_signal_ends_the_process_that_was_listed(host, sleeper) -> None:
    (one,) = [one for one in listed(host) if one["pid"] == sleeper.pid]
    body = {"signal": "TERM", "started_at": one["started_at"]}
    answer = host.backend.call("POST", f"/processes/{host.server_id}/{sleeper.pid}/signal", json=body)
    assert (answer.status_code, answer.json()["state"], answer.json()["kind"]) == (200, "ok", "signal")
    assert sleeper.wait(10) == -signal.SIGTERM


@pytest.mark.parametrize("off_by", [-100.0, 5.0])
async def test_a_later_process_of_the_same_number_is_left_alone(host, sleeper, off_by) -> None:
    (one,) = [one for one in listed(host) if one["pid"] == sleeper.pid]
    body = {"signal": "KILL", "started_at": one["started_at"] + off_by}
    answer = host.backend.call("POST", f"/processes/{host.server_id}/{sleeper.pid}/signal", json=body).json()
    assert answer["state"] == "failed"
    assert "belongs to another now" in answer["detail"]
    assert sleeper.poll() is None


async def test_the_first_process_and_the_agent_itself_are_left_alone(host) -> None:
    for pid in (1, host.process.pid):
        body = {"signal": "KILL", "started_at": 1.0}
        answer = host.backend.call("POST", f"/processes/{host.server_id}/{pid}/signal", json=body).json()
        assert answer["state"] == "failed"
        assert "not signalled from here" in answer["detail"]
    assert host.process.poll() is None


async def test_a_host_that_allows_nothing_lists_its_processes_and_signals_none(new_host, sleeper) -> None:
    host = new_host(CHATOPS_ALLOW_COMMANDS="off")
    (one,) = [one for one in listed(host) if one["pid"] == sleeper.pid]
    body = {"signal": "KILL", "started_at": one["started_at"]}
    answer = host.backend.call("POST", f"/processes/{host.server_id}/{sleeper.pid}/signal", json=body).json()
    assert answer["state"] == "failed"
    assert "CHATOPS_ALLOW_COMMANDS" in answer["detail"]
    assert sleeper.poll() is None


async def test_without_its_agent_a_host_has_no_table_and_says_so(new_host) -> None:
    host = new_host(started=False)
    answer = host.backend.call("GET", f"/processes/{host.server_id}")
    assert answer.status_code == 409
    assert "not connected" in answer.json()["detail"]
    assert host.backend.call("GET", "/processes/2000000000").status_code == 404
