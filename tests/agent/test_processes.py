"""Processes, summed by name and user: against psutil on this machine, and against a made-up /proc."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from chatops_agent.collectors.process import TOP, Group, ProcessCollector, top
from chatops_agent.collectors.process_table import ProcessReading, ProcessTable, read_with_psutil

COLUMNS = ("name", "user", "cpu_percent", "memory_resident_bytes", "memory_percent", "process_count", "thread_count")


def write_process(
    proc: Path, pid: int, comm: str, *, started: int = 5, uid: int = 0, ticks: int = 0, flags: int = 0
) -> None:
    directory = proc / str(pid)
    directory.mkdir(exist_ok=True)
    fields = [
        "S",
        *["0"] * 5,
        str(flags),
        *["0"] * 4,
        str(ticks),
        "0",
        "0",
        "0",
        "20",
        "0",
        "3",
        "0",
        str(started),
        "0",
        "10",
    ]
    (directory / "stat").write_text(f"{pid} ({comm}) " + " ".join(fields) + " 0 0 0\n")
    (directory / "status").write_text(f"Name:\t{comm}\nUid:\t4242\t{uid}\t0\t0\nGid:\t0\n")
    (directory / "cmdline").write_bytes(b"/usr/bin/a-name-longer-than-the-kernel-keeps\0--option\0")


def test_the_table_agrees_with_psutil_about_this_machine() -> None:
    program = "import time; print('runs', flush=True); time.sleep(30)"
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    try:
        assert child.stdout.readline() == "runs\n"
        ours = {reading.pid: reading for reading in ProcessTable().read()}
        theirs = {reading.pid: reading for reading in read_with_psutil()}
    finally:
        child.kill()
        child.communicate()
    assert ours[child.pid].user == theirs[child.pid].user
    for pid in (os.getpid(), os.getppid()):
        assert (ours[pid].user, ours[pid].threads) == (theirs[pid].user, theirs[pid].threads)
        assert ours[pid].cpu_seconds == pytest.approx(theirs[pid].cpu_seconds, abs=0.2)
        assert ours[pid].resident_bytes == pytest.approx(theirs[pid].resident_bytes, rel=0.2)
    assert ours[child.pid].name == theirs[child.pid].name
    assert len(ours.keys() ^ theirs.keys()) < 30


def test_names_with_blanks_and_parentheses_are_read_whole(tmp_path: Path) -> None:
    write_process(tmp_path, 7, "a) (b c", ticks=250)
    (reading,) = ProcessTable(str(tmp_path)).read()
    assert (reading.name, reading.user, reading.threads) == ("a) (b c", "root", 3)
    assert reading.cpu_seconds == 250 / os.sysconf("SC_CLK_TCK")
    assert reading.resident_bytes == 10 * os.sysconf("SC_PAGE_SIZE")


def test_a_name_the_kernel_cut_is_completed_from_the_command_line(tmp_path: Path) -> None:
    write_process(tmp_path, 7, "a-name-longer-t")
    write_process(tmp_path, 8, "something-else-")
    assert {reading.name for reading in ProcessTable(str(tmp_path)).read()} == {
        "a-name-longer-than-the-kernel-keeps",
        "something-else-",
    }


def test_a_process_called_after_its_first_thread_goes_by_its_program(tmp_path: Path) -> None:
    for pid, comm in ((7, "node-MainThread"), (8, "MainThread"), (9, "main")):
        write_process(tmp_path, pid, comm)
    (tmp_path / "7" / "exe").symlink_to("/usr/local/bin/node (deleted)")
    (tmp_path / "9" / "cmdline").write_bytes(b"")
    names = {reading.pid: reading.name for reading in ProcessTable(str(tmp_path)).read()}
    assert names == {7: "node", 8: "a-name-longer-than-the-kernel-keeps", 9: "main"}


def test_kernel_threads_go_by_their_kind(tmp_path: Path) -> None:
    for pid, comm in enumerate(("kworker/0:1-events", "kworker/u8:2", "ksoftirqd/1"), start=1):
        write_process(tmp_path, pid, comm, flags=0x00200000)
    write_process(tmp_path, 9, "bin/odd")
    assert sorted(reading.name for reading in ProcessTable(str(tmp_path)).read()) == [
        "bin/odd",
        "ksoftirqd",
        "kworker",
        "kworker",
    ]


def test_the_owner_is_the_effective_user_or_its_number(tmp_path: Path) -> None:
    write_process(tmp_path, 7, "x", uid=987_654)
    assert ProcessTable(str(tmp_path)).read()[0].user == "987654"


def test_a_process_number_used_again_or_another_program_in_it_is_looked_at_again(tmp_path: Path) -> None:
    table = ProcessTable(str(tmp_path))
    write_process(tmp_path, 7, "sh")
    assert table.read()[0][2:4] == ("sh", "root")
    write_process(tmp_path, 7, "sh", started=6, uid=987_654)
    assert table.read()[0][2:4] == ("sh", "987654")
    write_process(tmp_path, 7, "python", started=6, uid=987_654)
    assert table.read()[0][2:4] == ("python", "987654")


def test_a_process_that_ends_while_being_read_is_left_out(tmp_path: Path) -> None:
    write_process(tmp_path, 7, "x")
    (tmp_path / "8").mkdir()
    (tmp_path / "self").mkdir()
    assert [reading.pid for reading in ProcessTable(str(tmp_path)).read()] == [7]


def collector_of(*tables: list[ProcessReading]) -> ProcessCollector:
    collector = ProcessCollector()
    remaining = list(tables)
    collector._read = lambda: remaining.pop(0)
    return collector


def reading(pid: int, name: str, cpu_seconds: float, user: str = "root", resident: int = 1000) -> ProcessReading:
    return ProcessReading(pid, 1.0, name, user, cpu_seconds, resident, 2)


def test_processes_of_one_name_and_user_are_summed() -> None:
    collector = collector_of(
        [reading(1, "nginx", 1), reading(2, "nginx", 2), reading(3, "nginx", 0, "www")],
        [reading(1, "nginx", 4), reading(2, "nginx", 5), reading(3, "nginx", 1, "www")],
    )
    collector.collect(0)
    rows = [dict(zip(COLUMNS, row, strict=True)) for row in collector.collect(10)]
    assert [(row["user"], row["cpu_percent"], row["process_count"], row["thread_count"]) for row in rows] == [
        ("root", 60.0, 2, 4),
        ("www", 10.0, 1, 2),
    ]


def test_a_process_born_between_two_readings_counts_with_all_it_used() -> None:
    collector = collector_of([reading(1, "make", 0)], [reading(1, "make", 0), reading(2, "cc1", 8)])
    assert [row[2] for row in collector.collect(0)] == [None], "nothing is known yet"
    assert {row[0]: row[2] for row in collector.collect(10)} == {"cc1": 80.0, "make": 0.0}


def test_the_top_by_cpu_and_the_top_by_memory_are_kept_each_group_once() -> None:
    groups = [Group(f"cpu{i}", "u", float(i), 1, 1, 1) for i in range(40)]
    groups += [Group(f"memory{i}", "u", None, 1000 + i, 1, 1) for i in range(40)]
    groups += [Group("both", "u", 99.0, 9999, 1, 1), Group("kworker", "root", 0.0, 0, 9, 9)]
    kept = [group.name for group in top(groups)]
    assert len(kept) == len(set(kept)) == 2 * TOP - 1
    assert kept[0] == "both"
    assert {"cpu39", "memory39"} <= set(kept)
    assert "kworker" not in kept


def test_a_busy_process_of_this_machine_shows_its_cpu() -> None:
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        collector = ProcessCollector()
        collector.collect(time.monotonic())
        before = psutil.Process(busy.pid).cpu_times().user
        deadline = time.monotonic() + 20
        while psutil.Process(busy.pid).cpu_times().user < before + 0.3:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        rows = [dict(zip(COLUMNS, row, strict=True)) for row in collector.collect(time.monotonic())]
    finally:
        busy.kill()
        busy.wait()
    name = Path(sys.executable).resolve().name
    assert any(str(row["name"]).startswith(("python", name)) and (row["cpu_percent"] or 0) > 5 for row in rows)
