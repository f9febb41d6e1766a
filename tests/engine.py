"""A real Docker Engine of a test's own: its socket, its data and its containers are the test's, and go with it.

Images are made of Debian's static busybox, since none can be fetched; containers have no network.
"""

import contextlib
import io
import os
import shutil
import signal
import socket
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

IMAGE = "chatops-test:1"
BUSYBOX = next((path for path in map(Path, ("/bin/busybox", "/usr/bin/busybox")) if path.exists()), None)
PROGRAMS = ("sh", "sleep", "echo", "cat", "true", "false", "yes", "printf")
START_WITHIN_S = 60.0
WITHIN_S = 30.0


def reason_to_skip() -> str | None:
    """Why there can be no engine here, if so."""
    if os.geteuid() != 0:
        return "starting a container engine needs root"
    if shutil.which("dockerd") is None:
        return "not installed: dockerd (Debian: docker.io)"
    if BUSYBOX is None:
        return "not installed: busybox (Debian: busybox-static), of which the containers are made"
    return None


class TestEngine:
    """`client` is the SDK's, for what a test does to the engine itself."""

    __test__ = False

    def __init__(self, socket_path: Path) -> None:
        self.socket = socket_path
        self.client = docker.APIClient(f"unix://{socket_path}", version="auto")

    def create(self, name: str, script: str, *, tty: bool = False, restart: str = "no", **settings: Any) -> str:
        """A container that runs a shell script, not started; return its id."""
        policy = {"Name": restart, "MaximumRetryCount": 0}
        host = self.client.create_host_config(network_mode="none", restart_policy=policy)
        container = self.client.create_container(
            IMAGE, ["sh", "-c", script], name=name, host_config=host, tty=tty, **settings
        )
        identifier: str = container["Id"]
        return identifier

    def run(self, name: str, script: str, **settings: Any) -> str:
        identifier = self.create(name, script, **settings)
        self.client.start(identifier)
        return identifier

    def remove(self, identifier: str) -> None:
        self.client.remove_container(identifier, force=True)

    def state(self, identifier: str) -> str:
        status: str = self.client.inspect_container(identifier)["State"]["Status"]
        return status

    def until(self, condition: Callable[[], bool], within_s: float = WITHIN_S) -> None:
        deadline = time.monotonic() + within_s
        while not condition():
            assert time.monotonic() < deadline, "in vain"
            time.sleep(0.05)

    def remove_all(self) -> None:
        for container in self.client.containers(all=True):
            with contextlib.suppress(docker.errors.APIError):
                self.remove(container["Id"])


@contextlib.contextmanager
def running_daemon(folder: Path) -> Iterator[Path]:
    """`dockerd` in `folder`; yields its socket. Skips the test where the machine does not let it run."""
    with (folder / "log").open("wb") as log:
        engine = subprocess.Popen(
            [
                "dockerd", "--iptables=false", "--bridge=none", "--storage-driver=vfs",
                "--host", f"unix://{folder}/socket", "--data-root", folder / "data",
                "--exec-root", folder / "exec", "--pidfile", folder / "pid",
            ],
            stdout=log,
            stderr=log,
            start_new_session=True,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + START_WITHIN_S
        while not (folder / "socket").is_socket():
            if engine.poll() is not None:
                last = (folder / "log").read_text().splitlines()[-1:]
                pytest.skip(f"no container engine can run here: {' '.join(last)}")
            assert time.monotonic() < deadline, (folder / "log").read_text()[-2000:]
            time.sleep(0.1)
        yield folder / "socket"
    finally:
        engine.send_signal(signal.SIGTERM)
        engine.wait(60)
        # The engine leaves its network name space mounted, and nothing could delete the folder.
        subprocess.run(["umount", folder / "exec/netns/default"], check=False, capture_output=True)
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def running_engine(folder: Path) -> Iterator[TestEngine]:
    with running_daemon(folder) as socket_path:
        engine = TestEngine(socket_path)
        engine.client.import_image_from_data(_busybox_image(), repository=IMAGE.split(":")[0], tag=IMAGE.split(":")[1])
        try:
            try:
                engine.run("probe", "true")
            except docker.errors.APIError as error:
                pytest.skip(f"an engine starts, but no container can run here: {error.explanation}")
            engine.remove_all()
            yield engine
        finally:
            engine.remove_all()
            engine.client.close()


def _busybox_image() -> bytes:
    assert BUSYBOX is not None
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        tar.add(BUSYBOX.resolve(), "bin/busybox")
        for name in PROGRAMS:
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "/bin/busybox"
            tar.addfile(link)
    return made.getvalue()


class Eavesdropper:
    """Stands on a socket before an engine and notes every request that goes through: `POST /v1.41/containers/…`."""

    def __init__(self, path: Path, target: Path) -> None:
        self.path, self._target = path, target
        self.requests: list[str] = []
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(path))
        self._listening.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            engine = socket.socket(socket.AF_UNIX)
            engine.connect(str(self._target))
            threading.Thread(target=self._pass_on, args=(client, engine, True), daemon=True).start()
            threading.Thread(target=self._pass_on, args=(engine, client, False), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, noting: bool) -> None:
        with contextlib.suppress(OSError), source:
            while data := source.recv(65_536):
                if noting:
                    for line in data.split(b"\r\n"):
                        if line.endswith(b" HTTP/1.1"):
                            self.requests.append(line.removesuffix(b" HTTP/1.1").decode())
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)
