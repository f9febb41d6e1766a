"""The command: help, one collection, and the exit codes 0, 1 and 2."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from msgspec import json

from chatops_agent.cli import agent
from chatops_protocol.catalog import BY_NAME


def run(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CHATOPS_")}
    return subprocess.run(
        [sys.executable, "-m", "chatops_agent", *arguments],
        env={**clean, **environment},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


def test_help_names_every_setting() -> None:
    result = CliRunner().invoke(agent, ["--help"])
    assert result.exit_code == 0
    for setting in ("API_URL", "API_KEY", "API_KEY_FILE", "CA_FILE", "INTERVAL", "SPOOL_DIR", "SPOOL_MAX_BYTES"):
        assert f"CHATOPS_{setting}" in result.output


def test_once_prints_one_collection_with_rates_and_needs_no_settings() -> None:
    result = run("--once")
    assert result.returncode == 0, result.stderr
    collected = json.decode(result.stdout)
    (host,) = collected["host"]
    assert set(host) == set(BY_NAME["host"].field_names)
    assert host["cpu_percent"] is not None
    assert collected["process"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "CHATOPS_API_URL is not set"),
        (("--api-url", "https://localhost:1"), "CHATOPS_API_KEY is not set"),
        (("--api-url", "http://example.org"), "use https"),
        (("--interval", "x", "--api-url", "https://localhost:1"), "CHATOPS_INTERVAL is 'x'"),
        (("--unknown",), "No such option"),
    ],
)
def test_wrong_use_is_exit_code_2_and_one_clear_line(arguments: tuple[str, ...], says: str) -> None:
    result = run(*arguments)
    assert result.returncode == 2
    assert says in result.stderr
    assert "Traceback" not in result.stderr


def test_a_spool_that_cannot_be_used_is_exit_code_1(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = run("--api-url", "https://localhost:1", "--spool-dir", str(tmp_path / "file"), CHATOPS_API_KEY="k")
    assert result.returncode == 1
    assert "CHATOPS_SPOOL_DIR" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_signal_during_the_start_is_a_clean_stop_too() -> None:
    program = (
        "import os, signal\n"
        "from chatops_agent import cli, runner\n"
        "runner.run_agent = lambda settings: os.kill(os.getpid(), signal.SIGTERM)\n"
        "cli.agent()"
    )
    result = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "CHATOPS_API_URL": "https://localhost:1", "CHATOPS_API_KEY": "k"},
        timeout=20,
        check=False,
    )
    assert result.returncode == 0
