"""A running backend and real agents of it, each with settings of its own."""

import contextlib
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from tests.conftest import NewSettings
from tests.hosts import Host
from tests.stack import Backend, running_backend

NewHost = Callable[..., Host]


@pytest.fixture(scope="session")
async def backend(new_settings: NewSettings) -> AsyncIterator[Backend]:
    with running_backend(await new_settings()) as running, contextlib.suppress(ProcessLookupError):
        yield running


@pytest.fixture(scope="session")
def new_host(backend: Backend, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NewHost]:
    """A function that adds a server and, unless told otherwise, starts its agent with the policy ``shell``."""
    hosts: list[Host] = []

    def make(*, started: bool = True, on: Backend = backend, **settings: str) -> Host:
        settings.setdefault("CHATOPS_ALLOW_COMMANDS", "shell")
        hosts.append(Host(on, tmp_path_factory.mktemp("host"), **settings))
        return hosts[-1].start() if started else hosts[-1]

    yield make
    for host in hosts:
        host.stop()


@pytest.fixture(scope="session")
def host(new_host: NewHost) -> Host:
    """One whose policy is ``shell``."""
    return new_host()


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "1000"])
    yield process
    process.kill()
    process.wait()
