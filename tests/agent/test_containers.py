"""What the agent makes of the engine's words, and what of an order ever reaches the engine."""

import asyncio
import gc
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from chatops_agent.containers.details import details_of, moment
from chatops_agent.containers.engine import Engine, EngineError
from chatops_agent.containers.events import LOOP_DEATHS, EventTeller
from chatops_agent.containers.log_frames import LogReader
from chatops_agent.containers.sampling import ContainerCollector, Sample, Sampler
from chatops_agent.containers.statistics import readings_of
from chatops_agent.containers.watcher import EventWatcher
from chatops_agent.counters import Counters
from chatops_agent.rates import Rates
from chatops_protocol.catalog import CONTAINER
from chatops_protocol.container_messages import ControlContainer, ListContainers
from chatops_protocol.control_messages import Answered, AnswerFailed, Ask, CarryOut, Order, encode_order, signed_bytes
from tests.agent.orders_backend import SERVER_ID, agent_and_backend
from tests.engine import TestEngine, running_daemon

pytestmark = pytest.mark.anyio

ID = "d2d5c95394e61e3c8b7b95d27aa7d27f217b955ec0787ae02bb5e0e63589e836"


@pytest.fixture
def ours(engine: TestEngine) -> Iterator[Engine]:
    """The engine as the agent uses it."""
    opened = Engine(str(engine.socket))
    yield opened
    opened.close()


@pytest.fixture
def key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


def statistics(cpu: int, *, received: int = 0, written: int = 0, cache_name: str = "inactive_file") -> dict:
    return {
        "cpu_stats": {"cpu_usage": {"total_usage": cpu}},
        "memory_stats": {"usage": 1000, "limit": 4000, "stats": {cache_name: 200}},
        "pids_stats": {"current": 3},
        "networks": {"eth0": {"rx_bytes": received, "tx_bytes": 5}, "eth1": {"rx_bytes": 1, "tx_bytes": 5}},
        "blkio_stats": {
            "io_service_bytes_recursive": [
                {"op": "Read", "value": 10},
                {"op": "write", "value": written},
                {"op": "Total", "value": 999},
            ]
        },
    }


@pytest.mark.parametrize("cache_name", ["inactive_file", "total_inactive_file"])
def test_counters_become_rates_and_the_page_cache_is_not_counted(cache_name) -> None:
    rates = Rates()
    first = readings_of(statistics(0, cache_name=cache_name), rates, 100.0)
    assert first["cpu_percent"] is None, "one reading is no rate"
    later = statistics(1_000_000_000, received=400, written=800, cache_name=cache_name)
    assert readings_of(later, rates, 104.0) == {
        "cpu_percent": 25.0,
        "memory_used_bytes": 800,
        "memory_limit_bytes": 4000,
        "memory_used_percent": 20.0,
        "network_receive_bytes_per_second": 100.0,
        "network_transmit_bytes_per_second": 0.0,
        "disk_read_bytes_per_second": 0.0,
        "disk_write_bytes_per_second": 200.0,
        "process_count": 3,
    }


def test_what_the_engine_does_not_say_is_not_zero() -> None:
    stopped = {"memory_stats": {}, "pids_stats": {}, "blkio_stats": {"io_service_bytes_recursive": None}}
    rates = Rates()
    readings_of(stopped, rates, 1.0)
    assert set(readings_of(stopped, rates, 2.0).values()) == {None}


def test_a_slow_engine_delays_a_collection_once_and_its_readings_come_with_the_next() -> None:
    class Slow(Sampler):
        takes_s = 0.5

        def read(self) -> list[Sample]:
            time.sleep(self.takes_s)
            return [Sample(ID, "web", "web:1", {"cpu_percent": 5.0})]

    sampler = Slow(Engine("/nowhere"), Counters())
    collector = ContainerCollector(sampler, wait_s=0.1)
    began = time.monotonic()
    assert collector.collect(0) == []
    assert collector.collect(0) == [], "it still reads, and nobody waits for it again"
    assert time.monotonic() - began < sampler.takes_s
    rows: list = []
    while not rows:
        rows = collector.collect(0)
        assert time.monotonic() - began < 20
        time.sleep(0.02)
    assert rows[0][:4] == [ID[:12], "web", "web:1", 5.0]
    sampler.takes_s = 0.0


def event(action: str, second: float, **attributes: str) -> dict:
    attributes = {"name": "web", "image": "web:1", **attributes}
    return {"Action": action, "timeNano": int(second * 1e9), "Actor": {"ID": ID, "Attributes": attributes}}


def told(teller: EventTeller, *events: dict) -> list[tuple[str, str]]:
    return [(level, text) for one in events for _, _, level, text in teller.tell(one)]


def test_what_happens_to_containers_is_told_in_words() -> None:
    who = f"container web ({ID[:12]}, web:1)"
    lines = told(
        EventTeller(),
        event("start", 1),
        event("health_status: unhealthy", 2),
        event("oom", 3),
        event("die", 3, exitCode="137"),
        event("start", 4),
        event("kill", 5, signal="15"),
        event("die", 6, exitCode="143"),
        event("exec_create: sh", 7),
    )
    assert lines == [
        ("info", f"{who} started"),
        ("error", f"{who} is unhealthy"),
        ("critical", f"{who} ran out of memory"),
        ("error", f"{who} died with exit code 137"),
        ("info", f"{who} started"),
        ("info", f"{who} was ended, exit code 143"),
    ]


def test_a_restart_loop_is_told_once_and_again_while_it_lasts() -> None:
    teller = EventTeller()
    deaths = [event("die", second, exitCode="1") for second in range(0, 630, 10)]
    loops = [text for level, text in told(teller, *deaths) if level == "critical"]
    assert len(loops) == 3, "at 20 s, at 320 s and at 620 s"
    assert f"it died {LOOP_DEATHS} times" in loops[0]


def test_containers_that_somebody_ends_or_that_die_rarely_are_in_no_loop() -> None:
    by_hand = [one for second in range(0, 100, 10) for one in (event("kill", second), event("die", second))]
    rarely = [event("die", second, exitCode="1") for second in range(0, 5000, 200)]
    assert not [text for _, text in told(EventTeller(), *by_hand) if "loop" in text]
    assert not [text for _, text in told(EventTeller(), *rarely) if "loop" in text]


def frame(stream: int, text: str) -> bytes:
    data = text.encode()
    return bytes([stream, 0, 0, 0]) + len(data).to_bytes(4, "big") + data


@pytest.mark.parametrize("at_a_time", [1, 7, 10_000])
def test_frames_are_taken_apart_wherever_they_are_cut(at_a_time) -> None:
    at = "2026-11-24T11:21:11.187633668Z"
    data = frame(1, f"{at} to be\n") + frame(2, f"{at} or \0 not\n") + frame(1, f"{at} \n") + frame(1, "no time")
    reader = LogReader(has_terminal=False)
    lines = [line for i in range(0, len(data), at_a_time) for line in reader.feed(data[i : i + at_a_time])]
    time_of = datetime(2026, 11, 24, 11, 21, 11, 187633, UTC)
    assert [(line.time, line.stream, line.text) for line in lines] == [
        (time_of, "stdout", "to be"),
        (time_of, "stderr", "or \ufffd not"),
        (time_of, "stdout", ""),
        (None, "stdout", "no time"),
    ]


def test_with_a_terminal_there_are_no_frames() -> None:
    reader = LogReader(has_terminal=True)
    lines = [*reader.feed(b"2026-11-24T11:21:11Z hel"), *reader.feed(b"lo\r\n2026-11-24T11:21:12Z end"), *reader.end()]
    assert [(line.stream, line.text) for line in lines] == [(None, "hello"), (None, "end")]


def test_what_is_no_frame_ends_the_reading_and_fills_no_memory() -> None:
    with pytest.raises(ValueError, match="no log"):
        list(LogReader(has_terminal=False).feed(b"\x01\0\0\0\xff\xff\xff\xff"))


def test_secrets_in_environment_and_command_stay_on_the_host() -> None:
    canary = "canary-7f3a"
    inspected = {
        "Id": ID,
        "Name": "/web",
        "Path": "server",
        "Args": ["--password", canary, f"--token={canary}", "--port=1"],
        "Config": {
            "Env": [f"DATABASE_URL={canary}", f"PLAIN={canary}=x", "EMPTY=", "ALONE"],
            "Labels": {"team": "blue"},
            "Healthcheck": {"Test": ["CMD", "probe", "--token", canary]},
        },
        "HostConfig": {"LogConfig": {"Type": "splunk", "Config": {"splunk-token": canary}}},
        "Mounts": [{"Type": "bind", "Source": "/a", "Destination": "/b", "RW": False, "Driver": canary}],
    }
    details = details_of(inspected)
    assert canary not in repr(details)
    assert details.environment == dict.fromkeys(("DATABASE_URL", "PLAIN", "EMPTY", "ALONE"), "***")
    assert details.labels == {"team": "blue"}
    assert "--port=1" in details.command


def test_the_engines_year_one_means_never() -> None:
    assert moment("0001-01-01T00:00:00Z") is None
    assert moment("2026-11-24T11:12:21.623351907Z") == datetime(2026, 11, 24, 11, 12, 21, 623351, UTC)


def test_an_agent_that_may_not_use_docker_does_not_load_its_sdk() -> None:
    check = "import sys, chatops_agent.runner; print({'docker', 'requests', 'urllib3'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", check], text=True).strip() == "set()"


def test_without_the_sdk_the_answer_says_what_to_install(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "docker", None)
    with pytest.raises(EngineError, match="install the package `docker`"):
        Engine("/nowhere").list(stopped=True)


def test_an_engine_that_is_not_there_is_said_plainly(tmp_path) -> None:
    with pytest.raises(EngineError, match=r"there is no Docker Engine on this host at .*nothing"):
        Engine(str(tmp_path / "nothing")).list(stopped=True)
    (tmp_path / "file").touch()
    with pytest.raises(EngineError, match="does not listen"):
        Engine(str(tmp_path / "file")).list(stopped=True)


def test_an_engine_that_says_nothing_is_given_up(tmp_path) -> None:
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(tmp_path / "deaf"))
        deaf.listen()
        with pytest.raises(EngineError, match=r"does not answer|did not answer"):
            Engine(str(tmp_path / "deaf"), 0.2).list(stopped=True)


# -- with a real engine ----------------------------------------------------------------------------------------------


async def test_an_order_that_comes_again_is_carried_out_once(tmp_path, key, engine: TestEngine) -> None:
    identifier = engine.run("once", "exec sleep 1000")
    settings = {"docker_policy": "control", "docker_socket": str(engine.socket), "command_policy": "off"}
    async with agent_and_backend(tmp_path, key, **settings) as backend:
        order = backend.order(ControlContainer("once", "restart", 0))
        for _ in range(20):
            await backend.desk.received(backend.signed(order))
        end = await backend.end_of(order.nonce)
        assert (end.state, end.detail) == ("ok", f"once ({identifier[:12]}) was restarted")
        again = await backend.run(ControlContainer(identifier[:12], "kill"))
        assert again.state == "ok"
    now = int(time.time()) + 1
    happened = engine.client.events(
        since=now - 600, until=now, filters={"container": identifier, "event": "restart"}, decode=True
    )
    assert len(list(happened)) == 1


@pytest.mark.parametrize("policy", ["off", "read"])
async def test_a_host_that_does_not_allow_it_sends_no_act_to_the_engine(tmp_path, key, engine, policy) -> None:
    identifier = engine.run(f"kept-{policy}", "exec sleep 1000")
    # Whoever may run every command may not for that reason control containers.
    settings = {"docker_policy": policy, "docker_socket": str(engine.socket), "command_policy": "shell"}
    async with agent_and_backend(tmp_path, key, **settings) as backend:
        for verb in ("start", "stop", "restart", "pause", "unpause", "kill"):
            end = await backend.run(ControlContainer(identifier, verb, 0))
            assert (end.state, end.detail.partition(":")[0]) == ("failed", "refused")
            assert f"CHATOPS_ALLOW_DOCKER of its agent is {policy}" in end.detail
        assert engine.state(identifier) == "running"


@pytest.mark.parametrize("verb", ["remove", "exec", "", "STOP", "kill?signal=1", "../../images/prune"])
async def test_only_the_listed_verbs_are_understood(tmp_path, key, engine, verb) -> None:
    identifier = engine.run(f"verbs-{abs(hash(verb))}", "exec sleep 1000")
    settings = {"docker_policy": "control", "docker_socket": str(engine.socket)}
    async with agent_and_backend(tmp_path, key, **settings) as backend:
        order: Order = backend.order(ControlContainer(identifier, "stop"))
        envelope = encode_order(order).replace(b'"stop"', b'"%s"' % verb.encode())
        # Signed, as a backend that was taken over could.
        await backend.desk.received(CarryOut(order.id, order.nonce, envelope, key.sign(signed_bytes(envelope))))
        end = await backend.end_of(order.nonce)
        assert end.state == "failed"
        assert "does not know such orders" in end.detail
        assert order.server_id == SERVER_ID
    assert engine.state(identifier) == "running"


@pytest.mark.parametrize(("policy", "answers"), [("off", False), ("read", True)])
async def test_containers_are_shown_where_the_host_allows_it(tmp_path, key, engine, policy, answers) -> None:
    engine.run(f"shown-{policy}", "exec sleep 1000")
    settings = {"docker_policy": policy, "docker_socket": str(engine.socket)}
    async with agent_and_backend(tmp_path, key, **settings) as backend:
        await backend.desk.received(Ask(1, 10.0, ListContainers()))
        (answer,) = await backend.until(
            lambda: [one for one in backend.heard if isinstance(one, Answered | AnswerFailed)]
        )
        assert isinstance(answer, Answered) == answers
        if isinstance(answer, AnswerFailed):
            assert (answer.reason, "CHATOPS_ALLOW_DOCKER" in answer.detail) == ("refused", True)


async def test_events_go_on_where_they_were_left_and_none_is_told_twice(engine: TestEngine, ours: Engine) -> None:
    stored: list[tuple[str, bytes]] = []
    full = True

    def spool(rows: list, position: dict[str, bytes]) -> bool:
        if full:
            return False
        stored.extend((row[3], position["docker:events"]) for row in rows)
        return True

    def texts() -> list[str]:
        return [text for text, _ in stored if "container told " in text]

    watcher = EventWatcher(ours, None, spool, Counters())
    watcher.start()
    identifier = engine.create("told", "exit 3")
    engine.client.start(identifier)
    await asyncio.to_thread(engine.until, lambda: engine.state(identifier) == "exited")
    full = False
    await asyncio.to_thread(engine.until, lambda: len(texts()) == 2)
    assert "started" in texts()[0]
    assert "died with exit code 3" in texts()[1]
    watcher.close()
    engine.client.start(identifier)
    await asyncio.to_thread(engine.until, lambda: engine.state(identifier) == "exited")
    later = EventWatcher(ours, stored[-1][1], spool, Counters())
    later.start()
    await asyncio.to_thread(engine.until, lambda: len(texts()) == 4)
    later.close()
    assert ["started" in text for text in texts()] == [True, False, True, False]


def test_readings_of_a_busy_container_are_its_own(engine: TestEngine, ours: Engine) -> None:
    engine.run("busy", "while true; do true; done")
    engine.run("idle", "exec sleep 1000")
    collector = ContainerCollector(Sampler(ours, Counters()), wait_s=20.0)
    collector.collect(0)
    began = time.monotonic()
    while time.monotonic() - began < 1.0:
        time.sleep(0.1)
    rows = {row[1]: dict(zip(CONTAINER.columns, row, strict=True)) for row in collector.collect(0)}
    assert rows["busy"]["cpu_percent"] > 5 > rows["idle"]["cpu_percent"]
    assert rows["busy"]["image"] == "chatops-test:1"
    assert rows["idle"]["process_count"] == 1
    assert 0 < rows["idle"]["memory_used_bytes"] < rows["idle"]["memory_limit_bytes"]
    assert rows["idle"]["restart_count"] == 0
    engine.remove("busy")


def test_containers_are_asked_at_once_since_an_engine_may_take_a_second_for_each(engine: TestEngine, ours) -> None:
    names = [f"many-{number}" for number in range(16)]
    for name in names:
        engine.run(name, "exec sleep 1000")
    sampler = Sampler(ours, Counters())
    sampler.read()
    began = time.monotonic()
    assert {sample.name for sample in sampler.read()} >= set(names)
    took_s = time.monotonic() - began
    for name in names:
        engine.remove(name)
    assert took_s < len(names) / 2


def test_a_container_is_only_found_by_what_names_it_in_full(engine: TestEngine, ours: Engine) -> None:
    identifier = engine.create("named-in-full", "true")
    assert ours.find("named-in-full").id == ours.find(identifier).id == ours.find(identifier[:12]).id == identifier
    for short in (identifier[:1], identifier[:11], "named", "named-in-ful", "/named-in-full"):
        with pytest.raises(EngineError):
            ours.find(short)


def test_an_engine_that_was_away_is_used_again(engine: TestEngine, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("again")
    ours = Engine(str(folder / "socket"))
    with running_daemon(folder):
        assert ours.list(stopped=True) == []
    with warnings.catch_warnings():
        # The SDK leaves the one socket open that it could not connect.
        warnings.simplefilter("ignore", ResourceWarning)
        for _ in range(2):
            with pytest.raises(EngineError, match="there is no Docker Engine"):
                ours.list(stopped=True)
        gc.collect()
    folder.mkdir()
    with running_daemon(folder):
        assert ours.list(stopped=True) == []
    ours.close()
