"""`run` of both clients, against the real backend and real agents: to its end, with its output, or why not."""

import threading
from collections.abc import Iterator

import pytest

from chatops_client import AsyncClient, Client, CommandRefusedError, NotAllowedError, NotFoundError
from chatops_protocol.live_messages import CommandOutput
from tests.conftest import ADMIN_PASSWORD
from tests.hosts import Host
from tests.stack import Backend

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def host(backend: Backend, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    started = Host(backend, tmp_path_factory.mktemp("running"), CHATOPS_ALLOW_COMMANDS="shell").start()
    yield started
    started.stop()


def test_a_command_is_waited_for_and_its_output_handed_on_as_it_comes(client: Client, host: Host) -> None:
    """It goes on when its first line has arrived, and not before."""
    pieces: list[CommandOutput] = []

    def on_output(piece: CommandOutput) -> None:
        pieces.append(piece)
        (host.directory / "go").touch()

    result = client.run(
        host.server_id,
        "echo first; while [ ! -e go ]; do sleep 0.05; done; rm go; echo second; exit 3",
        on_output=on_output,
    )
    assert "".join(piece.text for piece in pieces) == "first\nsecond\n" == result.stdout
    assert len(pieces) >= 2
    assert (result.state, result.exit_code) == ("failed", 3)


def test_arguments_in_a_list_are_taken_literally(client: Client, host: Host) -> None:
    assert client.run(host.server_id, ["echo", "a; b  $HOME"]).stdout == "a; b  $HOME\n"


def test_a_command_that_takes_too_long_ends_as_timed_out(client: Client, host: Host) -> None:
    assert client.run(host.server_id, ["sleep", "600"], timeout_s=0.5).state == "timed_out"


async def test_the_asynchronous_client_runs_alike(backend: Backend, host: Host) -> None:
    async with AsyncClient(backend.url) as client:
        await client.login("admin", ADMIN_PASSWORD)
        assert (await client.run(host.server_id, ["echo", "hello"])).stdout == "hello\n"


def test_what_the_host_does_not_allow_raises_and_says_why(
    client: Client, backend: Backend, tmp_path_factory: pytest.TempPathFactory
) -> None:
    careful = Host(backend, tmp_path_factory.mktemp("careful")).start()
    try:
        with pytest.raises(CommandRefusedError, match="did not run `true`") as caught:
            client.run(careful.server_id, ["true"])
    finally:
        careful.stop()
    assert caught.value.result.state == "failed"
    assert caught.value.result.detail in str(caught.value)


def test_an_agent_that_is_not_there_in_time_raises(client: Client, backend: Backend) -> None:
    server_id, _ = backend.add_server("nobody there")
    with pytest.raises(CommandRefusedError) as caught:
        client.run(server_id, ["true"], expires_s=0.5)
    assert caught.value.result.state == "expired"


def test_viewers_and_unknown_servers_are_refused(client: Client, backend: Backend, host: Host) -> None:
    client.create_user("running-viewer", "a password of theirs", "viewer")
    viewer = Client(backend.url, username="running-viewer", password="a password of theirs")
    with viewer, pytest.raises(NotAllowedError):
        viewer.run(host.server_id, ["true"])
    with pytest.raises(NotFoundError):
        client.run(999_999, ["true"])


def test_an_interrupt_cancels_the_command(client: Client, host: Host) -> None:
    begun = threading.Event()

    def interrupt(piece: CommandOutput) -> None:
        begun.set()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        client.run(host.server_id, "echo begun; exec sleep 600", on_output=interrupt)
    assert begun.is_set()
    newest = client.commands.page(server_id=host.server_id, limit=1).items[0]
    assert host.wait(newest.id)["state"] == "cancelled"
