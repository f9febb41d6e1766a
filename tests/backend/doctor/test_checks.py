"""What `chatops doctor` finds, each against the real thing: a socket, a folder, a database."""

import socket
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from chatops_backend.doctor.checks import (
    check_api_url,
    check_clock,
    check_data_dir,
    check_database,
    check_extras,
    check_node,
    check_port,
)
from chatops_backend.settings import Settings
from tests.conftest import needs_ipv6


@pytest.fixture
def here(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data")


def test_node_and_extras_are_found(here: Settings) -> None:
    assert check_node(here).state == "ok"
    assert check_extras().state == "ok"


def test_a_port_of_a_stranger_fails_and_names_the_setting(here: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        # Accepts and says nothing: closed so that the check need not wait.
        threading.Thread(target=lambda: stranger.accept()[0].close(), daemon=True).start()
        found = check_port(here, "Dashboard", port, "/ready")
    assert found.state == "fail"
    assert "CHATOPS_DASHBOARD_PORT" in found.advice
    assert check_port(here, "Dashboard", port, "/ready").state == "ok"


@needs_ipv6
def test_a_port_of_an_ipv6_host_that_answers_is_ours(here: Settings) -> None:
    class Ready(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response_only(200)
            self.end_headers()

    class Ipv6Server(HTTPServer):
        address_family = socket.AF_INET6

    with Ipv6Server(("::1", 0), Ready) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        found = check_port(replace(here, host="::1"), "Backend", server.server_port, "/ready")
        thread.join()
    assert (found.state, found.detail) == ("ok", f"[::1]:{server.server_port} answers")


def test_a_data_directory_open_to_others_is_warned_of(here: Settings) -> None:
    assert check_data_dir(here).state == "ok"
    here.data_dir.mkdir(mode=0o755)
    assert check_data_dir(here).state == "warn"
    here.data_dir.chmod(0o700)
    assert check_data_dir(here).state == "ok"
    assert not list(here.data_dir.iterdir())


def test_a_data_directory_that_cannot_be_made_fails(here: Settings) -> None:
    here.data_dir.parent.joinpath("file").touch()
    assert check_data_dir(replace(here, data_dir=here.data_dir.parent / "file" / "data")).state == "fail"


@pytest.mark.anyio
async def test_a_database_out_of_reach_fails(here: Settings) -> None:
    url = "postgresql://nobody:password-of-nobody@127.0.0.1:1/none"
    found = await check_database(replace(here, database_url=url))
    assert found.state == "fail"
    assert "password-of-nobody" not in found.detail


@pytest.mark.anyio
async def test_a_database_tells_its_version_and_whether_it_has_our_schema(new_settings) -> None:
    found = await check_database(await new_settings())
    assert found.state == "ok", found
    assert "TimescaleDB 2." in found.detail
    empty = await new_settings(migrated=False)
    (empty.data_dir / "database").mkdir(exist_ok=True)
    assert (await check_database(empty)).state == "warn"


def test_a_clock_that_differs_from_the_backends_is_warned_of(here: Settings) -> None:
    class Late(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response_only(200)
            self.send_header("Date", format_datetime(datetime.now(UTC) - timedelta(minutes=5)))
            self.end_headers()

    with HTTPServer(("127.0.0.1", 0), Late) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        found = check_api_url(replace(here, api_url=f"http://127.0.0.1:{server.server_port}"))
        thread.join()
    assert found.state == "warn"
    assert "300 s" in found.detail or "299 s" in found.detail or "301 s" in found.detail


def test_a_backend_that_does_not_answer_fails(here: Settings) -> None:
    assert check_api_url(replace(here, api_url="http://127.0.0.1:1")).state == "fail"
    assert check_api_url(replace(here, api_url="no address")).state == "fail"


def test_a_clock_in_the_past_fails() -> None:
    assert check_clock(datetime(1970, 1, 2, tzinfo=UTC)).state == "fail"
