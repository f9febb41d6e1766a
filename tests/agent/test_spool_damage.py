"""A damaged spool never keeps the agent from starting, never gives back wrong values, and is put aside once."""

import os
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from chatops_agent.counters import Counters
from chatops_agent.spool import Spool
from chatops_protocol.agent_messages import Samples, decode_from_agent_msgpack

OpenSpool = Callable[..., Spool]
FRAMES = 400
Damage = Callable[[bytearray, random.Random], bytes]


def cut(content: bytearray, dice: random.Random) -> bytes:
    return bytes(content[: dice.randrange(len(content))])


def flip(content: bytearray, dice: random.Random) -> bytes:
    for _ in range(dice.choice([1, 1, 8, 200])):
        content[dice.randrange(len(content))] ^= 1 << dice.randrange(8)
    return bytes(content)


def zero(content: bytearray, dice: random.Random) -> bytes:
    start = dice.randrange(len(content))
    length = min(len(content) - start, dice.choice([16, 4096, 65536]))
    content[start : start + length] = bytes(length)
    return bytes(content)


def zero_the_header(content: bytearray, dice: random.Random) -> bytes:
    content[: dice.choice([16, 100, 4096])] = bytes(100)
    return bytes(content)


def fill_with_noise(content: bytearray, dice: random.Random) -> bytes:
    return dice.randbytes(len(content))


def empty(content: bytearray, dice: random.Random) -> bytes:
    return b""


CASES = [
    (damage, state, target, seed)
    for damage, seeds in ((cut, 5), (flip, 6), (zero, 5), (zero_the_header, 1), (fill_with_noise, 1), (empty, 1))
    for state in ("closed", "killed")
    for target in (("file",) if state == "closed" else ("file", "log"))
    for seed in range(seeds)
]


@pytest.fixture(scope="module")
def spools(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two sound spools with 400 frames each, one closed in peace, one as a kill leaves it."""
    killed, closed = tmp_path_factory.mktemp("killed"), tmp_path_factory.mktemp("closed")
    spool = Spool(closed, 10_000_000, {"host": ["cpu_percent"]}, Counters())
    for number in range(1, FRAMES + 1):
        spool.append({"host": [[number * 1.5, "x" * (number % 7) * 300]]}, float(number))
    shutil.copytree(closed, killed, dirs_exist_ok=True)
    spool.close()
    return {"closed": closed, "killed": killed}


@pytest.mark.parametrize(("damage", "state", "target", "seed"), CASES)
def test_the_agent_starts_and_gives_back_only_what_is_right(
    damage: Damage,
    state: str,
    target: str,
    seed: int,
    spools: dict[str, Path],
    tmp_path: Path,
    counters: Counters,
    open_spool: OpenSpool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    directory = tmp_path / "spool"
    shutil.copytree(spools[state], directory)
    victim = next(directory.glob("*.sqlite3" if target == "file" else "*-wal"))
    victim.write_bytes(damage(bytearray(victim.read_bytes()), random.Random(seed)))
    stream = victim.name.split("-")[1].split(".")[0]

    started = time.monotonic()
    spool = open_spool()
    frames = [decode_from_agent_msgpack(frame.data) for frame in spool.read(0, 10_000, 1 << 30)]
    spool.append({"host": [[0.0]]}, 0.0)
    assert time.monotonic() - started < 5

    kept = [frame.sequence for frame in frames if isinstance(frame, Samples)]
    assert all(isinstance(f, Samples) and f.rows["host"][0][0] == f.sequence * 1.5 for f in frames)
    assert kept == sorted(set(kept))
    assert counters.spool_frames == len(kept) + 1
    new = spool.read(kept[-1] if kept else 0, 10, 1 << 20)[-1].sequence
    assert spool.stream != stream or new > FRAMES, "no sequence is used twice"
    aside = [path for path in directory.iterdir() if ".damaged-" in path.name and path.name.count("-") == 3]
    said = [record.message for record in caplog.records if "the spool was damaged" in record.message]
    assert len(aside) == len(said) <= 1
    if target == "file" and state == "closed" and len(kept) < FRAMES:
        assert aside or counters.dropped_frames, "a loss is put aside or counted"
    if damage is cut and state == "closed" and aside:  # a few bytes off the last page are one broken frame
        whole = len(kept) / FRAMES
        left = aside[0].stat().st_size / spools_size(spools[state])
        assert whole >= left - 0.1, f"{left:.0%} of the file was left, {whole:.0%} of the frames were kept"


def spools_size(directory: Path) -> int:
    return next(directory.glob("*.sqlite3")).stat().st_size


@pytest.mark.parametrize("kind", ["directory", "fifo", "dangling link", "link to itself", "unreadable"])
def test_something_else_in_the_place_of_the_spool_is_put_aside(
    kind: str, tmp_path: Path, open_spool: OpenSpool
) -> None:
    path = tmp_path / "spool" / "spool-0123.sqlite3"
    path.parent.mkdir()
    if kind == "directory":
        (path / "inside").mkdir(parents=True)
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "unreadable":
        path.write_bytes(b"SQLite format 3\0")
        path.chmod(0)
    else:
        path.symlink_to("nowhere" if kind == "dangling link" else path.name)
    spool = open_spool()
    assert spool.append({"host": [[1.0]]}, 1.0) == 1
    assert spool.stream != "0123"
    assert len(list(path.parent.glob("*.damaged-*"))) == 1


def test_a_frame_whose_content_changed_is_dropped_and_counted_and_the_others_are_sent(
    open_spool: OpenSpool, counters: Counters, caplog: pytest.LogCaptureFixture
) -> None:
    spool = open_spool()
    for value in (1.0, 2.0, 3.0):
        spool.append({"host": [[value]]}, 1.0)
    spool._connection.execute(
        "UPDATE frames SET frame = CAST(replace(frame, 'host', 'hose') AS BLOB) WHERE sequence = 2"
    )
    assert [frame.sequence for frame in spool.read(0, 10, 1 << 20)] == [1, 3]
    assert (counters.dropped_frames, counters.spool_frames) == (1, 2)
    assert "content was damaged" in caplog.text


def test_a_file_that_breaks_while_in_use_is_replaced_and_collecting_goes_on(
    open_spool: OpenSpool, counters: Counters, caplog: pytest.LogCaptureFixture
) -> None:
    spool = open_spool()
    for value in range(200):
        spool.append({"host": [[float(value), "x" * 1000]]}, 1.0)
    spool._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    generation = spool.generation
    file = next(spool._directory.glob("spool-*.sqlite3"))
    with file.open("r+b") as content:
        content.seek(20 * 4096)
        content.write(b"\xff" * 4096 * 10)
    spool._connection.execute("PRAGMA shrink_memory")
    kept = 0
    for _ in range(3):  # the damage is met by whoever gets there first
        spool.append({"host": [[1.0]]}, 1.0)
        kept = len(spool.read(0, 10_000, 1 << 30))
    assert spool.generation == generation + 1
    assert kept >= 100
    assert counters.spool_frames == kept
    assert counters.dropped_frames == 203 - kept
    assert caplog.text.count("the spool was damaged") == 1


def test_only_the_newest_damaged_files_are_kept(open_spool: OpenSpool) -> None:
    for _ in range(6):
        spool = open_spool()
        spool.append({"host": [[1.0]]}, 1.0)
        spool.close()
        next(spool._directory.glob("spool-*.sqlite3")).write_bytes(b"noise" * 1000)
    open_spool()
    assert len(list(spool._directory.glob("*.damaged-*"))) == 3


def test_a_new_stream_after_damage_in_use_begins_above_the_old_sequences(open_spool: OpenSpool) -> None:
    spool = open_spool()
    for _ in range(50):
        spool.append({"host": [["x" * 3000]]}, 1.0)
    stream = spool.stream
    spool._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    file = next(spool._directory.glob("spool-*.sqlite3"))
    with file.open("r+b") as content:
        content.write(b"\xff" * file.stat().st_size)
    spool._connection.execute("PRAGMA shrink_memory")
    spool.append({"host": [[1.0]]}, 1.0)
    spool.mark_sent(50)
    spool.acknowledge(50)  # was under way when the file broke
    spool.append({"host": [[2.0]]}, 1.0)
    assert spool.stream != stream
    assert [frame.sequence for frame in spool.read(0, 10, 1 << 20)] == [51, 52]
