"""Containers of a real engine through the clients, against the real backend and a real agent."""

import asyncio
from collections.abc import Iterator

import pytest

from chatops_client import ApiError, AsyncClient, Client
from tests.conftest import ADMIN_PASSWORD
from tests.engine import TestEngine
from tests.hosts import Host
from tests.stack import Backend

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def docker_host(backend: Backend, engine: TestEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    settings = {"CHATOPS_ALLOW_DOCKER": "control", "CHATOPS_DOCKER_SOCKET": str(engine.socket)}
    started = Host(backend, tmp_path_factory.mktemp("docker"), **settings).start()
    yield started
    started.stop()


def test_a_container_is_listed_looked_at_and_stopped(client: Client, docker_host: Host, engine: TestEngine) -> None:
    script = "echo first; exec sleep 1000"
    identifier = engine.run("by-client", script, environment={"API_TOKEN": "canary-c1"})
    found = client.containers.list(docker_host.server_id)
    assert found.policy == "control"
    assert [one.state for one in found.containers if one.id == identifier] == ["running"]
    details = client.containers.inspect(docker_host.server_id, "by-client")
    assert (details.id, details.environment["API_TOKEN"]) == (identifier, "***")
    docker_host.until(lambda: bool(client.containers.log(docker_host.server_id, identifier).lines))
    assert [line.text for line in client.containers.log(docker_host.server_id, "by-client").lines] == ["first"]
    result = client.containers.act(docker_host.server_id, identifier, "stop", timeout_s=0)
    assert (result.state, engine.state(identifier)) == ("ok", "exited")
    engine.remove(identifier)


async def test_a_log_is_followed_to_the_end_of_its_container(
    backend: Backend, docker_host: Host, engine: TestEngine
) -> None:
    identifier = engine.run("followed-by-client", "echo one; while [ -z $(cat go 2>/dev/null) ]; do sleep 0.1; done")
    async with AsyncClient(backend.url) as client, asyncio.timeout(40):
        await client.login("admin", ADMIN_PASSWORD)
        lines: list[str] = []
        async for piece in client.containers.follow(docker_host.server_id, identifier):
            lines += [line.text for line in piece.lines]
            if lines == ["one"]:
                await client.containers.act(docker_host.server_id, identifier, "kill")
    assert lines == ["one"]
    engine.remove(identifier)


async def test_a_host_that_shows_no_log_says_why_and_is_not_asked_again(
    backend: Backend, tmp_path_factory: pytest.TempPathFactory
) -> None:
    host = await asyncio.to_thread(Host(backend, tmp_path_factory.mktemp("off")).start)
    try:
        async with AsyncClient(backend.url) as client, asyncio.timeout(20):
            await client.login("admin", ADMIN_PASSWORD)
            with pytest.raises(ApiError, match="CHATOPS_ALLOW_DOCKER") as caught:
                async for _ in client.containers.follow(host.server_id, "any"):
                    pass
            assert caught.value.status == 502
    finally:
        await asyncio.to_thread(host.stop)
