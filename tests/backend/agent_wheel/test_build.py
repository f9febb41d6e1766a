"""The wheel that hosts install: what is in it, and that pip takes it."""

import io
import os
import subprocess
import venv
import zipfile
from pathlib import Path

import pytest

from chatops_backend.agent_wheel.build import agent_wheel


def contents() -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(agent_wheel().content)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def test_it_holds_protocol_agent_and_command_and_nothing_else() -> None:
    top = {name.partition("/")[0] for name in contents()}
    assert {name for name in top if not name.endswith(".dist-info")} == {
        "chatops_protocol",
        "chatops_agent",
        "chatops_cli",
    }
    assert len(top) == 4
    assert all(name.endswith((".py", "py.typed")) for name in contents() if ".dist-info/" not in name)


def test_it_needs_only_the_base_dependencies() -> None:
    metadata = next(text for name, text in contents().items() if name.endswith("/METADATA")).decode()
    needed = {
        line.removeprefix("Requires-Dist: ") for line in metadata.splitlines() if line.startswith("Requires-Dist")
    }
    assert {line.partition(">")[0] for line in needed} == {"click", "cryptography", "msgspec", "psutil", "websockets"}


def test_the_same_files_give_the_same_bytes() -> None:
    first = agent_wheel()
    agent_wheel.cache_clear()
    assert agent_wheel().sha256 == first.sha256


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The environment of a monitored host: the wheel and what it needs from the package index, nothing more."""
    folder = tmp_path_factory.mktemp("host")
    wheel = folder / agent_wheel().filename
    wheel.write_bytes(agent_wheel().content)
    venv.create(folder / "venv", with_pip=True, symlinks=True)
    run(folder / "venv/bin/python", "-m", "pip", "install", "--quiet", "--only-binary", ":all:", wheel)
    return folder / "venv/bin"


def run(*command: str | Path) -> str:
    # Nothing of this checkout may help: no path of it, no setting.
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("CHATOPS_", "PYTHON"))}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/", env=clean)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_host_with_only_the_wheel_has_a_working_agent(host: Path) -> None:
    assert "--once" in run(host / "chatops", "agent", "--help")
    assert "cpu_percent" in run(host / "chatops", "agent", "--once")


def test_a_host_with_only_the_wheel_lists_only_the_agent(host: Path) -> None:
    listed = run(host / "chatops", "--help")
    assert "agent" in listed
    assert "migrate" not in listed
    refused = subprocess.run([host / "chatops", "migrate"], capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert "needs the whole of ChatOps" in refused.stderr


def test_pip_finds_every_file_as_recorded(host: Path) -> None:
    check = (
        "from importlib.metadata import distribution as d; import hashlib, base64;"
        "files = [f for f in d('chatops').files if f.hash];"
        "bad = [f for f in files if base64.urlsafe_b64encode(hashlib.new(f.hash.mode, f.read_binary()).digest())"
        ".rstrip(b'=').decode() != f.hash.value]; print(len(files), bad)"
    )
    count, _, bad = run(host / "python", "-c", check).strip().partition(" ")
    assert int(count) > 10
    assert bad == "[]"
