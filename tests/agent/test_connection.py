"""Real agent processes against a peer: delivery, resuming, refusals, and a clean stop."""

import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chatops_agent.connection import Connection, DirectConnect
from chatops_agent.containers.control import Containers
from chatops_agent.control.desk import Desk
from chatops_agent.counters import Counters
from chatops_agent.sender import WINDOW_FRAMES
from chatops_agent.settings import Settings
from chatops_agent.spool import Spool
from chatops_agent.worker import Worker
from chatops_protocol import agent_messages as messages
from chatops_protocol.catalog import BY_NAME

StartAgent = Callable[..., Any]


def fill(open_spool: Callable[..., Spool], frames: int, size: int = 0) -> str:
    """Leave a backlog of frames 1 … `frames` in the spool of this test; return the stream."""
    spool = open_spool()
    for number in range(1, frames + 1):
        spool.append({"host": [[float(number), "x" * size]]}, float(number))
    spool.close()
    return spool.stream


def test_collections_arrive_in_the_catalogues_columns(peer: Any, start_agent: StartAgent) -> None:
    agent = start_agent(peer.url)
    peer.wait_until(lambda: len(peer.frames) >= 3)
    assert agent.stop() == 0
    hello = peer.hellos[0]
    assert hello.platform.endswith(os.uname().machine)
    assert hello.agent_version
    assert hello.interval_s == 1.0
    for frame in peer.frames:
        layout = hello.layouts[frame.layout]
        assert all(tuple(layout[name]) == BY_NAME[name].columns for name in frame.rows)
        assert all(len(row) == len(layout[name]) for name, rows in frame.rows.items() for row in rows)
        assert abs(frame.time - time.time()) < 30
    assert peer.sequences == [1, 2, 3][: len(peer.sequences)] or peer.sequences == list(range(1, len(peer.frames) + 1))
    gaps = [b.time - a.time for a, b in zip(peer.frames, peer.frames[1:], strict=False)]
    assert all(0.5 < gap < 1.5 for gap in gaps)
    assert peer.close_codes == [1001], "going away, not an error"


def test_a_backlog_is_sent_in_order_and_once_before_what_is_new(
    peer: Any, start_agent: StartAgent, open_spool: Callable[..., Spool]
) -> None:
    fill(open_spool, 300)
    agent = start_agent(peer.url)
    peer.wait_until(lambda: len(peer.frames) >= 302)
    agent.stop()
    assert peer.sequences == list(range(1, len(peer.frames) + 1))
    assert [frame.rows["host"][0][0] for frame in peer.frames[:300]] == [float(n) for n in range(1, 301)]
    assert len(peer.hellos[0].layouts) == 2, "the backlog's layout and this version's"


def test_no_more_frames_are_in_flight_than_the_window_holds(
    peer: Any, start_agent: StartAgent, open_spool: Callable[..., Spool]
) -> None:
    fill(open_spool, 300)
    peer.acknowledging = False
    start_agent(peer.url)
    peer.wait_until(lambda: len(peer.frames) >= WINDOW_FRAMES)
    time.sleep(1.2)  # one more collection, which must not be sent either
    assert len(peer.frames) == WINDOW_FRAMES


def test_sending_resumes_after_what_the_backend_has(
    peer: Any, start_agent: StartAgent, open_spool: Callable[..., Spool]
) -> None:
    stream = fill(open_spool, 50)
    peer.marks[stream] = 30
    start_agent(peer.url)
    peer.wait_until(lambda: len(peer.frames) >= 21)
    assert peer.sequences[:21] == list(range(31, 52))


def test_a_lost_connection_loses_nothing_and_repeats_nothing(peer: Any, start_agent: StartAgent) -> None:
    agent = start_agent(peer.url)
    for frames in (2, 4):
        peer.wait_until(lambda frames=frames: len(peer.frames) >= frames, 40)
        peer.drop_connections()
    peer.wait_until(lambda: len(peer.frames) >= 6, 40)
    agent.stop()
    assert peer.sequences == list(range(1, len(peer.frames) + 1))
    assert "the backend closed the connection" in agent.log


def test_an_agent_that_was_killed_delivers_what_it_had_spooled(peer: Any, start_agent: StartAgent) -> None:
    """Five kills: everything that arrived carries its own sequence, each stream is one, and no frame comes twice."""
    peer.acknowledging = False
    for life in range(1, 6):
        agent = start_agent(peer.url)
        peer.wait_until(lambda life=life: len(peer.hellos) >= life and len(peer.frames) >= life)
        agent.kill()
    assert len({hello.stream for hello in peer.hellos}) == 1
    assert peer.sequences == sorted(set(peer.sequences))
    agent = start_agent(peer.url)
    peer.acknowledging = True
    peer.wait_until(lambda: len(peer.hellos) >= 6 and len(peer.frames) >= 7)
    agent.stop()
    times = [frame.time for frame in peer.frames]
    assert times == sorted(set(times)), "in the order of collection"


def test_collecting_goes_on_without_a_backend_and_all_is_delivered_later(
    new_peer: Any, start_agent: StartAgent, free_port: int
) -> None:
    agent = start_agent(f"http://localhost:{free_port}")
    agent.wait_for_log("no connection to ws://localhost")
    spool = agent.log_path.with_name("spool")
    deadline = time.monotonic() + 10
    while not list(spool.glob("*-wal")) or next(spool.glob("*-wal")).stat().st_size < 12_000:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert agent.stop() == 0
    with new_peer() as peer:
        start_agent(peer.url)
        peer.wait_until(lambda: len(peer.frames) >= 4)
        assert peer.sequences[:4] == [1, 2, 3, 4], "stopped in peace: no sequence is skipped"


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (messages.CLOSE_UNAUTHENTICATED, "refuses the API key (said the peer)"),
        (messages.CLOSE_REPLACED, "another agent connected with the same API key"),
    ],
)
def test_an_agent_that_is_refused_says_why_and_does_not_hammer(
    code: int, says: str, peer: Any, start_agent: StartAgent
) -> None:
    peer.refuse_with = code
    agent = start_agent(peer.url)
    agent.wait_for_log(says)
    time.sleep(2.5)  # an ordinary failure would have been tried again by now, twice on average
    assert len(peer.hellos) == 1
    assert agent.stop() == 0


def test_refused_rows_are_logged_once_per_reason_in_one_line(peer: Any, start_agent: StartAgent) -> None:
    refused = messages.RowsRefused(1, "host", "not_finite", 2, "a\nforged line \x1b[31m")
    peer.answers = [refused, refused, messages.RowsRefused(1, "cpu", "too_old", 1)]
    agent = start_agent(peer.url)
    agent.wait_for_log("rows of cpu: too_old")
    assert agent.log.count("refuses rows of host") == 1
    assert "a\\nforged line \\x1b[31m" in agent.log


def test_a_backend_that_talks_nonsense_is_left_and_tried_again(peer: Any, start_agent: StartAgent) -> None:
    peer.answers = [messages.Welcome(7, 0, {}, 0.0)]
    agent = start_agent(peer.url)
    agent.wait_for_log("the backend sent a second welcome; trying again")
    peer.wait_until(lambda: len(peer.hellos) >= 2)
    assert peer.close_codes[0] == messages.CLOSE_PROTOCOL_ERROR


def test_a_stopped_agent_skips_what_it_missed(peer: Any, start_agent: StartAgent) -> None:
    agent = start_agent(peer.url)
    peer.wait_until(lambda: len(peer.frames) >= 2)
    agent.process.send_signal(signal.SIGSTOP)
    time.sleep(2.2)
    frames = len(peer.frames)
    agent.process.send_signal(signal.SIGCONT)
    peer.wait_until(lambda: len(peer.frames) >= frames + 2)
    times = [frame.time for frame in peer.frames[frames : frames + 2]]
    assert times[1] - times[0] > 0.2, "not bunched"


def test_both_signals_stop_the_agent_cleanly_while_the_backend_hangs(start_agent: StartAgent) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for number in (signal.SIGINT, signal.SIGTERM):
            agent = start_agent(f"http://127.0.0.1:{silent.getsockname()[1]}")
            agent.wait_for_log("collecting every")
            connection, _ = silent.accept()
            started = time.monotonic()
            agent.process.send_signal(number)
            assert agent.process.wait(10) == 0
            assert time.monotonic() - started < 10
            connection.close()


def test_a_second_agent_on_one_spool_is_told_so(peer: Any, start_agent: StartAgent) -> None:
    start_agent(peer.url)
    peer.wait_until(lambda: len(peer.hellos) >= 1)
    second = start_agent(peer.url)
    assert second.process.wait(10) == 1
    assert "another agent uses the spool" in second.log


def test_a_spool_that_breaks_in_use_is_announced_anew(
    peer: Any, start_agent: StartAgent, open_spool: Callable[..., Spool], tmp_path: Path
) -> None:
    fill(open_spool, 400, size=2000)  # more than the agent's cache holds
    peer.acknowledging = False
    agent = start_agent(peer.url)
    peer.wait_until(lambda: len(peer.frames) >= WINDOW_FRAMES)
    file = next((tmp_path / "spool").glob("spool-*.sqlite3"))
    with file.open("r+b") as content:
        content.seek(8 * 4096)
        content.write(b"\xff" * (file.stat().st_size - 8 * 4096))
    peer.acknowledging = True
    peer.drop_connections()
    agent.wait_for_log("the spool was damaged", 20)
    peer.wait_until(lambda: len(peer.hellos) >= 3 and peer.frames[-1].sequence > 1_000_000, 30)
    assert agent.log.count("the spool was damaged") == 1
    assert peer.sequences == sorted(set(peer.sequences))


def test_a_proxy_in_the_environment_is_not_used_for_this_host(
    peer: Any, start_agent: StartAgent, free_port: int
) -> None:
    proxy = f"http://127.0.0.1:{free_port}"
    start_agent(peer.url, http_proxy=proxy, https_proxy=proxy, all_proxy=proxy, no_proxy="")
    peer.wait_until(lambda: len(peer.frames) >= 1)


def test_redirects_are_answers_like_any_other() -> None:
    connect = DirectConnect("ws://localhost:1/")
    error = ValueError("301")
    assert connect.process_redirect(error) is error


def test_a_reason_is_said_again_only_now_and_then(
    open_spool: Callable[..., Spool], counters: Counters, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    settings = Settings("ws://localhost:1/", "key", tmp_path)

    def hello() -> messages.Authenticate:
        raise AssertionError("not connected")

    worker = Worker()
    desk = Desk(settings, worker, Containers("off", None, None), is_root=False)
    connection = Connection(settings, open_spool(), counters, worker, lambda low, high: low, hello, None, desk)
    for reason in ("broken", "broken", "refused", "broken"):
        connection._say(reason)
    said = [record.message.removesuffix("; trying again") for record in caplog.records]
    assert said == ["broken", "refused", "broken"]
