"""Commands, processes and the audit log through the clients, against the real backend and a real agent."""

import asyncio
from collections.abc import Iterator

import pytest

from chatops_client import ApiError, AsyncClient, Client
from chatops_protocol.command_resources import RunCommandRequest, RunCommandsRequest
from chatops_protocol.live_messages import CommandChanged, CommandOutput
from tests.conftest import ADMIN_PASSWORD
from tests.hosts import Host
from tests.stack import Backend

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="session")
def host(backend: Backend, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    started = Host(backend, tmp_path_factory.mktemp("host"), CHATOPS_ALLOW_COMMANDS="shell").start()
    yield started
    started.stop()


def test_a_command_is_run_listed_and_read(client: Client, host: Host) -> None:
    result = client.commands.run(host.server_id, RunCommandRequest(argv=["echo", "two words"], wait_s=20))
    assert (result.state, result.exit_code, result.stdout) == ("ok", 0, "two words\n")
    page = client.commands.page(server_id=host.server_id, limit=1)
    assert [command.id for command in page.items] == [result.id]
    assert client.commands.get(result.id) == result
    with pytest.raises(ApiError, match="has ended"):
        client.commands.cancel(result.id)


def test_what_hosts_allow_is_said(client: Client, host: Host) -> None:
    [policy] = client.commands.policies(host.server_id).policies
    assert (policy.server_id, policy.command_policy) == (host.server_id, "shell")


def test_nobody_chosen_runs_nothing(client: Client) -> None:
    with pytest.raises(ApiError) as caught:
        client.commands.run_on_several(RunCommandsRequest(server_ids=[], argv=["true"]))
    assert caught.value.status == 400


def test_a_group_is_read_and_cancelled(client: Client, host: Host) -> None:
    asked = RunCommandsRequest(server_ids=[host.server_id], argv=["sleep", "600"])
    group = client.commands.run_on_several(asked)
    assert [command.id for command in client.commands.group(group.id)] == [command.id for command in group.commands]
    client.commands.cancel_group(group.id)
    assert host.wait(group.commands[0].id)["state"] == "cancelled"


def test_processes_are_listed_and_a_gone_one_is_not_signalled(client: Client, host: Host) -> None:
    listed = client.commands.processes(host.server_id)
    assert host.process is not None
    assert host.process.pid in {process.pid for process in listed.processes}
    result = client.commands.signal(host.server_id, host.process.pid, "TERM", started_at=1.0)
    assert result.state == "failed"


def test_the_audit_log_is_filtered_and_verified(client: Client, host: Host) -> None:
    client.commands.run(host.server_id, RunCommandRequest(argv=["true"], wait_s=20))
    page = client.audit.page(limit=2, action="command.run", server_id=host.server_id)
    assert {entry.action for entry in page.items} == {"command.run"}
    assert client.audit.page(actor="nobody at all").items == []
    assert client.audit.verify().valid


async def test_output_streams_to_its_end_and_each_piece_comes_once_over_reconnects(
    backend: Backend, host: Host
) -> None:
    """The socket is cut in the middle; what had come before is not yielded again."""
    async with AsyncClient(backend.url) as client, asyncio.timeout(40):
        await client.login("admin", ADMIN_PASSWORD)
        script = "echo first; echo aside >&2; while [ ! -e go ]; do sleep 0.05; done; rm go; echo second"
        command = await client.commands.run(host.server_id, RunCommandRequest(command=script))
        text, states = {"stdout": "", "stderr": ""}, []
        cut = False
        async for message in client.live_command(command.id):
            if isinstance(message, CommandChanged):
                states.append(message.command.state)
                continue
            assert isinstance(message, CommandOutput)
            text[message.stream] += message.text
            if text == {"stdout": "first\n", "stderr": "aside\n"} and not cut:
                cut = True
                await asyncio.to_thread(restart, backend)
                (host.directory / "go").touch()
    assert cut
    assert text == {"stdout": "first\nsecond\n", "stderr": "aside\n"}
    assert states[-1] == "ok"


def restart(backend: Backend) -> None:
    backend.kill()
    backend.start()
