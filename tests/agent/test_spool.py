"""The spool: sequences, acknowledgements, the cap, and what a kill leaves behind."""

import logging
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from chatops_agent.counters import Counters
from chatops_agent.spool import Spool
from chatops_agent.spool_directory import SpoolError
from chatops_agent.spool_file import SEQUENCES_SKIPPED
from chatops_protocol.agent_messages import Samples, decode_from_agent_msgpack

OpenSpool = Callable[..., Spool]
LAYOUT = {"host": ["cpu_percent"]}
ALL = (1_000_000, 1 << 40)


def stored(spool: Spool, after: int = 0) -> list[Samples]:
    frames = [decode_from_agent_msgpack(frame.data) for frame in spool.read(after, *ALL)]
    assert all(isinstance(frame, Samples) for frame in frames)
    return [frame for frame in frames if isinstance(frame, Samples)]


def append(spool: Spool, value: float = 1.0, size: int = 0) -> None:
    assert spool.append({"host": [[value, "x" * size]]}, 1_700_000_000.0) == 1


def sequences(spool: Spool) -> list[int]:
    return [frame.sequence for frame in stored(spool)]


def crash(spool: Spool) -> None:
    """Leave the files as a kill would: nothing is written after this."""
    spool.closed = True
    os.close(spool._lock)
    spool._connection.close()


def test_frames_come_back_in_order_with_their_content(open_spool: OpenSpool) -> None:
    spool = open_spool()
    for value in (1.5, None, 3.5):
        spool.append({"host": [[value]]}, 100.0)
    assert [frame.rows for frame in stored(spool)] == [{"host": [[1.5]]}, {"host": [[None]]}, {"host": [[3.5]]}]
    assert sequences(spool) == [1, 2, 3]
    assert [frame.layout for frame in stored(spool)] == [next(iter(spool.layouts))] * 3


def test_reading_keeps_to_its_limits_but_never_stands_still(open_spool: OpenSpool) -> None:
    spool = open_spool()
    for _ in range(5):
        append(spool, size=1000)
    assert [frame.sequence for frame in spool.read(1, 2, 1 << 20)] == [2, 3]
    assert [frame.sequence for frame in spool.read(1, 10, 2500)] == [2, 3]
    assert [frame.sequence for frame in spool.read(1, 10, 1)] == [2]
    assert spool.read(5, *ALL) == []


def test_what_was_sent_and_acknowledged_leaves_the_spool_and_its_counters(
    open_spool: OpenSpool, counters: Counters
) -> None:
    spool = open_spool()
    for _ in range(5):
        append(spool)
    spool.mark_sent(4)
    spool.acknowledge(3)
    spool.settle()
    assert counters.spool_frames == 2
    append(spool)
    assert sequences(spool) == [4, 5, 6]
    assert counters.spool_bytes == sum(len(frame.data) for frame in spool.read(0, *ALL))


def test_an_acknowledgement_of_what_was_never_sent_deletes_nothing(open_spool: OpenSpool) -> None:
    spool = open_spool()
    append(spool)
    append(spool)
    spool.mark_sent(1)
    spool.acknowledge(1_000_000)
    append(spool)
    assert sequences(spool) == [2, 3]


def test_sequences_go_on_after_a_clean_stop_even_when_all_was_delivered(open_spool: OpenSpool) -> None:
    spool = open_spool()
    append(spool)
    append(spool)
    stream = spool.stream
    spool.mark_sent(2)
    spool.acknowledge(2)
    spool.close()
    again = open_spool()
    append(again)
    assert again.stream == stream
    assert sequences(again) == [3]


def test_a_start_after_a_kill_skips_sequences_that_a_lost_log_could_hide(open_spool: OpenSpool, tmp_path: Path) -> None:
    spool = open_spool()
    for _ in range(20):
        append(spool)
    for kill in (1, 2):
        copy = {path: path.read_bytes() for path in spool._directory.glob("spool-*")}
        crash(spool)
        for path, content in copy.items():
            path.write_bytes(content)
        next(spool._directory.glob("*-wal")).unlink()  # the power failed, the disk had lied about the log
        spool = open_spool()
        append(spool)
        assert sequences(spool)[-1] == kill * SEQUENCES_SKIPPED + 1


def test_resuming_drops_what_the_backend_has(open_spool: OpenSpool, counters: Counters) -> None:
    spool = open_spool()
    for _ in range(5):
        append(spool)
    spool.resume(3)
    assert counters.spool_frames == 2
    append(spool)
    assert sequences(spool) == [4, 5, 6]


def test_a_spool_that_was_set_back_uses_no_sequence_the_backend_knows(
    open_spool: OpenSpool, counters: Counters, caplog: pytest.LogCaptureFixture
) -> None:
    spool = open_spool()
    append(spool)
    append(spool)
    spool.resume(500)
    assert "set back" in caplog.text
    assert counters.dropped_frames == 2
    append(spool)
    assert sequences(spool) == [501]


def test_frames_of_an_older_agent_keep_their_layout(open_spool: OpenSpool) -> None:
    old = open_spool(layout={"host": ["load_1m", "cpu_percent"]})
    append(old)
    old.close()
    spool = open_spool(layout=LAYOUT)
    append(spool)
    first, second = stored(spool)
    assert spool.layouts[first.layout] == {"host": ["load_1m", "cpu_percent"]}
    assert spool.layouts[second.layout] == LAYOUT
    spool.mark_sent(second.sequence)
    spool.acknowledge(second.sequence)
    spool.close()
    assert list(open_spool(layout=LAYOUT).layouts.values()) == [LAYOUT], "an unused layout is forgotten"


def test_a_full_spool_drops_the_oldest_counts_them_and_tells_of_each_gap_once(
    open_spool: OpenSpool, counters: Counters, caplog: pytest.LogCaptureFixture
) -> None:
    spool = open_spool(max_bytes=10_000)
    for _ in range(30):
        append(spool, size=900)
    kept = sequences(spool)
    assert kept == list(range(31 - len(kept), 31))
    assert counters.dropped_frames == 30 - len(kept) > 0
    assert counters.spool_bytes <= 10_000
    spool.mark_sent(30)
    spool.acknowledge(30)
    append(spool)
    for _ in range(12):
        append(spool, size=900)
    assert [record.message.split(":")[0] for record in caplog.records] == [
        "the spool is full",
        "gap",
        "the spool is full",
    ]
    assert f"gap: {30 - len(kept)} frames collected from 2023-11-14" in caplog.text


def test_a_frame_dropped_while_in_flight_is_no_loss_if_the_backend_has_it(
    open_spool: OpenSpool, counters: Counters
) -> None:
    spool = open_spool(max_bytes=5_000)
    append(spool, size=900)
    append(spool, size=900)
    spool.mark_sent(2)
    for _ in range(10):
        append(spool, size=900)
    dropped = counters.dropped_frames
    assert dropped >= 3
    spool.resume(1)
    assert counters.dropped_frames == dropped - 1


@hypothesis_settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("append"), st.integers(0, 3000)),
            st.tuples(st.just("send"), st.integers(1, 5)),
            st.tuples(st.just("acknowledge"), st.integers(1, 5)),
            st.tuples(st.just("reopen"), st.just(0)),
        ),
        max_size=40,
    )
)
def test_every_frame_is_delivered_spooled_or_counted_as_dropped(steps: list[tuple[str, int]]) -> None:
    """A model of a perfect connection: what is sent arrives; acknowledgements come when they like."""
    with tempfile.TemporaryDirectory() as directory:
        counters = Counters()
        spool = Spool(Path(directory), 8_000, LAYOUT, counters)
        appended, arrived, sent, dropped_before = 0, set(), 0, 0
        for step, number in steps:
            if step == "append":
                append(spool, size=number)
                appended += 1
            elif step == "send":
                for frame in spool.read(sent, number, 1 << 20):
                    spool.mark_sent(frame.sequence)
                    arrived.add(frame.sequence)
                    sent = frame.sequence
            elif step == "acknowledge":
                spool.acknowledge(min(sent, (min(arrived) if arrived else 0) + number))
            else:
                spool.resume(sent)
                spool.close()
                dropped_before += counters.dropped_frames
                counters = Counters()
                spool = Spool(Path(directory), 8_000, LAYOUT, counters)
            assert counters.spool_bytes <= 8_000
        spool.resume(sent)
        waiting = {frame.sequence for frame in spool.read(sent, *ALL)}
        dropped = dropped_before + counters.dropped_frames
        assert counters.spool_frames == len(waiting)
        assert len(arrived) + len(waiting) + dropped == appended
        assert not arrived & waiting
        spool.close()


def test_a_long_backlog_leaves_a_small_file(open_spool: OpenSpool) -> None:
    spool = open_spool(max_bytes=100_000_000)
    for _ in range(700):
        append(spool, size=30_000)
    file = next(spool._directory.glob("spool-*.sqlite3"))
    assert file.stat().st_size > 15_000_000
    spool.mark_sent(700)
    spool.acknowledge(699)
    spool.settle()
    append(spool)
    assert sequences(spool) == [700, 701]
    spool.close()
    assert file.stat().st_size < 1_000_000


def test_a_second_agent_on_the_same_spool_is_refused_until_the_first_is_gone(open_spool: OpenSpool) -> None:
    spool = open_spool()
    with pytest.raises(SpoolError, match="another agent uses the spool"):
        open_spool()
    spool.close()
    open_spool()


def test_a_directory_that_cannot_be_made_is_one_clear_line(open_spool: OpenSpool, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SpoolError, match=r"cannot be written .*set CHATOPS_SPOOL_DIR"):
        open_spool(directory=tmp_path / "file" / "spool")


def test_a_full_disk_costs_counted_collections_and_nothing_else(
    open_spool: OpenSpool, counters: Counters, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    spool = open_spool()
    append(spool)
    pages = spool._connection.execute("PRAGMA page_count").fetchone()[0]
    spool._connection.execute(f"PRAGMA max_page_count={pages}")
    assert [spool.append({"host": [["x" * 50_000]]}, 1.0) for _ in range(3)] == [0, 0, 0]
    assert counters.dropped_frames == 3
    assert counters.spool_frames == 1
    spool._connection.execute("PRAGMA max_page_count=1000000")
    append(spool)
    assert sequences(spool) == [1, 2], "a collection that was not stored uses no sequence"
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


WRITER = """
import sys
from pathlib import Path
from chatops_agent.counters import Counters
from chatops_agent.spool import Spool

spool = Spool(Path(sys.argv[1]), 100_000_000, {"host": ["cpu_percent"]}, Counters())
while True:
    spool.append({"host": [[float(spool._next), "x" * 2000]]}, 0.0)
    print(spool._next - 1, flush=True)
"""


def test_what_was_said_to_be_spooled_is_there_after_every_kill_and_no_sequence_comes_twice(
    open_spool: OpenSpool, tmp_path: Path
) -> None:
    said: list[int] = []
    for lines in (1, 30, 7, 60, 3):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path / "spool")], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        said += [int(writer.stdout.readline()) for _ in range(lines)]
        writer.send_signal(signal.SIGKILL)
        said += [int(line) for line in writer.stdout.read().split("\n") if line]
        writer.wait()
        writer.stdout.close()
    assert len(said) == len(set(said))
    assert said == sorted(said)
    spool = open_spool(max_bytes=100_000_000)
    frames = stored(spool)
    assert set(said) <= {frame.sequence for frame in frames}
    assert len(frames) <= len(said) + 5, "at most one frame of each life was stored and not yet said"
    assert all(frame.rows["host"][0][0] == frame.sequence for frame in frames)


def test_the_file_is_synchronised_in_full(open_spool: OpenSpool) -> None:
    connection: sqlite3.Connection = open_spool()._connection
    assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2
    assert connection.execute("PRAGMA journal_mode").fetchone()[0] == b"wal"
