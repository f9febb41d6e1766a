"""``chatops dashboard`` as a process, and its settings."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from chatops_dashboards.settings import DashboardSettings, SettingsError
from tests.conftest import free_port
from tests.stack import Program

ASSETS = Path(__file__).parents[2] / "dashboards" / "chatops_dashboards" / "assets"


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "chatops_cli", "dashboard", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_help_names_the_options() -> None:
    answer = run("--help")
    assert answer.returncode == 0
    for option in ("--host", "--port", "--api-url"):
        assert option in answer.stdout


def test_a_port_in_use_is_one_clear_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        answer = run("--port", str(port))
    assert answer.returncode == 1
    assert answer.stderr.count("\n") == 1
    assert f"port {port}" in answer.stderr


def test_an_address_that_is_none_is_one_clear_line() -> None:
    answer = run("--api-url", "backend:8000")
    assert answer.returncode == 1
    assert "http://host:8000" in answer.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    port = free_port()
    env = {name: text for name, text in os.environ.items() if not name.startswith("CHATOPS_")}
    program = Program(["dashboard", "--port", str(port)], env, tmp_path / "log")
    program.wait_until_answers(f"http://127.0.0.1:{port}/ready")
    program.process.send_signal(number)
    assert program.process.wait(10) == 0
    assert "Traceback" not in program.log.read_text()


def test_the_backend_is_on_its_own_port_unless_said_otherwise() -> None:
    assert DashboardSettings.from_environment({"CHATOPS_PORT": "9000"}).api_url == "http://127.0.0.1:9000"
    assert DashboardSettings.from_environment({"CHATOPS_API_URL": "https://api/"}).api_url == "https://api"
    with pytest.raises(SettingsError, match="CHATOPS_DASHBOARD_PORT"):
        DashboardSettings.from_environment({"CHATOPS_DASHBOARD_PORT": "no"})
    with pytest.raises(SettingsError, match="CHATOPS_API_URL"):
        DashboardSettings.from_environment({"CHATOPS_API_URL": "ftp://x"})


def test_assets_name_no_other_site() -> None:
    for path in ASSETS.iterdir():
        found = [
            u for u in re.findall(r"https?://[^\s'\"<>)]+", path.read_text()) if not u.startswith("http://www.w3.org/")
        ]
        assert found == [], path.name


def test_every_icon_that_is_used_is_drawn() -> None:
    drawn = set(re.findall(r"\.icon-([a-z]+) ", (ASSETS / "icons.css").read_text()))
    sources = "".join(path.read_text() for path in ASSETS.parent.rglob("*.py"))
    used = set(re.findall(r"\bicon\(\"([a-z]+)\"", sources)) | set(
        re.findall(r"(?:picture|icon)=\"([a-z]+)\"", sources)
    )
    assert used <= drawn, used - drawn


def test_the_secret_shared_with_the_backend_may_come_from_a_file_and_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cret" * 8 + "\n")
    settings = DashboardSettings.from_environment({"CHATOPS_DASHBOARD_SECRET_FILE": str(tmp_path / "secret")})
    assert settings.secret == "s3cret" * 8
    assert "s3cret" not in repr(settings)
    for wrong in ({"CHATOPS_DASHBOARD_SECRET_FILE": str(tmp_path / "absent")}, {"CHATOPS_DASHBOARD_SECRET": "a\nb"}):
        with pytest.raises(SettingsError, match="CHATOPS_DASHBOARD_SECRET"):
            DashboardSettings.from_environment(wrong)
