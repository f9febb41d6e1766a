"""What comes over ``/ws/commands/{id}``, to operators and viewers alike."""

import asyncio
import json
import secrets
from typing import Any

import httpx
import pytest
import websockets

pytestmark = pytest.mark.anyio

PASSWORD = "a password that is long enough"


@pytest.fixture(scope="module")
def viewer(backend) -> str:
    """A viewer's access token."""
    name = f"viewer-{secrets.token_hex(4)}"
    account = {"username": name, "password": PASSWORD, "role": "viewer"}
    backend.call("POST", "/users", json=account).raise_for_status()
    login = httpx.post(
        f"{backend.url}/api/v1/auth/login", json={"username": name, "password": PASSWORD}, trust_env=False
    )
    return login.raise_for_status().json()["access_token"]


async def follow(host, command_id: int, token: str) -> list[dict[str, Any]]:
    """Everything until the socket is closed."""
    url = f"{host.backend.url.replace('http', 'ws')}/api/v1/ws/commands/{command_id}"
    messages = []
    async with asyncio.timeout(30), websockets.connect(url) as socket:
        await socket.send(json.dumps({"type": "auth", "access_token": token}))
        try:
            while True:
                messages.append(json.loads(await socket.recv()))
        except websockets.ConnectionClosedOK:
            assert socket.close_code == 1000
    return messages


def text_of(messages: list[dict[str, Any]], stream: str = "stdout") -> str:
    return "".join(one["text"] for one in messages if one["type"] == "output" and one["stream"] == stream)


async def test_output_comes_as_it_is_written_and_the_state_with_it(host, viewer) -> None:
    script = "for i in 1 2 3; do echo o$i; echo e$i >&2; sleep 0.5; done; exit 4"
    command_id = host.post(argv=["sh", "-c", script]).json()["id"]
    messages = await follow(host, command_id, viewer)
    assert messages[0]["type"] == "command"
    assert "stdout" not in messages[0]["command"]
    assert text_of(messages) == "o1\no2\no3\n"
    assert text_of(messages, "stderr") == "e1\ne2\ne3\n"
    assert sum(one["type"] == "output" for one in messages) >= 4, "not all at once"
    states = [one["command"]["state"] for one in messages if one["type"] == "command"]
    assert states[-1] == "failed"
    assert "running" in states
    assert messages[-1]["command"]["exit_code"] == 4


async def test_who_comes_late_gets_what_came_before(host, viewer) -> None:
    command_id = host.run("sh", "-c", "echo early; printf '\\303'; sleep 0.3; printf '\\244'")["id"]
    messages = await follow(host, command_id, viewer)
    assert text_of(messages) == "early\nä"
    assert [one["type"] for one in messages][-1] == "command"


async def test_places_that_are_left_out_are_told(host, viewer) -> None:
    result = host.run("sh", "-c", "yes | head -c 5000000")
    assert result["stdout_bytes"] == 5_000_000
    messages = await follow(host, result["id"], viewer)
    outputs = [one for one in messages if one["type"] == "output"]
    assert sum(len(one["text"]) + one["skipped"] for one in outputs) == 5_000_000
    assert outputs[-1]["offset"] + len(outputs[-1]["text"]) == 5_000_000


async def test_a_viewer_sees_and_runs_nothing(host, viewer) -> None:
    headers = {"Authorization": f"Bearer {viewer}"}
    command_id = host.run("true")["id"]
    async with httpx.AsyncClient(base_url=f"{host.backend.url}/api/v1", headers=headers, trust_env=False) as api:
        assert (await api.get(f"/commands/{command_id}")).status_code == 200
        assert (await api.get(f"/processes/{host.server_id}")).status_code == 200
        refused = [
            await api.post(f"/commands/{host.server_id}", json={"argv": ["true"]}),
            await api.post("/commands", json={"server_ids": [host.server_id], "argv": ["true"]}),
            await api.post(f"/commands/{command_id}/cancel"),
            await api.post(f"/processes/{host.server_id}/999999/signal", json={"signal": "TERM", "started_at": 1}),
        ]
    assert [answer.status_code for answer in refused] == [403] * 4
    newest = host.backend.call("GET", "/commands", params={"limit": 1}).json()["items"][0]
    assert newest["id"] == command_id


async def test_a_command_that_is_not_there_closes_the_socket(host, viewer) -> None:
    url = f"{host.backend.url.replace('http', 'ws')}/api/v1/ws/commands/2000000000"
    async with asyncio.timeout(10), websockets.connect(url) as socket:
        await socket.send(json.dumps({"type": "auth", "access_token": viewer}))
        with pytest.raises(websockets.ConnectionClosed):
            await socket.recv()
        assert socket.close_code == 4404
