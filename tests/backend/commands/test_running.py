"""Commands on a real agent: results, streams, limits, ends."""

import os
import re
import time
from pathlib import Path

import pytest

from chatops_protocol.control_messages import HEAD_BYTES, TAIL_BYTES

pytestmark = pytest.mark.anyio

MIB = 1024 * 1024


def processes_with(word: str) -> list[int]:
    """Ids of processes whose command line holds the word."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if word.encode() in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


async def test_a_quick_command_is_answered_with_its_result(host) -> None:
    result = host.run("sh", "-c", "echo out; echo err >&2; exit 3")
    assert (result["state"], result["exit_code"]) == ("failed", 3)
    assert (result["stdout"], result["stderr"]) == ("out\n", "err\n")
    assert (result["stdout_bytes"], result["stderr_bytes"], result["truncated"]) == (4, 4, False)
    assert 0 <= result["duration_s"] < 5
    assert result["argv"][0] == "sh"


async def test_without_waiting_the_answer_is_the_id_and_the_result_is_read_later(host) -> None:
    asked = host.post(argv=["sh", "-c", "echo later"])
    assert asked.status_code == 202
    ended = host.wait(asked.json()["id"])
    assert (ended["state"], ended["stdout"]) == ("ok", "later\n")
    listed = host.backend.call("GET", "/commands", params={"server_id": host.server_id, "limit": 1}).json()["items"]
    assert [(one["id"], one["state"]) for one in listed] == [(ended["id"], "ok")]
    assert "stdout" not in listed[0]


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["no-such-program-here"], "No such file"),
        (["/etc/passwd"], "Permission denied"),
        (["/"], "Permission denied"),
    ],
)
async def test_a_program_that_cannot_start_says_why(host, argv, says) -> None:
    result = host.run(*argv)
    assert (result["state"], result["exit_code"]) == ("failed", None)
    assert says in result["detail"]


async def test_it_runs_in_the_folder_that_is_named_and_otherwise_at_home(host, tmp_path) -> None:
    assert host.run("pwd", working_directory=str(tmp_path))["stdout"] == f"{tmp_path}\n"
    assert host.run("pwd")["stdout"] == f"{host.directory}\n"
    assert "No such file" in host.run("pwd", working_directory="/no/such/folder")["detail"]


async def test_nothing_of_the_agents_environment_reaches_a_command(host) -> None:
    result = host.run("sh", "-c", "env; cat /proc/self/environ; cat /proc/$PPID/cmdline")
    assert host.key not in result["stdout"]
    names = {line.partition("=")[0] for line in host.run("env")["stdout"].splitlines()}
    assert {name for name in names if name.startswith("CHATOPS")} == {"CHATOPS_ORDER"}
    assert "PATH" in names


async def test_it_has_no_input(host) -> None:
    assert host.run("cat")["stdout"] == ""


async def test_a_command_that_takes_too_long_is_ended_with_all_that_it_started(host) -> None:
    word = f"sleep 7{time.monotonic_ns() % 10**9}"
    result = host.run("sh", "-c", f"{word} & {word} & wait", timeout_s=1)
    assert result["state"] == "timed_out"
    assert "1 s" in result["detail"]
    assert processes_with(word.replace(" ", "\0")) == []


async def test_a_cancelled_command_ends_and_says_who_cancelled_it(host) -> None:
    command_id = host.post(argv=["sleep", "100"], timeout_s=200).json()["id"]
    host.wait(command_id, "running")
    assert host.backend.call("POST", f"/commands/{command_id}/cancel").status_code in (200, 202)
    ended = host.wait(command_id)
    assert (ended["state"], ended["detail"]) == ("cancelled", "cancelled by admin")
    again = host.backend.call("POST", f"/commands/{command_id}/cancel")
    assert again.status_code == 409
    assert "cancelled" in again.json()["detail"]


async def test_a_program_that_ignores_term_is_killed_after_five_seconds(host) -> None:
    began = time.monotonic()
    result = host.run("sh", "-c", "trap '' TERM; echo on; while true; do sleep 0.1; done", timeout_s=1)
    assert (result["state"], result["stdout"]) == ("timed_out", "on\n")
    assert 5 < time.monotonic() - began < 12


async def test_descendants_that_left_the_group_are_ended_as_well(host) -> None:
    seconds = f"8{time.monotonic_ns() % 10**9}"
    script = f"setsid sleep {seconds} & (setsid sh -c 'sleep {seconds} & sleep {seconds}' &) ; sleep 0.3; echo done"
    result = host.run("sh", "-c", script)
    assert (result["state"], result["stdout"]) == ("ok", "done\n")
    assert processes_with(f"sleep\0{seconds}") == []


async def test_a_tree_of_forks_leaves_no_orphan(host) -> None:
    seconds = f"9{time.monotonic_ns() % 10**7}"
    tree = f"import os, time\nfor n in range(5):\n    if os.fork() == 0 and n % 2: os.setsid()\ntime.sleep({seconds})"
    command_id = host.post(argv=["python3", "-c", tree], timeout_s=100).json()["id"]
    host.until(lambda: len(processes_with(seconds)) >= 32)
    host.backend.call("POST", f"/commands/{command_id}/cancel")
    assert host.wait(command_id)["state"] == "cancelled"
    assert processes_with(seconds) == []


async def test_streams_are_told_apart_and_in_order(host) -> None:
    script = "for i in 1 2 3 4 5; do echo o$i; echo e$i >&2; sleep 0.1; done"
    result = host.run("sh", "-c", script)
    assert result["stdout"] == "o1\no2\no3\no4\no5\n"
    assert result["stderr"] == "e1\ne2\ne3\ne4\ne5\n"


async def test_bytes_that_are_no_text_are_shown_as_such_and_nul_does_no_harm(host) -> None:
    result = host.run("printf", r"a\377b\000c\303\244")
    assert result["stdout"] == "a\ufffdb\0cä"


async def test_a_hundred_megabytes_leave_head_and_tail_with_the_true_length_and_metrics_go_on(host) -> None:
    lines = 100 * MIB // 64
    script = f"yes {'x' * 63} | head -n {lines - 2} | sed '1i first' ; echo the last line"
    command_id = host.post(argv=["sh", "-c", script], timeout_s=120).json()["id"]
    gaps, seen, last = [], None, time.monotonic()
    while host.read(command_id)["state"] not in ("ok", "failed", "timed_out"):
        newest = host.backend.call("GET", f"/metrics/{host.server_id}/latest").json()["time"]
        if newest != seen:
            gaps.append(time.monotonic() - last)
            seen, last = newest, time.monotonic()
        time.sleep(0.1)
    result = host.read(command_id)
    total = 6 + (lines - 2) * 64 + len("the last line\n")
    assert (result["state"], result["stdout_bytes"], result["truncated"]) == ("ok", total, True)
    assert result["stdout"].startswith("first\nxxx")
    assert result["stdout"].endswith("x\nthe last line\n")
    assert len(result["stdout"]) <= HEAD_BYTES + TAIL_BYTES + 2 * 32_768 + 100
    said = [int(number) for number in re.findall(r"\n… (\d+) bytes left out …\n", result["stdout"])]
    kept = re.sub(r"\n… \d+ bytes left out …\n", "", result["stdout"])
    assert len(kept) + sum(said) == total
    assert len(gaps) >= 2, "the test must see readings come"
    assert max(gaps[1:]) < 2 * 1.0 + 1.0, gaps


async def test_endless_output_is_bounded_and_ends_with_its_time(host) -> None:
    result = host.run("yes", "endless", timeout_s=3, within_s=30)
    assert result["state"] == "timed_out"
    assert result["stdout_bytes"] > 10 * MIB
    assert result["truncated"]
    assert len(result["stdout"]) <= HEAD_BYTES + TAIL_BYTES + 2 * 32_768 + 100


async def test_a_command_waits_for_its_agent_and_expires_without_it(new_host) -> None:
    away = new_host(started=False)
    asked = away.post(argv=["true"], expires_s=1).json()
    assert asked["state"] == "queued"
    ended = away.wait(asked["id"])
    assert ended["state"] == "expired"
    assert "never run" in ended["detail"]


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        ({}, "argv"),
        ({"argv": ["true"], "command": "true"}, "argv"),
        ({"argv": []}, "argv"),
        ({"argv": [""]}, "argv"),
        ({"command": "  "}, "command"),
        ({"command": "echo 'open"}, "command"),
        ({"argv": ["a\0b"]}, "argv"),
        ({"argv": ["x" * 8000] * 5}, "argv"),
        ({"argv": ["true"], "timeout_s": 0}, "timeout_s"),
        ({"argv": ["true"], "timeout_s": 1e9}, "timeout_s"),
        ({"argv": ["true"], "wait_s": 61}, "wait_s"),
        ({"argv": ["true"], "working_directory": "relative"}, "working_directory"),
        ({"argv": ["true"], "user": "root"}, "user"),
    ],
)
async def test_a_request_that_is_not_one_names_its_fault(host, request_, field) -> None:
    answer = host.post(**request_)
    assert answer.status_code == 400, answer.text
    assert field in answer.text
