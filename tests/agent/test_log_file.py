"""One followed path: whole lines once each, through every kind of rotation, and bounded whatever stands in it."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chatops_agent.following import log_file
from chatops_agent.following.log_file import LogFile
from chatops_agent.following.opened_file import KEPT_BYTES

SECRET = "chatops_agent_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLM"
NOW = 1_795_515_300.0


class Follower:
    """A `LogFile` that can be stopped and started again from its position, as the agent does."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.moment = 0.0
        self.position: bytes | None = None
        self.file: LogFile | None = None

    def start(self, *, from_start: bool = True) -> None:
        self.file = LogFile(self.path, SECRET, self.position, from_start=from_start, monotonic=lambda: self.moment)

    def stop(self) -> None:
        assert self.file is not None
        self.position = self.file.position
        self.file.close()

    def restart(self) -> None:
        self.stop()
        self.start()

    def rows(self, most: int = 1000) -> list[list]:
        assert self.file is not None
        return self.file.read(most, NOW)

    def lines(self, most: int = 1000) -> list[str]:
        return [row[3] for row in self.rows(most)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "app.log"
    path.touch()
    return path


@pytest.fixture
def follower(path: Path) -> Iterator[Follower]:
    follower = Follower(path)
    follower.start()
    yield follower
    if follower.file is not None:
        follower.file.close()


def write(path: Path, *lines: str) -> None:
    with path.open("a") as file:
        file.write("".join(f"{line}\n" for line in lines))


def rename_and_create(path: Path) -> None:
    path.rename(path.with_name(f"{path.name}.1"))
    path.touch()


def copy_and_truncate(path: Path) -> None:
    shutil.copy2(path, path.with_name(f"{path.name}.1"))
    os.truncate(path, 0)


def with_date(path: Path) -> None:
    path.rename(path.with_name(f"{path.name}-20261124"))
    path.touch()


ROTATIONS = [rename_and_create, copy_and_truncate, with_date]


def test_lines_come_once_and_whole(follower: Follower, path: Path) -> None:
    write(path, "one", "two")
    with path.open("a") as file:
        file.write("thr")
    assert follower.lines() == ["one", "two"]
    assert follower.lines() == []
    write(path, "ee")
    assert follower.lines() == ["three"]
    assert follower.rows() == []


def test_a_file_that_was_there_before_is_followed_from_its_end(path: Path) -> None:
    write(path, "old", "older")
    with path.open("a") as file:
        file.write("half")
    follower = Follower(path)
    follower.start(from_start=False)
    assert follower.lines() == []
    write(path, " and half", "new")
    assert follower.lines() == ["half and half", "new"]
    follower.stop()


def test_a_file_that_comes_later_is_read_from_its_start(tmp_path: Path) -> None:
    follower = Follower(tmp_path / "later.log")
    follower.start(from_start=False)
    assert follower.lines() == []
    write(follower.path, "first")
    assert follower.lines() == ["first"]
    follower.stop()


@pytest.mark.parametrize("rotate", ROTATIONS)
@pytest.mark.parametrize("away", [False, True], ids=["while it looks", "while it is away"])
def test_rotation_loses_and_doubles_nothing(
    follower: Follower, path: Path, rotate: Callable[[Path], None], away: bool
) -> None:
    write(path, "1", "2")
    assert follower.lines() == ["1", "2"]
    if away:
        follower.stop()
    write(path, "3", "4")
    rotate(path)
    write(path, "5", "6")
    if away:
        follower.start()
    assert follower.lines() == ["3", "4", "5", "6"]
    follower.restart()
    write(path, "7")
    assert follower.lines() == ["7"]
    follower.moment += 60
    follower.rows()
    follower.restart()
    assert follower.lines() == []


@pytest.mark.parametrize("rotate", ROTATIONS[:2])
def test_several_rotations_while_it_is_away_lose_nothing(
    follower: Follower, path: Path, rotate: Callable[[Path], None]
) -> None:
    write(path, "1")
    assert follower.lines() == ["1"]
    follower.stop()
    for number, modified in ((2, 1000), (3, 2000), (4, 3000)):
        for old in (3, 2, 1):
            if (rotated := path.with_name(f"app.log.{old}")).exists():
                rotated.rename(path.with_name(f"app.log.{old + 1}"))
        write(path, f"{number}a", f"{number}b")
        os.utime(path, (modified, modified))
        rotate(path)
    write(path, "5")
    follower.start()
    assert follower.lines() == ["2a", "2b", "3a", "3b", "4a", "4b", "5"]
    assert follower.lines() == []


def test_what_is_written_to_the_renamed_file_comes_too(follower: Follower, path: Path) -> None:
    with path.open("a") as still_open:
        still_open.write("1\n")
        still_open.flush()
        assert follower.lines() == ["1"]
        rename_and_create(path)
        write(path, "new")
        assert follower.lines() == ["new"]
        still_open.write("late\nwithout end")
        still_open.flush()
        follower.restart()
        assert follower.lines() == ["late"]
        follower.moment += log_file.STILL_WRITTEN_FOR_S
        assert follower.lines() == ["without end"]
    assert follower.lines() == []


def test_a_truncated_file_that_grew_beyond_the_old_end_is_noticed(follower: Follower, path: Path) -> None:
    write(path, "short")
    assert follower.lines() == ["short"]
    os.truncate(path, 0)
    write(path, "something longer than what was there", "and more")
    assert follower.lines() == ["something longer than what was there", "and more"]


def test_a_file_that_is_gone_for_good_is_said_once(follower: Follower, path: Path) -> None:
    write(path, "1")
    assert follower.lines() == ["1"]
    follower.stop()
    path.unlink()
    write(path, "another file that begins in another way")
    follower.start()
    said, line = follower.lines()
    assert "is gone" in said
    assert line == "another file that begins in another way"
    follower.restart()
    assert follower.lines() == []


def test_a_file_renamed_and_renamed_back_is_not_read_again(follower: Follower, path: Path) -> None:
    write(path, "1")
    assert follower.lines() == ["1"]
    path.rename(path.with_name("elsewhere"))
    assert follower.lines() == []
    path.with_name("elsewhere").rename(path)
    write(path, "2")
    assert follower.lines() == ["2"]


def test_more_than_may_be_sent_waits_in_the_file(follower: Follower, path: Path) -> None:
    write(path, *map(str, range(10)))
    assert follower.lines(4) == ["0", "1", "2", "3"]
    follower.restart()
    rename_and_create(path)
    write(path, "10")
    follower.moment += 60
    assert follower.lines(4) == ["4", "5", "6", "7"]
    assert follower.lines(0) == []
    assert follower.lines(4) == ["8", "9", "10"]


def test_a_flood_is_left_out_counted_and_said_in_one_line(
    follower: Follower, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_file, "MOST_BEHIND_BYTES", 100_000)
    monkeypatch.setattr(log_file, "CAUGHT_UP_BYTES", 10_000)
    monkeypatch.setattr(log_file, "SKIPPED_AT_ONCE_BYTES", 50_000)
    written = 20_000
    write(path, *(f"line {n:06}" for n in range(written)))
    seen: list[str] = []
    for _ in range(2 * written // 500):
        follower.restart()
        seen += follower.lines(500)
    said = [line for line in seen if line.startswith("chatops agent: ")]
    assert len(said) == 1
    left_out = int(said[0].split()[2].replace(",", ""))
    kept = [int(line.split()[1]) for line in seen if not line.startswith("chatops agent: ")]
    assert kept == sorted(set(kept))
    assert len(kept) + left_out == written
    assert kept[-1] == written - 1


@pytest.mark.parametrize("length", [8_193, 100_000, 1_000_000])
def test_a_long_line_is_cut_and_says_how_long_it_was(follower: Follower, path: Path, length: int) -> None:
    write(path, "x" * length, "next")
    long, following = follower.lines()
    assert len(long) < KEPT_BYTES
    assert long.startswith("x" * 8_000)
    assert f"{length:,} bytes" in long
    assert following == "next"


def test_a_line_without_end_is_not_held_in_memory(follower: Follower, path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"y" * 5_000_000)
    assert follower.lines() == []
    assert follower.file is not None
    assert len(follower.file._files[0]._kept) <= KEPT_BYTES
    write(path, "", "next")
    assert follower.lines()[1] == "next"


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"nul \x00 in it", "nul \ufffd in it"),
        (b"latin \xe9 in it", "latin \ufffd in it"),
        (b"\xff\xfe\x00", "\ufffd\ufffd\ufffd"),
        (b"\xed\xa0\x80", "\ufffd\ufffd\ufffd"),
        (b"windows\r", "windows"),
        (b"\x1b[31mred\x1b[0m", "\x1b[31mred\x1b[0m"),
        (b"'; DROP TABLE logs; --", "'; DROP TABLE logs; --"),
        ("grüße 😀".encode(), "grüße 😀"),
    ],
)
def test_what_is_no_text_is_replaced_and_the_rest_kept(follower: Follower, path: Path, raw: bytes, text: str) -> None:
    path.write_bytes(raw + b"\n")
    assert follower.lines() == [text]


@pytest.mark.parametrize(
    "line",
    [
        f"key {SECRET}",
        f"{SECRET}{SECRET}",
        f"CHATOPS_API_KEY={SECRET};",
        "x" * 8_150 + SECRET,
        "x" * (KEPT_BYTES - 30) + SECRET + "y" * 10_000,
        "ü" * 4_340 + SECRET + "y" * 10_000,
    ],
)
@pytest.mark.parametrize("secret", [SECRET, "an old key of another form"])
def test_agents_keys_are_masked(tmp_path: Path, line: str, secret: str) -> None:
    path = tmp_path / "keys.log"
    write(path, line.replace(SECRET, secret))
    file = LogFile(path, secret, None, from_start=True)
    ((_, _, _, text),) = file.read(10, NOW)
    file.close()
    assert not any(secret[: len(secret) - cut] in text for cut in range(len(secret) - 16)), text[-100:]


def test_a_stack_trace_stays_with_its_line(follower: Follower, path: Path) -> None:
    write(
        path,
        "2026-11-24T10:14:43Z ERROR it broke",
        "Traceback (most recent call last):",
        '  File "x.py", line 1',
        "ValueError: no",
        "unrelated",
    )
    rows = follower.rows()
    at = 1_795_515_283.0
    assert [(row[0], row[2]) for row in rows] == [(at, "error")] * 4 + [(NOW, None)]


def test_what_is_no_file_is_an_error_and_is_not_waited_for(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    file = LogFile(fifo, SECRET, None, from_start=True)
    with pytest.raises(OSError, match="not a regular file"):
        file.read(10, NOW)
    file.close()
