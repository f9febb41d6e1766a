"""A running backend, and real agents of it beside a real Docker Engine, each with what its host allows."""

import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.conftest import NewSettings
from tests.engine import TestEngine
from tests.hosts import Host
from tests.stack import Backend, running_backend

PASSWORD = "a password of twelve and more"


@pytest.fixture(scope="session")
async def backend(new_settings: NewSettings) -> AsyncIterator[Backend]:
    with running_backend(await new_settings()) as running:
        yield running


NewHost = Callable[..., Host]


@pytest.fixture(scope="session")
def new_host(backend: Backend, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NewHost]:
    """A function that adds a server and starts its agent; the policy is ``control`` unless settings say otherwise."""
    hosts: list[Host] = []

    def make(**settings: str) -> Host:
        hosts.append(Host(backend, tmp_path_factory.mktemp("host"), **{"CHATOPS_ALLOW_DOCKER": "control", **settings}))
        return hosts[-1].start()

    yield make
    for host in hosts:
        host.stop()


@pytest.fixture(scope="session")
def host(new_host: NewHost, engine: TestEngine) -> Host:
    return new_host(CHATOPS_DOCKER_SOCKET=str(engine.socket))


class Person:
    """Somebody else than the administrator."""

    def __init__(self, backend: Backend, role: str, **visible: Any) -> None:
        self.backend = backend
        name = f"{role}-{secrets.token_hex(4)}"
        body = {"username": name, "password": PASSWORD, "role": role, **visible}
        backend.call("POST", "/users", json=body).raise_for_status()
        login = {"username": name, "password": PASSWORD}
        answer = httpx.post(f"{backend.url}/api/v1/auth/login", json=login, trust_env=False).raise_for_status()
        self.token: str = answer.json()["access_token"]

    def call(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}"}
        url = f"{self.backend.url}/api/v1{path}"
        return httpx.request(method, url, headers=headers, trust_env=False, timeout=60, **arguments)


@pytest.fixture
def new_person(backend: Backend) -> Callable[..., Person]:
    return lambda role, **visible: Person(backend, role, **visible)
