"""Log lines on their way into the spool and to the backend: once each, whatever dies, and never an agent's key."""

import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chatops_agent.counters import Counters
from chatops_agent.following.feed import Feed
from chatops_agent.settings import Settings
from chatops_agent.spool import Spool
from chatops_protocol.agent_messages import Samples, decode_from_agent_msgpack
from chatops_protocol.log_lines import LOG, LOG_COLUMNS

OpenSpool = Callable[..., Spool]
StartAgent = Callable[..., Any]
KEY = "chatops_agent_this-is-the-canary-of-these-tests"
LAYOUT = {"host": ["cpu_percent"], LOG: list(LOG_COLUMNS)}


def settings(tmp_path: Path, *patterns: str, **changes: Any) -> Settings:
    return Settings(url="ws://localhost", api_key=KEY, spool_dir=tmp_path / "spool", log_files=patterns, **changes)


def spooled(spool: Spool) -> list[list[Any]]:
    frames = [decode_from_agent_msgpack(frame.data) for frame in spool.read(0, 1_000_000, 1 << 40)]
    return [row for frame in frames if isinstance(frame, Samples) for row in frame.rows.get(LOG, ())]


def messages(rows: list[list[Any]]) -> list[str]:
    return [row[3] for row in rows]


def write(path: Path, *lines: str) -> None:
    with path.open("a") as file:
        file.write("".join(f"{line}\n" for line in lines))


@pytest.fixture
def feed(tmp_path: Path, open_spool: OpenSpool, counters: Counters) -> Feed:
    return Feed(settings(tmp_path, str(tmp_path / "*.log")), open_spool(layout=LAYOUT), counters)


def test_files_of_a_pattern_are_followed_and_what_rotation_leaves_is_not(
    tmp_path: Path, open_spool: OpenSpool, counters: Counters
) -> None:
    moment = 0.0
    spool = open_spool(layout=LAYOUT)
    for name in ("a.log", "a.log.1", "b.log.2.gz", "c.log-20261124", "d.txt"):
        write(tmp_path / name, "old")
    feed = Feed(settings(tmp_path, str(tmp_path / "*")), spool, counters, monotonic=lambda: moment)
    assert not feed.poll()
    for name in ("a.log", "a.log.1", "b.log.2.gz", "c.log-20261124", "new.log"):
        write(tmp_path / name, f"of {name}")
    assert feed.poll()
    moment += 60
    feed.poll()
    assert messages(spooled(spool)) == ["of a.log", "of new.log"]
    assert [row[1] for row in spooled(spool)] == [str(tmp_path / "a.log"), str(tmp_path / "new.log")]
    feed.close()


def test_a_file_that_came_while_the_agent_was_away_is_read_from_its_start(
    tmp_path: Path, open_spool: OpenSpool, counters: Counters
) -> None:
    given = settings(tmp_path, str(tmp_path / "*.log"))
    spool = open_spool(layout=LAYOUT)
    write(tmp_path / "old.log", "before")
    feed = Feed(given, spool, counters)
    feed.poll()
    feed.close()
    write(tmp_path / "new.log", "meanwhile")
    feed = Feed(given, spool, counters)
    feed.poll()
    assert messages(spooled(spool)) == ["meanwhile"]
    feed.close()


def test_files_that_are_over_are_let_go_and_taken_up_again(
    tmp_path: Path, open_spool: OpenSpool, counters: Counters
) -> None:
    moment = 0.0
    spool = open_spool(layout=LAYOUT)
    given = settings(tmp_path, str(tmp_path / "*.log"))
    feed = Feed(given, spool, counters, monotonic=lambda: moment)

    def look() -> None:
        nonlocal moment
        moment += 60
        feed.poll()
        feed.poll()

    feed.poll()
    for day in range(5):
        write(tmp_path / f"app-{day}.log", f"of day {day}")
    look()
    (tmp_path / "app-0.log").unlink()
    os.utime(tmp_path / "app-1.log", (1_000_000_000, 1_000_000_000))
    for _ in range(3):
        look()
    assert {Path(key).name for key in feed._sources} == {"app-2.log", "app-3.log", "app-4.log"}
    assert str(tmp_path / "app-0.log") not in repr(spool.positions())
    write(tmp_path / "app-1.log", "again")
    look()
    assert sorted(messages(spooled(spool))) == ["again", *(f"of day {day}" for day in range(5))]
    feed.close()


def test_a_file_renamed_while_the_agent_was_away_is_read_to_its_end_though_none_took_its_place(
    tmp_path: Path, open_spool: OpenSpool, counters: Counters
) -> None:
    spool = open_spool(layout=LAYOUT)
    given = settings(tmp_path, str(tmp_path / "*.log"))
    feed = Feed(given, spool, counters)
    feed.poll()
    feed._looked_at = None
    write(tmp_path / "app.log", "1")
    feed.poll()
    feed.close()
    write(tmp_path / "app.log", "2")
    (tmp_path / "app.log").rename(tmp_path / "app.log.1")
    feed = Feed(given, spool, counters)
    feed.poll()
    assert messages(spooled(spool)) == ["1", "2"]
    feed.close()


def test_what_was_written_long_ago_while_the_agent_was_away_is_read(
    tmp_path: Path, open_spool: OpenSpool, counters: Counters
) -> None:
    spool = open_spool(layout=LAYOUT)
    given = settings(tmp_path, str(tmp_path / "*.log"))
    write(tmp_path / "app.log", "1")
    feed = Feed(given, spool, counters)
    feed.poll()
    feed.close()
    write(tmp_path / "app.log", "2")
    os.utime(tmp_path / "app.log", (1_000_000_000, 1_000_000_000))
    feed = Feed(given, spool, counters)
    feed.poll()
    assert messages(spooled(spool)) == ["2"]
    feed.close()


def test_positions_of_what_is_not_wanted_any_more_are_forgotten(
    tmp_path: Path, open_spool: OpenSpool, counters: Counters
) -> None:
    spool = open_spool(layout=LAYOUT)
    write(tmp_path / "x.log", "1")
    for pattern in ("x.log", "y.log"):
        feed = Feed(settings(tmp_path, str(tmp_path / pattern)), spool, counters)
        feed.poll()
        feed.close()
    assert f"file:{tmp_path / 'x.log'}" not in spool.positions()


def test_lines_wait_while_the_spool_cannot_be_written(
    feed: Feed, tmp_path: Path, counters: Counters, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed.poll()
    write(tmp_path / "x.log", "1")
    broken = pytest.MonkeyPatch()
    broken.setattr("chatops_agent.spool_file.write_mark", _disk_full)
    feed._looked_at = None
    assert not feed.poll()
    write(tmp_path / "x.log", "2")
    assert not feed.poll()
    broken.undo()
    assert feed.poll()
    assert feed.poll()
    assert messages(spooled(feed._spool)) == ["1", "2"]
    assert counters.dropped_frames == 0
    feed.close()


def _disk_full(*_: Any) -> None:
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorcode = sqlite3.SQLITE_FULL
    raise error


def test_a_half_full_spool_leaves_the_lines_in_their_files(
    tmp_path: Path, open_spool: OpenSpool, counters: Counters
) -> None:
    spool = open_spool(layout=LAYOUT)
    feed = Feed(settings(tmp_path, str(tmp_path / "x.log"), spool_max_bytes=2_000_000), spool, counters)
    feed.poll()
    write(tmp_path / "x.log", "kept")
    counters.spool_bytes = 1_100_000
    assert not feed.poll()
    assert spooled(spool) == []
    counters.spool_bytes = 0
    assert feed.poll()
    assert messages(spooled(spool)) == ["kept"]
    feed.close()


def test_only_so_many_lines_a_second_are_sent(tmp_path: Path, open_spool: OpenSpool, counters: Counters) -> None:
    moment = 0.0
    spool = open_spool(layout=LAYOUT)
    feed = Feed(
        settings(tmp_path, str(tmp_path / "x.log"), log_lines_per_s=10), spool, counters, monotonic=lambda: moment
    )
    feed.poll()
    write(tmp_path / "x.log", *map(str, range(1000)))
    for _ in range(20):
        feed.poll()
        moment += 1
    # Those of ten seconds at once, then ten a second.
    assert messages(spooled(spool)) == list(map(str, range(100 + 19 * 10)))
    feed.close()


def test_a_file_that_may_not_be_read_is_said_once_and_the_others_go_on(
    feed: Feed, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path / "good.log", "old")
    feed.poll()
    feed._follow("file:loop", _Broken())
    write(tmp_path / "good.log", "line")
    feed.poll()
    feed.poll()
    assert messages(spooled(feed._spool)) == ["line"]
    assert len([record for record in caplog.records if "cannot follow" in record.getMessage()]) == 1
    feed.close()


class _Broken:
    position = b""

    def read(self, most: int, now: float) -> list[Any]:
        raise PermissionError(13, "Permission denied")

    def close(self) -> None:
        pass


def test_a_damaged_spool_keeps_the_positions_it_can_save(
    tmp_path: Path, open_spool: OpenSpool, counters: Counters
) -> None:
    given = settings(tmp_path, str(tmp_path / "x.log"))
    spool = open_spool(layout=LAYOUT)
    feed = Feed(given, spool, counters)
    feed.poll()
    write(tmp_path / "x.log", "1")
    feed.poll()
    feed.close()
    spool.close()
    (file,) = (tmp_path / "spool").glob("spool-*.sqlite3")
    with sqlite3.connect(file) as damaging:
        damaging.execute("UPDATE mark SET checksum = checksum + 1")
    write(tmp_path / "x.log", "2")
    spool = open_spool(layout=LAYOUT)
    feed = Feed(given, spool, counters)
    feed.poll()
    assert messages(spooled(spool)) == ["1", "2"]
    feed.close()


def sent(peer: Any) -> list[list[Any]]:
    return [row for frame in list(peer.frames) for row in frame.rows.get(LOG, ())]


def test_an_agent_that_is_killed_while_it_follows_sends_every_line_once(
    peer: Any, start_agent: StartAgent, tmp_path: Path
) -> None:
    path = tmp_path / "app.log"
    path.touch()
    stop, written = threading.Event(), 0

    def program() -> None:
        """A program that writes without pause, and whose log is rotated in both ways."""
        nonlocal written
        while not stop.is_set():
            write(path, *(f"line {n}" for n in range(written, written + 10)))
            written += 10
            if written % 1500 == 0:
                rotated = path.with_name(f"app.log-{written}")
                if written % 3000:
                    path.rename(rotated)
                    path.touch()
                else:
                    shutil.copy2(path, rotated)
                    os.truncate(path, 0)
            time.sleep(0.01)

    agent = start_agent(peer.url, CHATOPS_LOG_FILES=str(path), CHATOPS_LOG_LINES_PER_S="10000")
    agent.wait_for_log("connected as server")
    peer.wait_until(lambda: len(peer.frames) >= 2)
    writing = threading.Thread(target=program)
    writing.start()
    try:
        for round_ in range(6):
            known = len(sent(peer))
            peer.wait_until(lambda known=known: len(sent(peer)) > known)
            time.sleep(round_ * 0.13)  # no synchronisation: another moment each time
            agent.kill()
            agent = start_agent(peer.url, CHATOPS_LOG_FILES=str(path), CHATOPS_LOG_LINES_PER_S="10000")
    finally:
        stop.set()
        writing.join()
    peer.wait_until(lambda: f"line {written - 1}" in messages(sent(peer)[-50:]), 30)
    assert agent.stop() == 0
    lines = messages(sent(peer))
    assert sorted(lines, key=lambda line: int(line.split()[1])) == [f"line {n}" for n in range(written)]


def test_nothing_that_is_sent_carries_the_agents_key(peer: Any, start_agent: StartAgent, tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    agent = start_agent(peer.url, CHATOPS_LOG_FILES=str(path))
    agent.wait_for_log("connected as server")
    write(path, f"leaked {KEY}", "x" * 8_150 + KEY, f'{{"key": "{KEY}", "level": "error"}}', "last")
    peer.wait_until(lambda: "last" in messages(sent(peer)))
    assert KEY not in repr(peer.frames)
    assert KEY[:-8] not in repr(peer.frames)
    assert agent.stop() == 0


def test_without_logs_nothing_of_them_is_announced_or_loaded(peer: Any, start_agent: StartAgent) -> None:
    agent = start_agent(peer.url, PYTHONPROFILEIMPORTTIME="1")
    peer.wait_until(lambda: len(peer.frames) >= 2)
    assert all(LOG not in layout for layout in peer.hellos[0].layouts.values())
    assert agent.stop() == 0
    assert "chatops_agent.spool" in agent.log
    assert "chatops_agent.following" not in agent.log
