"""`chatops demo` on a running backend: what it makes, what it says, and that it touches nothing of anybody else's."""

from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from chatops_cli import main
from chatops_cli.demo.ownership import MARK
from chatops_client import Client
from chatops_protocol.resources import UpdateServerRequest
from tests.conftest import ADMIN_PASSWORD, NewSettings, free_port
from tests.stack import Backend, environment, running_backend

Demo = Callable[..., Result]
PASSWORD = "an operator's long password"


@pytest.fixture(scope="module")
async def backend(new_settings: NewSettings) -> AsyncIterator[Backend]:
    with running_backend(await new_settings()) as running:
        yield running


@pytest.fixture(scope="module")
def client(backend: Backend) -> Iterator[Client]:
    with Client(backend.url, username="admin", password=ADMIN_PASSWORD) as opened:
        yield opened


@pytest.fixture(scope="module")
def demo(backend: Backend) -> Demo:
    settings = environment(backend.settings)

    def run(*arguments: str, **changed: str) -> Result:
        return CliRunner().invoke(main, ["demo", *arguments], env={**settings, **changed})

    return run


@pytest.fixture(scope="module")
def filled(demo: Demo, client: Client) -> Result:
    own = client.create_server("mine", tags=["demo"])
    assert client.server(own.id).name == "mine"
    return demo("--servers", "2", "--days", "2")


def _demo_servers(client: Client) -> list[str]:
    return sorted(server.name for server in client.servers() if server.name.startswith("demo-"))


def test_it_makes_servers_that_are_marked_as_demo_data_and_says_what_befell_them(
    filled: Result, client: Client
) -> None:
    assert filled.exit_code == 0, filled.output
    assert "2 servers, 2 days" in filled.output
    assert "disk fills" in filled.output
    assert _demo_servers(client) == ["demo-db-1", "demo-web-1"]
    for server in client.servers():
        if server.name.startswith("demo-"):
            assert server.description.startswith(MARK)
            assert "Incident: disk fills" in server.description
            assert {"demo", "prod"} <= set(server.tags)
            assert server.status == "never"


def test_every_measurement_has_rows_up_to_now_and_the_rollups_hold_them(filled: Result, client: Client) -> None:
    web = next(server for server in client.servers() if server.name == "demo-web-1")
    latest = client.latest(web.id)
    assert latest.time is not None
    assert datetime.now(UTC) - latest.time < timedelta(hours=1)
    assert all(latest.measurements[name] for name in ("host", "cpu", "filesystem", "disk", "network", "container"))
    end = latest.time
    hours = client.history(web.id, "host.cpu_percent", end - timedelta(days=2), end, points=48)
    assert 46 <= len(hours) <= 50
    assert hours["avg"].null_count() == 0
    marks = client.history(web.id, "custom.value", end - timedelta(days=1), end, points=24)
    assert marks["name"].unique().to_list() == ["incident"]
    assert marks["avg"].max() == 1.0


def test_nobody_is_told_of_demo_servers(filled: Result, client: Client) -> None:
    ids = {server.id for server in client.servers() if server.name.startswith("demo-")}
    silenced = {stored.silence.server_id for stored in client.alerts.silences() if stored.active}
    assert ids <= silenced
    assert not [alert for alert in client.alerts.list() if alert.server_id in ids and not alert.silenced]


def test_a_second_run_changes_nothing_and_says_what_can_be_done(filled: Result, demo: Demo, client: Client) -> None:
    before = [server.id for server in client.servers()]
    again = demo("--servers", "2", "--days", "2")
    assert again.exit_code == 1
    assert "there already (2 servers" in again.output
    assert "--again" in again.output
    assert [server.id for server in client.servers()] == before


def test_the_list_names_servers_and_incidents(filled: Result, demo: Demo) -> None:
    listed = demo("--list")
    assert listed.exit_code == 0, listed.output
    assert "demo-web-1" in listed.output
    assert "access-log keeps all" in listed.output


def test_only_administrators_fill_and_remove(filled: Result, demo: Demo, client: Client, tmp_path: Path) -> None:
    client.create_user("watcher", PASSWORD, "operator")
    (tmp_path / "password").write_text(PASSWORD + "\n")
    for arguments in (["--again"], ["--remove"]):
        refused = demo(*arguments, "--username", "watcher", "--password-file", str(tmp_path / "password"))
        assert refused.exit_code == 1
        assert "only administrators" in refused.output
    assert _demo_servers(client) == ["demo-db-1", "demo-web-1"]


def test_what_is_wrong_is_said_in_one_line(demo: Demo, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("not the password\n")
    wrong = demo("--password-file", str(tmp_path / "password"))
    assert wrong.exit_code == 1
    assert "--password-file" in wrong.stderr
    assert "chatops user set-password admin" in wrong.stderr
    nobody_to_ask = demo(CHATOPS_ADMIN_PASSWORD="")
    assert nobody_to_ask.exit_code == 2
    assert "--password-file" in nobody_to_ask.stderr
    nothing_there = demo("--url", f"http://127.0.0.1:{free_port()}")
    assert nothing_there.exit_code == 1
    assert "make up" in nothing_there.stderr
    assert demo("--remove", "--list").exit_code == 2
    assert demo("--servers", "0").exit_code == 2


def test_a_server_of_somebody_else_is_in_the_way_and_stays(filled: Result, demo: Demo, client: Client) -> None:
    """Here one that was the demo's, until somebody made it his own."""
    web = next(server for server in client.servers() if server.name == "demo-web-1")
    client.update_server(web.id, UpdateServerRequest(description="ours now"))
    again = demo("--again", "--servers", "2", "--days", "1")
    assert again.exit_code == 1
    assert "demo-web-1" in again.output
    assert client.server(web.id).description == "ours now"
    assert _demo_servers(client) == ["demo-db-1", "demo-web-1"]
    client.update_server(web.id, UpdateServerRequest(description=web.description))


def test_again_makes_it_anew_and_remove_leaves_what_is_not_its_own(filled: Result, demo: Demo, client: Client) -> None:
    before = {server.name: server.id for server in client.servers()}
    again = demo("--again", "--servers", "1", "--days", "1")
    assert again.exit_code == 0, again.output
    now = {server.name: server.id for server in client.servers()}
    assert set(now) == {name for name in before if not name.startswith("demo-")} | {"demo-web-1"}
    assert now["demo-web-1"] != before["demo-web-1"]
    removed = demo("--remove")
    assert removed.exit_code == 0, removed.output
    assert _demo_servers(client) == []
    assert "mine" in {server.name for server in client.servers()}
    assert client.alerts.silences() == []
    assert "there is no demo fleet" in demo("--remove").output
