"""The container image, built and run by a real engine of this test's own, from a base made of Debian's packages.

Some minutes, root, and Debian's docker.io and debootstrap: only with CHATOPS_TEST_IMAGE=1.
"""

import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import free_port
from tests.engine import running_daemon

ROOT = Path(__file__).parents[2]
BASE, IMAGE = "chatops-test-base", "chatops-test"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
CONFINED = ("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")


def reason_to_skip() -> str | None:
    if os.environ.get("CHATOPS_TEST_IMAGE") != "1":
        return "set CHATOPS_TEST_IMAGE=1 to build and run the container image (some minutes)"
    if os.geteuid() != 0:
        return "starting a container engine needs root"
    missing = [name for name in ("dockerd", "docker", "debootstrap") if shutil.which(name) is None]
    return f"not installed: {', '.join(missing)} (Debian: docker.io, debootstrap)" if missing else None


pytestmark = pytest.mark.skipif(reason_to_skip() is not None, reason=reason_to_skip() or "")


class Docker:
    def __init__(self, socket: Path) -> None:
        self._address = f"unix://{socket}"

    def __call__(self, *arguments: str | Path, stdin: int | None = None) -> str:
        env = os.environ | {"DOCKER_HOST": self._address, "DOCKER_BUILDKIT": "0"}
        done = subprocess.run(["docker", *arguments], stdin=stdin, capture_output=True, text=True, check=False, env=env)
        assert done.returncode == 0, f"docker {arguments[0]}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
        return done.stdout


@pytest.fixture(scope="module")
def docker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Docker]:
    folder = tmp_path_factory.mktemp("engine")
    with running_daemon(folder) as socket:
        yield Docker(socket)


@pytest.fixture(scope="module")
def image(docker: Docker, tmp_path_factory: pytest.TempPathFactory) -> str:
    root = tmp_path_factory.mktemp("base") / "root"
    packages = "--include=python3,python3-venv,ca-certificates"
    subprocess.run(["debootstrap", "--variant=minbase", packages, "stable", root], check=True, capture_output=True)
    # The certificate authorities that this machine trusts, so that a network with its own can be built in.
    shutil.copy(CERTIFICATES, root / CERTIFICATES.relative_to("/"))
    with subprocess.Popen(["tar", "-C", root, "-c", "."], stdout=subprocess.PIPE) as tar:
        assert tar.stdout is not None
        docker("import", "-", BASE, stdin=tar.stdout.fileno())
    shutil.rmtree(root)
    docker(
        "build", "--network", "host", "--build-arg", f"BASE_IMAGE={BASE}", "--build-arg", f"PIP_CERT={CERTIFICATES}",
        "--tag", IMAGE, ROOT,
    )  # fmt: skip
    return IMAGE


def test_the_image_runs_confined_and_not_as_root(docker: Docker, image: str) -> None:
    run = ("run", "--rm", "--network", "none", *CONFINED, image)
    assert docker(*run, "id", "-u").strip() == "10001"
    assert docker(*run, "chatops", "--version").startswith("chatops ")
    assert "cpu_percent" in docker(*run, "chatops", "agent", "--once")
    assert "Usage" in docker(*run, "chatops", "dashboard", "--help")


def test_the_image_holds_no_secret_and_no_trace_of_the_building_network(docker: Docker, image: str) -> None:
    described = json.loads(docker("inspect", image))[0]["Config"]
    names = {variable.partition("=")[0] for variable in described["Env"]}
    assert not {name for name in names if "CERT" in name or "INDEX" in name or "KEY" in name or "PASSWORD" in name}
    found = docker("run", "--rm", "--network", "none", image, "find", "/data", "/opt/chatops", "-name", "secret*key*")
    assert found == ""
    assert described["Healthcheck"]["Test"][0] == "CMD"


def test_backend_and_dashboard_start_in_the_image_and_stop_when_told(docker: Docker, image: str) -> None:
    port, dashboard_port = free_port(), free_port()
    settings = {
        "CHATOPS_HOST": "127.0.0.1",
        "CHATOPS_PORT": str(port),
        "CHATOPS_DASHBOARD_PORT": str(dashboard_port),
        "CHATOPS_API_URL": f"http://127.0.0.1:{port}",
        "NODE_EXTRA_CA_CERTS": str(CERTIFICATES),
        "CHATOPS_DATABASE_URL": os.environ.get("CHATOPS_TEST_DATABASE_URL", ""),
    }
    variables = [word for name, value in settings.items() for word in ("--env", f"{name}={value}")]
    run = ("run", "--detach", "--network", "host", *CONFINED, *variables, image, "chatops")
    containers = []
    try:
        for command, address in (
            ("server", f"http://127.0.0.1:{port}"),
            ("dashboard", f"http://127.0.0.1:{dashboard_port}"),
        ):
            containers.append(docker(*run, command).strip())
            wait_until_ready(docker, containers[-1], f"{address}/ready")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/agent/wheel") as answer:
            assert json.load(answer)["filename"].endswith(".whl")
        for container in reversed(containers):
            docker("stop", "--time", "15", container)
            assert json.loads(docker("inspect", container))[0]["State"]["ExitCode"] == 0, docker("logs", container)
    finally:
        for container in containers:
            docker("rm", "--force", container)


def wait_until_ready(docker: Docker, container: str, url: str) -> None:
    deadline = time.monotonic() + 300
    while not answers(url):
        assert json.loads(docker("inspect", container))[0]["State"]["Running"], docker("logs", container)
        assert time.monotonic() < deadline, docker("logs", container)
        time.sleep(0.5)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
