"""Containers of a real engine through the API: who sees what, what is done, and what is kept of it."""

import asyncio
import json
import time
from datetime import datetime
from typing import Any

import pytest
import websockets

from chatops_protocol.live_messages import CLOSE_NO_ANSWER, CLOSE_NOT_FOUND
from tests.engine import TestEngine
from tests.hosts import Host

pytestmark = pytest.mark.anyio

WITHIN_S = 30.0


def of(host: Host, rest: str = "") -> str:
    return f"/docker/{host.server_id}/containers{rest}"


def listed(host: Host, name: str) -> dict[str, Any]:
    answer = host.backend.call("GET", of(host))
    assert answer.status_code == 200, answer.text
    (found,) = [one for one in answer.json()["containers"] if one["name"] == name]
    return found


async def test_the_list_shows_each_container_with_its_state_and_readings(host, engine: TestEngine) -> None:
    labels = {"com.docker.compose.project": "shop"}
    check = {"test": ["CMD", "true"], "interval": 1_000_000_000}
    running = engine.run("listed-running", "while true; do true; done", labels=labels, healthcheck=check)
    engine.run("listed-ended", "exit 3")
    host.until(lambda: (listed(host, "listed-running")["cpu_percent"] or 0) > 1, WITHIN_S)
    host.until(lambda: listed(host, "listed-running")["health"] == "healthy", WITHIN_S)
    host.until(lambda: listed(host, "listed-ended")["state"] == "exited", WITHIN_S)
    one = listed(host, "listed-running")
    assert (one["id"], one["image"], one["state"]) == (running, "chatops-test:1", "running")
    assert (one["restart_count"], one["exit_code"], one["compose_project"]) == (0, None, "shop")
    assert 0 < one["memory_used_bytes"] < one["memory_limit_bytes"]
    assert one["started_at"] > one["created_at"]
    ended = listed(host, "listed-ended")
    assert (ended["exit_code"], ended["cpu_percent"], ended["memory_used_bytes"]) == (3, None, None)
    whole = host.backend.call("GET", of(host)).json()
    assert (whole["policy"], whole["server_id"]) == ("control", host.server_id)
    assert whole["total"] == len(whole["containers"])
    latest = host.backend.call("GET", f"/metrics/{host.server_id}/latest").json()["container"]
    assert [row["image"] for row in latest if row["name"] == "listed-running"] == ["chatops-test:1"]
    engine.remove("listed-running")


async def test_details_keep_labels_and_hide_the_environment(host, engine: TestEngine) -> None:
    engine.create("detailed", "true", environment={"API_TOKEN": "canary-5b1"}, labels={"team": "blue"})
    answer = host.backend.call("GET", of(host, "/detailed"))
    assert answer.status_code == 200
    assert "canary-5b1" not in answer.text
    details = answer.json()
    assert details["environment"]["API_TOKEN"] == "***"
    assert details["labels"] == {"team": "blue"}
    assert (details["state"], details["network_mode"]) == ("created", "none")


@pytest.mark.parametrize("tty", [False, True])
async def test_logs_are_the_last_lines_with_time_and_stream(host, engine: TestEngine, tty) -> None:
    name = f"talking-{tty}"
    engine.run(name, "for i in 1 2 3; do echo line $i; done; exec sleep 1000", tty=tty)
    engine.run(f"{name}-wrong", "echo oops >&2; exec sleep 1000", tty=tty)

    def lines(of_whom: str, tail: int) -> list[dict[str, Any]]:
        answer = host.backend.call("GET", of(host, f"/{of_whom}/logs"), params={"tail": tail})
        assert answer.status_code == 200, answer.text
        assert answer.json()["skipped"] == 0
        found: list[dict[str, Any]] = answer.json()["lines"]
        return found

    host.until(lambda: len(lines(name, 10)) == 3, WITHIN_S)
    host.until(lambda: len(lines(f"{name}-wrong", 10)) == 1, WITHIN_S)
    assert [line["text"] for line in lines(name, 2)] == ["line 2", "line 3"]
    assert [line["stream"] for line in lines(name, 2)] == [None if tty else "stdout"] * 2
    assert lines(f"{name}-wrong", 1)[0]["stream"] == (None if tty else "stderr")
    assert all(line["time"] for line in lines(name, 3))


async def test_a_log_of_any_size_is_cut_to_its_end_and_says_so(host, engine: TestEngine) -> None:
    identifier = engine.run(
        "loud", "yes 'a line of some length that is written again and again' | head -n 20000; echo end"
    )
    await asyncio.to_thread(engine.until, lambda: engine.state(identifier) == "exited")
    answer = host.backend.call("GET", of(host, "/loud/logs"), params={"tail": 5000}).json()
    assert answer["lines"][-1]["text"] == "end"
    assert 0 < len(answer["lines"]) <= 5000
    assert len(answer["lines"]) + answer["skipped"] == 5000


def socket_to(host: Host, name: str, server_id: int | None = None) -> websockets.connect:
    server = host.server_id if server_id is None else server_id
    url = host.backend.url.replace("http", "ws", 1)
    return websockets.connect(f"{url}/api/v1/ws/docker/{server}/containers/{name}/logs?tail=5")


async def first_message(socket, token: str) -> None:
    await socket.send(json.dumps({"type": "auth", "access_token": token}))


async def read_to_the_end(socket) -> None:
    while True:
        await socket.recv()


async def test_a_log_is_followed_until_its_container_ends(host, engine: TestEngine, new_person) -> None:
    engine.run("followed", "trap 'echo while it is followed' USR1; echo before; while true; do sleep 0.1; done")
    viewer = new_person("viewer")
    texts: list[str] = []
    async with asyncio.timeout(WITHIN_S), socket_to(host, "followed") as socket:
        await first_message(socket, viewer.token)
        while "before" not in texts:
            texts += [line["text"] for line in json.loads(await socket.recv())["lines"]]
        engine.client.kill("followed", "USR1")
        while "while it is followed" not in texts:
            texts += [line["text"] for line in json.loads(await socket.recv())["lines"]]
        engine.client.kill("followed")
        with pytest.raises(websockets.ConnectionClosedOK):
            await read_to_the_end(socket)
    assert texts == ["before", "while it is followed"]


async def test_a_container_that_writes_without_end_disturbs_nothing(host, engine: TestEngine, new_person) -> None:
    engine.run("flooding", f"exec yes {'a line that is written without end ' * 50}")
    viewer = new_person("viewer")

    def taken_at() -> datetime:
        found = host.backend.call("GET", f"/metrics/{host.server_id}/latest").json()["time"]
        return datetime.fromisoformat(found)

    skipped, newest, longest_s = 0, taken_at(), 0.0
    began = time.monotonic()
    async with asyncio.timeout(WITHIN_S), socket_to(host, "flooding") as socket:
        await first_message(socket, viewer.token)
        while not skipped or time.monotonic() - began < 5:
            message = await socket.recv()
            assert len(message) < 1_000_000
            skipped += json.loads(message)["skipped"]
            now = await asyncio.to_thread(taken_at)
            longest_s, newest = max(longest_s, (now - newest).total_seconds()), now
    engine.remove("flooding")
    assert skipped > 0
    # An agent's interval is one second here; the machine may be busy with other things.
    assert longest_s < 4


async def test_who_stops_following_leaves_nothing_running_on_the_host(host, engine: TestEngine, new_person) -> None:
    engine.run("left", "while true; do echo tick; sleep 0.1; done")
    viewer = new_person("viewer")
    # Ten times more than one host lets be read at once.
    for _ in range(80):
        async with asyncio.timeout(WITHIN_S), socket_to(host, "left") as socket:
            await first_message(socket, viewer.token)
            while not json.loads(await socket.recv())["lines"]:
                pass
    assert host.process is not None
    engine.remove("left")


async def test_what_cannot_be_followed_says_why(host, engine, new_host, new_person) -> None:
    viewer = new_person("viewer")
    elsewhere = new_person("viewer", all_servers=False, server_ids=[])
    off = new_host(CHATOPS_ALLOW_DOCKER="off")
    for where, whom, person, code, says in (
        (host, "nobody", viewer, CLOSE_NOT_FOUND, "there is no container nobody"),
        (host, "..", viewer, CLOSE_NOT_FOUND, "no name or id"),
        (host, "a%20b", viewer, CLOSE_NOT_FOUND, "no name or id"),
        (off, "x", viewer, CLOSE_NO_ANSWER, "CHATOPS_ALLOW_DOCKER"),
        (host, "nobody", elsewhere, CLOSE_NOT_FOUND, "no such server"),
    ):
        async with asyncio.timeout(WITHIN_S), socket_to(where, whom) as socket:
            await first_message(socket, person.token)
            with pytest.raises(websockets.ConnectionClosed):
                await read_to_the_end(socket)
            assert (socket.close_code, says in socket.close_reason) == (code, True), socket.close_reason


async def test_operators_act_and_the_audit_log_says_so_before_and_after(host, engine: TestEngine, new_person) -> None:
    identifier = engine.run("acted-on", "exec sleep 1000")
    operator, viewer = new_person("operator"), new_person("viewer")
    for verb, state in (
        ("pause", "paused"),
        ("unpause", "running"),
        ("restart", "running"),
        ("kill", "exited"),
        ("start", "running"),
        ("stop", "exited"),
    ):
        refused = viewer.call("POST", of(host, f"/acted-on/{verb}"))
        assert refused.status_code == 403
        answer = operator.call("POST", of(host, f"/acted-on/{verb}"), params={"timeout_s": 0})
        assert answer.status_code == 200, answer.text
        done = answer.json()
        assert (done["state"], done["kind"], done["title"]) == ("ok", "container", f"{verb} container acted-on")
        assert f"acted-on ({identifier[:12]})" in done["detail"]
        assert engine.state(identifier) == state
        entries = host.backend.call("GET", "/audit", params={"action": f"container.{verb}"}).json()["items"]
        results = {entry["result"]: entry for entry in entries if entry["server_id"] == host.server_id}
        assert results.keys() == {"intended", "ok"}
        assert results["ok"]["intent_id"] == results["intended"]["id"] < results["ok"]["id"]
        assert results["intended"]["after"]["act"]["container"] == "acted-on"


async def test_what_the_engine_or_the_host_refuses_is_said_plainly(host, engine: TestEngine, new_host) -> None:
    identifier = engine.create("never-begun", "true")
    answer = host.backend.call("POST", of(host, "/never-begun/pause")).json()
    assert answer["state"] == "failed"
    assert "is not running" in answer["detail"]
    gone = host.backend.call("POST", of(host, "/gone/start")).json()
    assert (gone["state"], "there is no container gone" in gone["detail"]) == ("failed", True)
    assert host.backend.call("GET", of(host, "/gone")).status_code == 404
    assert host.backend.call("GET", of(host, "/gone/logs")).status_code == 404

    reading = new_host(CHATOPS_ALLOW_DOCKER="read", CHATOPS_DOCKER_SOCKET=str(engine.socket))
    assert listed(reading, "never-begun")["state"] == "created"
    refused = host.backend.call("POST", of(reading, "/never-begun/start")).json()
    assert (refused["state"], refused["started_at"]) == ("failed", None)
    assert "CHATOPS_ALLOW_DOCKER" in refused["detail"]

    off = new_host(CHATOPS_ALLOW_DOCKER="")
    answer = host.backend.call("GET", of(off))
    assert (answer.status_code, "CHATOPS_ALLOW_DOCKER" in answer.json()["detail"]) == (409, True)

    without = new_host(CHATOPS_DOCKER_SOCKET=str(host.directory / "none"))
    answer = host.backend.call("GET", of(without))
    assert (answer.status_code, "there is no Docker Engine" in answer.json()["detail"]) == (502, True)
    failed = host.backend.call("POST", of(without, "/never-begun/start")).json()
    assert (failed["state"], "there is no Docker Engine" in failed["detail"]) == ("failed", True)
    assert engine.state(identifier) == "created"

    off.stop()
    away = host.backend.call("GET", of(off))
    assert (away.status_code, away.json()["title"]) == (409, "Agent not connected")


async def test_who_may_not_see_the_server_sees_and_reaches_none_of_its_containers(host, engine, new_person) -> None:
    identifier = engine.run("hidden", "exec sleep 1000")
    elsewhere = new_person("operator", all_servers=False, server_ids=[])
    for method, rest in (("GET", ""), ("GET", "/hidden"), ("GET", "/hidden/logs"), ("POST", "/hidden/kill")):
        answer = elsewhere.call(method, of(host, rest))
        assert answer.status_code == 404
        assert answer.json()["detail"].startswith("There is no server")
    assert engine.state(identifier) == "running"


async def test_what_happens_to_containers_is_in_the_hosts_log(host, engine: TestEngine) -> None:
    check = {"test": ["CMD", "false"], "interval": 300_000_000, "retries": 1}
    engine.run("ill", "exec sleep 1000", healthcheck=check)
    engine.run("looping", "exit 7", restart="always")

    def texts() -> list[tuple[str, str]]:
        answer = host.backend.call("GET", f"/logs/{host.server_id}", params={"source": "docker", "limit": 500})
        assert answer.status_code == 200, answer.text
        return [(line["level"], line["message"]) for line in answer.json()["items"]]

    def has(level: str, *words: str) -> bool:
        return any(found == level and all(word in text for word in words) for found, text in texts())

    host.until(lambda: has("error", "container ill ", "is unhealthy"), WITHIN_S)
    host.until(lambda: has("error", "container looping ", "died with exit code 7"), WITHIN_S)
    host.until(lambda: has("critical", "container looping ", "restart loop"), WITHIN_S)
    host.until(lambda: listed(host, "looping")["restart_count"] > 0, WITHIN_S)
    engine.remove("looping")
    engine.remove("ill")
