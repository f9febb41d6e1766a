"""The systemd journal through a real child process that plays `journalctl`."""

import logging
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import json

from chatops_agent.following import journal as module
from chatops_agent.following.journal import Journal

KEY = "chatops_agent_this-is-the-canary-of-these-tests"
NOW = 1_795_515_300.0
# Prints what is in `entries` after the cursor it is given, then waits as `--follow` does, or ends with what `end` says.
PROGRAM = """\
    #!/bin/sh
    cd {directory}
    echo "$@" >> arguments
    after=0
    for argument; do case "$argument" in
        --after-cursor=*) after=${{argument#--after-cursor=c}} ;;
        --lines=0) after=$(wc -l < entries) ;;
    esac; done
    [ "$after" -ge 0 ] 2> /dev/null || exit 1
    tail -n +$((after + 1)) entries
    [ -e end ] && exit "$(cat end)"
    exec tail -n 0 -F entries 2> /dev/null
"""


class FakeJournal:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.command = directory / "journalctl"
        self.command.write_text(textwrap.dedent(PROGRAM).format(directory=directory))
        self.command.chmod(0o755)
        (directory / "entries").touch()
        self.count = 0

    def write(self, message: Any, **fields: Any) -> None:
        self.count += 1
        entry = {"__CURSOR": f"c{self.count}", "__REALTIME_TIMESTAMP": "1795515283250000", "MESSAGE": message} | fields
        with (self.directory / "entries").open("ab") as file:
            file.write(json.encode(entry) + b"\n")

    @property
    def arguments(self) -> list[str]:
        return (self.directory / "arguments").read_text().splitlines()


@pytest.fixture
def fake(tmp_path: Path) -> FakeJournal:
    return FakeJournal(tmp_path)


Open = Callable[..., Journal]


@pytest.fixture
def open_journal(fake: FakeJournal) -> Iterator[Open]:
    opened: list[Journal] = []

    def start(position: bytes | None = b"c0", **changes: Any) -> Journal:
        opened.append(Journal(KEY, position, **({"command": str(fake.command)} | changes)))
        return opened[-1]

    yield start
    for journal in opened:
        journal.close()


def read(journal: Journal, count: int, most: int = 1000) -> list[list[Any]]:
    """Rows as they come, until there are so many."""
    rows: list[list[Any]] = []
    for _ in range(500):
        rows += journal.read(most, NOW)
        if len(rows) >= count:
            return rows
        journal._child.poll() if journal._child else None
        _wait_for_output(journal)
    raise AssertionError(f"only {rows}")


def _wait_for_output(journal: Journal) -> None:
    import select

    if journal._child is not None and journal._child.stdout is not None:
        select.select([journal._child.stdout], [], [], 0.05)


def test_entries_carry_unit_level_and_time(fake: FakeJournal, open_journal: Open) -> None:
    fake.write("it broke", PRIORITY="3", _SYSTEMD_UNIT="app.service")
    fake.write("hello", PRIORITY="6", SYSLOG_IDENTIFIER="logger")
    fake.write([104, 233, 0])
    fake.write(None)
    rows = read(open_journal(), 4)
    at = 1_795_515_283.25
    assert rows == [
        [at, "journal:app.service", "error", "it broke"],
        [at, "journal:logger", "info", "hello"],
        [at, "journal", None, "h\ufffd\ufffd"],
        [at, "journal", None, ""],
    ]


def test_it_goes_on_after_the_last_entry_read(fake: FakeJournal, open_journal: Open) -> None:
    fake.write("1")
    fake.write("2")
    journal = open_journal()
    assert [row[3] for row in read(journal, 1, most=1)] == ["1"]
    position = journal.position
    journal.close()
    assert [row[3] for row in read(open_journal(position), 1)] == ["2"]


def test_the_first_time_only_what_is_new_comes(fake: FakeJournal, open_journal: Open) -> None:
    fake.write("old")
    journal = open_journal(None)
    journal.read(10, NOW)
    while "--lines=0" not in "".join(fake.arguments if (fake.directory / "arguments").exists() else ""):
        _wait_for_output(journal)
    # `tail -F` has taken its place once the file is open.
    for _ in range(100):
        _wait_for_output(journal)
        if b"tail" in Path(f"/proc/{journal._child.pid}/cmdline").read_bytes():
            break
    _wait_for_output(journal)
    fake.write("new")
    assert [row[3] for row in read(journal, 1)] == ["new"]


def test_it_is_started_again_when_it_ends(
    fake: FakeJournal, open_journal: Open, caplog: pytest.LogCaptureFixture
) -> None:
    moment = 0.0
    fake.write("1")
    (fake.directory / "end").write_text("1")
    journal = open_journal(monotonic=lambda: moment)
    assert [row[3] for row in read(journal, 1)] == ["1"]
    fake.write("2")
    while "ended with code 1" not in caplog.text:
        journal.read(10, NOW)
        _wait_for_output(journal)
    moment += 10
    assert [row[3] for row in read(journal, 1)] == ["2"]
    assert "--after-cursor=c1" in fake.arguments[1]


def test_a_position_that_the_journal_refuses_is_given_up(
    fake: FakeJournal, open_journal: Open, caplog: pytest.LogCaptureFixture
) -> None:
    moment = 0.0
    journal = open_journal(b"s=gone", monotonic=lambda: moment)
    while "position is given up" not in caplog.text:
        journal.read(10, NOW)
        _wait_for_output(journal)
    moment += 10
    journal.read(10, NOW)
    assert journal._child is not None


def test_who_is_behind_for_long_leaves_out_and_says_so_in_one_line(
    fake: FakeJournal, open_journal: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = 0.0
    for number in range(100):
        fake.write(str(number))
    journal = open_journal(monotonic=lambda: moment)
    kept = read(journal, 20, most=10)[:20]
    moment += module.BEHIND_FOR_S + 1
    rows: list[list[Any]] = []
    for _ in range(100):
        rows += journal.read(10, NOW)
        _wait_for_output(journal)
        if rows:
            break
    assert [row[3] for row in kept] == [str(n) for n in range(20)]
    assert [row[3] for row in rows] == [
        "chatops agent: 80 entries are left out here: they came faster than they are sent"
    ]
    assert journal.position == b"c100"


def test_an_entry_as_large_as_a_core_dump_is_left_out(fake: FakeJournal, open_journal: Open) -> None:
    fake.write("x" * 3_000_000)
    fake.write("next")
    rows = read(open_journal(), 2)
    assert "1 entries are left out" in rows[0][3] or rows[1][3] == "next"
    assert rows[-1][3] == "next"


def test_keys_are_masked_and_long_messages_cut(fake: FakeJournal, open_journal: Open) -> None:
    fake.write(f"key {KEY}")
    fake.write("y" * 100_000)
    masked, cut = read(open_journal(), 2)
    assert KEY not in masked[3]
    assert cut[3].endswith("(100,000 bytes, the rest is left out)")


def test_a_host_without_journal_is_told_once(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    caplog.set_level(logging.WARNING)
    journal = Journal(KEY, None)
    assert journal.read(10, NOW) == []
    assert journal.read(10, NOW) == []
    assert [r.getMessage() for r in caplog.records if "no journalctl" in r.getMessage()] == [caplog.messages[0]]
