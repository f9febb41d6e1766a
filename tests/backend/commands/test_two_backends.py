"""Two backends on one database server: an order finds the backend that holds its agent, and outlives it."""

import contextlib
import json
import time
from dataclasses import replace

import pytest
import websockets

from tests.conftest import TEST_DATABASE_URL, free_port
from tests.hosts import Host
from tests.stack import Backend, running_backend

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(TEST_DATABASE_URL is None, reason="the embedded database takes one backend"),
]


@pytest.fixture
async def backends(new_settings, tmp_path):
    settings = await new_settings()
    other = replace(settings, port=free_port(), data_dir=tmp_path / "other")
    other.data_dir.mkdir()
    with running_backend(settings) as first, running_backend(other) as second:
        yield first, second


@pytest.fixture
def host(backends, tmp_path):
    """One whose agent is connected to the first."""
    host = Host(backends[0], tmp_path, CHATOPS_ALLOW_COMMANDS="shell").start()
    yield host
    host.stop()


def give(backend: Backend, host: Host, **request) -> dict:
    answer = backend.call("POST", f"/commands/{host.server_id}", json=request)
    assert answer.status_code in (200, 202), answer.text
    return answer.json()


async def test_an_order_given_at_one_reaches_the_agent_of_the_other_within_two_seconds(backends, host) -> None:
    _, second = backends
    for _ in range(5):
        began = time.monotonic()
        result = give(second, host, argv=["echo", "across"], wait_s=10)
        assert (result["state"], result["stdout"]) == ("ok", "across\n")
        assert time.monotonic() - began < 2.5


async def test_its_output_is_watched_and_it_is_cancelled_from_the_other(backends, host) -> None:
    first, second = backends
    command = give(first, host, command="echo begun; sleep 60", timeout_s=100)
    token = second.headers()["Authorization"].removeprefix("Bearer ")
    url = f"{second.url.replace('http', 'ws')}/api/v1/ws/commands/{command['id']}"
    async with websockets.connect(url) as socket:
        await socket.send(json.dumps({"type": "auth", "access_token": token}))
        seen: list[dict] = []
        while not any(one["type"] == "output" for one in seen):
            seen.append(json.loads(await socket.recv()))
        assert second.call("POST", f"/commands/{command['id']}/cancel").status_code in (200, 202)
        with contextlib.suppress(websockets.ConnectionClosedOK):
            while True:
                seen.append(json.loads(await socket.recv()))
    assert [one["text"] for one in seen if one["type"] == "output"] == ["begun\n"]
    assert seen[-1]["command"]["state"] == "cancelled"


async def test_a_killed_backend_loses_no_order_and_runs_none_twice(backends, host, tmp_path) -> None:
    first, second = backends
    ran = tmp_path / "ran"
    running = give(first, host, argv=["sh", "-c", f"echo x >> {ran}; sleep 2; echo end"], timeout_s=60)["id"]
    host.wait(running, "running")
    first.kill()
    waiting = give(second, host, argv=["sh", "-c", f"echo y >> {ran}"], expires_s=120)["id"]
    first.start()
    host.until(lambda: second.call("GET", f"/commands/{waiting}").json()["state"] == "ok", 60)
    ended = second.call("GET", f"/commands/{running}").json()
    assert (ended["state"], ended["stdout"]) == ("ok", "end\n")
    assert sorted(ran.read_text()) == sorted("x\ny\n")
