"""S19: the key never leaves for a server whose certificate does not verify, nor over plain ws for another host."""

import asyncio
import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chatops_agent.connection import open_socket
from chatops_agent.settings import Settings

StartAgent = Callable[..., Any]
KEY = b"chatops_agent_this-is-the-canary-of-these-tests"

CA_CONFIG = """
[ca]
default_ca = here
[here]
dir = {directory}
database = $dir/index
serial = $dir/serial
new_certs_dir = $dir
default_md = sha256
policy = any
unique_subject = no
copy_extensions = copy
[any]
commonName = supplied
[req]
distinguished_name = name
prompt = no
[name]
commonName = ChatOps tests
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
subjectKeyIdentifier = hash
"""


class Authority:
    """A certificate authority made with the openssl command."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        (directory / "index").touch()
        (directory / "serial").write_text("01\n")
        self.config = directory / "config"
        self.config.write_text(CA_CONFIG.format(directory=directory))
        self.certificate = directory / "ca.pem"
        self._openssl(
            *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-config", self.config, "-extensions", "authority"),
            *("-days", "2", "-keyout", directory / "ca.key", "-out", self.certificate),
        )

    def server_context(self, name: str, valid_from: datetime, valid_to: datetime) -> ssl.SSLContext:
        certificate, key, request = (self.directory / f"{name}.{end}" for end in ("pem", "key", "csr"))
        self._openssl(
            *("req", "-newkey", "rsa:2048", "-nodes", "-config", self.config, "-subj", f"/CN={name}"),
            *("-addext", f"subjectAltName=DNS:{name}", "-keyout", key, "-out", request),
        )
        self._openssl(
            *("ca", "-batch", "-config", self.config, "-cert", self.certificate, "-keyfile", self.directory / "ca.key"),
            *("-startdate", f"{valid_from:%Y%m%d%H%M%SZ}", "-enddate", f"{valid_to:%Y%m%d%H%M%SZ}"),
            *("-in", request, "-out", certificate, "-notext"),
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        return context

    def _openssl(self, *arguments: str | Path) -> None:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=self.directory)


class Recorder:
    """A TCP server that answers with a fixed text, and remembers every byte it was ever sent."""

    def __init__(self, answer: bytes = b"") -> None:
        self.received = b""
        self.connections = 0
        self._answer = answer
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            with connection:
                self.connections += 1
                connection.settimeout(1)
                try:
                    while received := connection.recv(65536):
                        self.received += received
                        connection.sendall(self._answer)
                except OSError:
                    pass

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(5)


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    recorder = Recorder()
    yield recorder
    recorder.close()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


NOW = datetime.now(UTC)
YESTERDAY, TOMORROW = NOW - timedelta(days=1), NOW + timedelta(days=1)


def test_a_certificate_that_verifies_gets_the_key(authority: Authority, new_peer: Any, start_agent: StartAgent) -> None:
    with new_peer(authority.server_context("localhost", YESTERDAY, TOMORROW)) as peer:
        start_agent(peer.url, CHATOPS_CA_FILE=str(authority.certificate))
        peer.wait_until(lambda: len(peer.frames) >= 1)
        assert peer.hellos[0].api_key.encode() == KEY, "what the other tests look for does arrive when it may"


@pytest.mark.parametrize(
    ("name", "valid_from", "valid_to", "trusted", "says"),
    [
        ("localhost", YESTERDAY, TOMORROW, False, "unable to get local issuer certificate|self.signed certificate"),
        ("example.org", YESTERDAY, TOMORROW, True, "Hostname mismatch"),
        ("localhost", NOW - timedelta(days=9), YESTERDAY, True, "certificate has expired"),
        ("localhost", TOMORROW, NOW + timedelta(days=9), True, "certificate is not yet valid"),
    ],
    ids=["unknown authority", "wrong host", "expired", "not yet valid"],
)
def test_a_certificate_that_does_not_verify_never_gets_the_key(
    name: str,
    valid_from: datetime,
    valid_to: datetime,
    trusted: bool,
    says: str,
    authority: Authority,
    new_peer: Any,
    start_agent: StartAgent,
) -> None:
    with new_peer(authority.server_context(name, valid_from, valid_to)) as peer:
        agent = start_agent(peer.url, **({"CHATOPS_CA_FILE": str(authority.certificate)} if trusted else {}))
        agent.wait_for_log("the key was not sent")
        assert agent.stop() == 0
        assert any(reason in agent.log for reason in says.split("|"))
        assert peer.hellos == []
        assert peer.close_codes == [], "no WebSocket was opened"


def test_a_server_without_tls_behind_an_https_address_never_gets_the_key(
    start_agent: StartAgent, recorder: Recorder
) -> None:
    agent = start_agent(f"https://localhost:{recorder.port}")
    agent.wait_for_log("trying again")
    agent.stop()
    assert recorder.connections >= 1
    assert KEY not in recorder.received
    assert b"Upgrade" not in recorder.received, "not even the HTTP request"


def test_plain_ws_to_another_host_is_refused_before_anything_is_sent(
    start_agent: StartAgent, recorder: Recorder
) -> None:
    """0.0.0.0 would reach the recorder, and is not an address of loopback."""
    agent = start_agent(f"http://0.0.0.0:{recorder.port}")
    assert agent.process.wait(10) == 2
    assert "unencrypted; use https://" in agent.log
    assert recorder.connections == 0


def test_an_address_that_is_no_longer_this_hosts_gets_nothing(recorder: Recorder, tmp_path: Path) -> None:
    """Plain http goes to the host itself only, and its address can move. 203.0.113.9 is nobody's."""

    async def connect() -> None:
        settings = Settings(f"ws://127.0.0.1:{recorder.port}/", KEY.decode(), tmp_path, own_address="203.0.113.9")
        await open_socket(settings, None)

    with pytest.raises(OSError, match="while attempting to bind"):
        asyncio.run(connect())
    assert recorder.connections == 0


def test_a_redirect_takes_the_key_nowhere(start_agent: StartAgent, recorder: Recorder) -> None:
    there = f"ws://0.0.0.0:{recorder.port}/api/v1/agents/ws"
    redirecting = Recorder(f"HTTP/1.1 302 Found\r\nLocation: {there}\r\nContent-Length: 0\r\n\r\n".encode())
    try:
        agent = start_agent(f"http://localhost:{redirecting.port}")
        agent.wait_for_log("HTTP status 302")
        agent.stop()
        assert recorder.connections == 0
        assert KEY not in redirecting.received
    finally:
        redirecting.close()


def test_the_key_is_in_neither_the_arguments_nor_the_debug_output(peer: Any, tmp_path: Path) -> None:
    """Even with every logger at DEBUG, where the library would print whole messages."""
    program = (
        "import logging, sys; logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)\n"
        "from chatops_agent.cli import agent; agent()"
    )
    settings = {
        "CHATOPS_API_URL": peer.url,
        "CHATOPS_API_KEY": KEY.decode(),
        "CHATOPS_INTERVAL": "1",
        "CHATOPS_SPOOL_DIR": str(tmp_path / "spool"),
    }
    process = subprocess.Popen(
        [sys.executable, "-X", "dev", "-c", program], env={**os.environ, **settings}, stderr=subprocess.PIPE
    )
    peer.wait_until(lambda: len(peer.frames) >= 1)
    process.terminate()
    _, log = process.communicate(timeout=10)
    assert process.returncode == 0
    assert b"connected as server" in log
    assert KEY not in log
    assert b"> BINARY" not in log, "it shows the beginning of a message as hexadecimal numbers"
    assert b"Warning" not in log, log.decode()


def test_a_ca_file_without_certificates_is_a_clear_line(start_agent: StartAgent, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("not a certificate")
    agent = start_agent("https://localhost:1", CHATOPS_CA_FILE=str(tmp_path / "ca.pem"))
    assert agent.process.wait(10) == 2
    assert "holds no usable certificates" in agent.log
