"""Secrets travel through every flow of running processes and come back in no log, metric, error or audit entry; text
from outside forges no line of a log."""

import base64
import contextlib
import itertools
import re
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import psutil
import pyotp
import pytest
from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from chatops_backend.settings import Settings
from chatops_protocol.agent_messages import Authenticate, encode_msgpack
from tests.conftest import ADMIN_PASSWORD, NewSettings, free_port
from tests.engine import TestEngine, reason_to_skip
from tests.hosts import Host
from tests.reporting import LAYOUT
from tests.stack import Backend, Program, environment, running_backend

pytestmark = [pytest.mark.anyio, pytest.mark.faults]

FEWEST_CANARIES = 25
FORGERIES = 100
# Requests of all below whose body is no UTF-8 or without end, each of which is an event of the log.
UNDECODABLE = 9
FORGED = "2026-01-01 00:00:00,000 CRITICAL"
EVENT = re.compile(r"\d{4}-\d\d-\d\d[ T][\d:]{8}(,\d{3}|Z) (DEBUG|INFO|WARNING|ERROR|CRITICAL) [\w.]+:? ")


@dataclass
class Canaries:
    """Secrets by where they travelled, and what was said to whom sent them."""

    hidden: dict[str, str] = field(default_factory=dict)
    # What people are meant to find again where they put it: not in logs and metrics all the same.
    kept: dict[str, str] = field(default_factory=dict)
    answers: list[str] = field(default_factory=list)

    def new(self, where: str, *, kept: bool = False) -> str:
        assert where not in {**self.hidden, **self.kept}
        secret = f"canary{len(self.hidden) + len(self.kept)}x{secrets.token_hex(12)}"
        return (self.kept if kept else self.hidden).setdefault(where, secret)

    def given(self, where: str, secret: str) -> str:
        """A secret of the product's own making."""
        assert len(secret) >= 6, where
        return self.hidden.setdefault(where, secret)

    def said(self, answer: httpx.Response) -> httpx.Response:
        self.answers.append(f"{answer.status_code} {answer.headers} {answer.text}")
        return answer

    def found_in(self, text: str, *, also_kept: bool = False) -> list[str]:
        wanted = self.hidden | (self.kept if also_kept else {})
        forms = {where: (s, quote(s), base64.b64encode(s.encode()).decode()) for where, s in wanted.items()}
        return [where for where, written in forms.items() if any(form in text for form in written)]


@dataclass
class Running:
    backend: Backend
    dashboard: Program
    dashboard_url: str
    host: Host
    canaries: Canaries

    def post(self, path: str, body: Any = None, **arguments: Any) -> httpx.Response:
        """As nobody."""
        url = f"{self.backend.url}/api/v1{path}"
        return self.canaries.said(httpx.post(url, json=body, trust_env=False, timeout=30, **arguments))

    def call(self, method: str, path: str, body: Any = None, **arguments: Any) -> httpx.Response:
        """As the administrator."""
        return self.canaries.said(self.backend.call(method, path, json=body, **arguments))

    def stop(self) -> dict[str, str]:
        """End all of it and return what each printed."""
        self.host.stop()
        self.dashboard.stop()
        self.backend.stop()
        written = {path.name: path.read_text() for path in self.backend.settings.data_dir.glob("*.log")}
        return written | {"agent": self.host.log}


@contextlib.contextmanager
def _run(settings: Settings, folder: Path, docker: dict[str, str]) -> Iterator[Running]:
    canaries = Canaries()
    settings = replace(
        settings,
        secret_key=canaries.new("secret key") + "of-many-letters",
        dashboard_secret=canaries.new("dashboard secret") + "of-many-letters",
        allow_private_targets=True,
    )
    canaries.given("the administrator's password", ADMIN_PASSWORD)
    with running_backend(settings) as backend, contextlib.ExitStack() as ends:
        env = environment(settings) | {"CHATOPS_API_URL": backend.url}
        dashboard = Program(["dashboard"], env, settings.data_dir / "dashboard.log")
        ends.callback(_end, dashboard)
        host = Host(backend, folder, CHATOPS_ALLOW_COMMANDS="shell", **docker)
        ends.callback(host.stop)
        host.start()
        url = f"http://127.0.0.1:{settings.dashboard_port}"
        dashboard.wait_until_answers(f"{url}/ready")
        canaries.given("the agent's key", host.key)
        yield Running(backend, dashboard, url, host, canaries)


def _end(program: Program) -> None:
    if program.process.poll() is None:
        program.kill()


@dataclass
class Traces:
    """What the running parts left: what each printed, what people can read, and the metrics."""

    canaries: Canaries
    written: dict[str, str]
    shown: dict[str, str]
    metrics: str


@pytest.fixture(scope="module")
async def traces(
    new_settings: NewSettings, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Traces:
    engine: TestEngine | None = request.getfixturevalue("engine") if reason_to_skip() is None else None
    docker = {"CHATOPS_ALLOW_DOCKER": "control", "CHATOPS_DOCKER_SOCKET": str(engine.socket)} if engine else {}
    with _run(await new_settings(), tmp_path_factory.mktemp("canaries"), docker) as running:
        _people(running)
        _second_factor(running)
        _misplaced(running)
        _malformed(running)
        _channels(running)
        _sockets(running)
        _dashboard(running)
        _processes_and_commands(running)
        if engine is not None:
            _containers(running, engine)
        _what_is_kept(running)
        _forgeries(running)
        shown = {f"answer {n}": text for n, text in enumerate(running.canaries.answers)}
        for path in ("/users", "/alerts/channels", "/api-keys", "/auth/sessions", "/servers"):
            shown[path] = running.backend.call("GET", path).raise_for_status().text
        shown["audit log"] = _audit_log(running.backend)
        for path in ("/health", "/ready", "/schema/openapi.json"):
            shown[path] = httpx.get(running.backend.url + path, trust_env=False).raise_for_status().text
        metrics = httpx.get(f"{running.backend.url}/metrics", trust_env=False).raise_for_status().text
        return Traces(running.canaries, running.stop(), shown, metrics)


async def test_secrets_come_back_in_no_log_metric_error_or_audit_entry(traces: Traces) -> None:
    canaries, shown, written = traces.canaries, traces.shown, traces.written
    found = {name: canaries.found_in(text) for name, text in shown.items()}
    everywhere = {**written, "metrics": traces.metrics}
    found |= {name: canaries.found_in(text, also_kept=True) for name, text in everywhere.items()}
    assert {name: (where, shown.get(name, "")[:1000]) for name, where in found.items() if where} == {}
    # That there was something to find, and a way to find it.
    assert len(canaries.hidden) >= FEWEST_CANARIES
    assert sorted(written) == ["agent", "backend.log", "dashboard.log"]
    assert all(written.values())
    assert "channel.test" in shown["audit log"]
    assert "chatops_requests_total" in traces.metrics
    assert canaries.found_in(f"a log with {ADMIN_PASSWORD} in it") == ["the administrator's password"]


async def test_text_from_outside_forges_no_line_of_a_log(traces: Traces) -> None:
    for name, text in traces.written.items():
        assert [letter for letter in set(text) if letter != "\n" and not letter.isprintable()] == [], name
        # A traceback's lines are set off.
        lines = text.split("\n")
        forged = [line for line in lines if "forged-" in line]
        assert [line for line in forged if not (EVENT.match(line) or line.startswith("    | "))] == [], name
        assert [line for line in lines if line.startswith(FORGED)] == [], name
        events = [line for line in lines if EVENT.match(line)]
        for number in range(FORGERIES):
            assert sum(f"forged-{number:03}" in line for line in events) <= 1, (name, number)
    assert "forged-" in traces.written["dashboard.log"]
    backend = traces.written["backend.log"].splitlines()
    assert sum("could not be decoded" in line for line in backend) == UNDECODABLE


def _people(running: Running) -> None:
    new = running.canaries.new
    api = f"{running.backend.url}/api/v1"
    running.post("/auth/login", {"username": "admin", "password": new("wrong password")})
    running.post("/auth/login", {"username": "nobody", "password": new("password of nobody")})
    password = new("password of a new user")
    user = {"username": "ann", "password": password, "role": "operator"}
    user_id = running.call("POST", "/users", user).raise_for_status().json()["id"]
    assert running.call("POST", "/users", user).status_code == 409
    for body in (
        {"password": "short" + new("password, role wrong"), "username": "ben", "role": "chief"},
        user | {"id": 1},
    ):
        assert running.call("POST", "/users", body).status_code == 400
    reset = new("password that was reset")
    running.call("PUT", f"/users/{user_id}", {"password": reset}).raise_for_status()
    given = httpx.post(f"{api}/auth/login", json=user | {"password": reset} | {"role": None}, trust_env=False)
    assert running.canaries.said(given).status_code == 400
    tokens = _log_in(running, "ann", reset)
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    changed = {"current_password": new("current password, wrong"), "new_password": new("new password, refused")}
    assert running.post("/auth/change-password", changed, headers=headers).status_code in (400, 401, 403)
    changed = {"current_password": reset, "new_password": new("new password")}
    running.post("/auth/change-password", changed, headers=headers).raise_for_status()
    tokens = _log_in(running, "ann", changed["new_password"])
    pair = httpx.post(f"{api}/auth/refresh", json={"refresh_token": tokens["refresh_token"]}, trust_env=False).json()
    running.canaries.given("refresh token, renewed", pair["refresh_token"])
    # Of one that was used already.
    assert running.post("/auth/refresh", {"refresh_token": tokens["refresh_token"]}).status_code == 401
    assert running.post("/auth/refresh", {"refresh_token": new("refresh token, made up")}).status_code == 401
    running.post("/auth/logout", {"refresh_token": new("refresh token at log-out")})


def _log_in(running: Running, username: str, password: str) -> dict[str, str]:
    login = {"username": username, "password": password}
    answer = httpx.post(f"{running.backend.url}/api/v1/auth/login", json=login, trust_env=False).raise_for_status()
    tokens: dict[str, str] = answer.json()
    for kind in ("access_token", "refresh_token"):
        running.canaries.given(f"{kind} of {password}", tokens[kind])
    return tokens


def _second_factor(running: Running) -> None:
    new, given = running.canaries.new, running.canaries.given
    password = new("password beside a second factor")
    running.call("POST", "/users", {"username": "carl", "password": password, "role": "viewer"}).raise_for_status()
    headers = {"Authorization": f"Bearer {_log_in(running, 'carl', password)['access_token']}"}

    def ask(path: str, body: dict[str, str]) -> httpx.Response:
        """Not `said`: it answers with secrets."""
        url = f"{running.backend.url}/api/v1/auth/second-factor/{path}"
        return httpx.post(url, json=body, headers=headers, trust_env=False).raise_for_status()

    wrong = {"current_password": new("password at enrolment, wrong")}
    running.post("/auth/second-factor/enrol", wrong, headers=headers)
    enrolment = ask("enrol", {"current_password": password}).json()
    secret = given("secret of the second factor", enrolment["secret"])
    running.post("/auth/second-factor/confirm", {"totp_code": new("code, wrong")}, headers=headers)
    codes = ask("confirm", {"totp_code": pyotp.TOTP(secret).now()}).json()["recovery_codes"]
    for number, code in enumerate(codes):
        given(f"recovery code {number}", code)
    login = {"username": "carl", "password": password}
    assert running.post("/auth/login", login).status_code == 401
    assert running.post("/auth/login", login | {"totp_code": new("code at log-in, wrong")}).status_code == 401
    answer = httpx.post(
        f"{running.backend.url}/api/v1/auth/login", json=login | {"totp_code": codes[0]}, trust_env=False
    )
    given("access token by recovery code", answer.raise_for_status().json()["access_token"])
    assert running.post("/auth/login", login | {"totp_code": codes[0]}).status_code == 401


def _misplaced(running: Running) -> None:
    """Good and made-up credentials where none belong."""
    new, key = running.canaries.new, running.host.key
    url = running.backend.url
    token = running.backend.headers()["Authorization"].removeprefix("Bearer ")
    running.canaries.given("the administrator's access token", token)

    def get(path: str, **arguments: Any) -> None:
        running.canaries.said(httpx.get(url + path, trust_env=False, **arguments))

    for name, secret in (("access_token", token), ("token", new("token in an address")), ("api_key", key)):
        for path in ("/api/v1/servers", "/api/v1/metrics/query", "/health", "/nowhere", "/metrics"):
            get(path, params={name: secret})
    for header in ("Authorization", "X-Api-Key", "Proxy-Authorization", "Cookie"):
        get("/api/v1/servers", headers={header: f"Bearer {key}"})
        get("/api/v1/servers", headers={header: f"Bearer {new(f'token as {header}')}"})
    get("/api/v1/servers", headers={"Cookie": f"session={new('cookie to the backend')}"})
    get("/api/v1/servers", auth=("ann", new("password by Basic")))
    for path in ("/api/v1/servers/", "/nowhere/", "/api/v1/agent/wheel/", "/api/v1/agents/"):
        get(path + new(f"secret in the path {path}"))
        get(path + key)
    running.call("GET", "/metrics/query", params={"metric": new("secret as metric"), "start": key, "end": token})
    _raw(running, f"GET /health?token={new('token in what is not HTTP')} HTP/1.1\r\n\r\n".encode())
    _raw(running, f"GET /x?token={new('token beside a broken header')} HTTP/1.1\r\nHost x\r\n\r\n".encode())
    head = f"GET /api/v1/servers?token={new('token in no UTF-8')}&limit=\xff HTTP/1.1\r\nHost: x\r\n"
    _raw(running, f"{head}Authorization: Bearer {token}\r\n\r\n".encode("latin-1"))


def _raw(running: Running, request: bytes) -> None:
    """Send bytes of which some are no HTTP."""
    with socket.create_connection(("127.0.0.1", running.backend.settings.port), timeout=60) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        with contextlib.suppress(ConnectionError):
            while piece := connection.recv(65_536):
                answer += piece
        running.canaries.answers.append(answer.decode("latin-1"))


def _malformed(running: Running) -> None:
    new = running.canaries.new
    login = {"username": "admin", "password": "of no account here"}
    bodies: list[Any] = [
        login | {"password": [new("password in a list")]},
        login | {"password": {"of": new("password in an object")}},
        login | {"password": new("password, too long") * 100},
        login | {"passwort": new("password under another name")},
        [new("password in place of the body")],
        new("password as the body"),
        {"password": new("password without a name")},
        login | {"username": 5, "password": new("password beside a number")},
    ]
    for body in bodies:
        assert running.post("/auth/login", body).status_code == 400, body
    texts = [
        f'{{"username": "admin", "password": "{new("password, cut off")}',
        f'{{"username": "admin", "password": {new("password without quotes")}}}',
        f"username=admin&password={new('password of a form')}",
        f'{{"username": "admin", "password": "{new("password, not UTF-8")}\xff"}}',
        f'{{"password": {"[" * 5000}"{new("password in the depth")}"',
    ]
    for text in texts:
        for path in ("/auth/login", "/auth/refresh"):
            assert running.post(path, content=text.encode("latin-1")).status_code == 400, text[:100]
    for path in ("/users", "/alerts/channels", "/api-keys"):
        body = {"password": 5, "url": new(f"address to {path}"), "key": new(f"key to {path}")}
        assert running.call("POST", path, body).status_code == 400, path


def _channels(running: Running) -> None:
    """Nobody listens on the ports, one answers 403, and some addresses are none."""
    new = running.canaries.new
    refusing = free_port()
    addresses = {
        "webhook": [
            f"http://user:{new('password of a webhook')}@127.0.0.1:{refusing}/{new('path of a webhook')}",
            f"http://127.0.0.1:{running.backend.settings.port}/nowhere?token={new('query of a webhook')}",
        ],
        "apprise": [
            f"json://user:{new('password of a service')}@127.0.0.1:{refusing}/{new('path of a service')}",
            f"json://127.0.0.1:{running.backend.settings.port}/x?+Authorization=Bearer%20{new('header of a service')}",
        ],
    }
    for kind, urls in addresses.items():
        for number, url in enumerate(urls):
            channel = {"name": f"{kind} {number}", "type": kind, "url": url}
            made = running.call("POST", "/alerts/channels", channel)
            assert made.is_success, made.text
            path = f"/alerts/channels/{made.json()['id']}"
            tried = running.call("POST", f"{path}/test").raise_for_status()
            assert not tried.json()["delivered"]
            replaced = f"{url}/{new(f'address that replaces {kind} {number}')}"
            running.call("PUT", path, {"url": replaced}).raise_for_status()
            running.call("GET", path)
        bad = {"name": f"bad {kind}", "type": kind, "url": f"nothing:{new(f'bad address of {kind}')}"}
        assert running.call("POST", "/alerts/channels", bad).status_code == 400


def _sockets(running: Running) -> None:
    new = running.canaries.new
    base = running.backend.url.replace("http", "ws", 1) + "/api/v1"
    for address in (f"/ws/alerts?token={new('token to a socket')}", f"/agents/ws?api_key={running.host.key}"):
        with pytest.raises(WebSocketException), connect(base + address, proxy=None, open_timeout=60):
            pass
    hello = Authenticate(new("key to the agents' socket"), "test", {1: LAYOUT})
    messages: list[tuple[str, str | bytes]] = [
        ("/ws/alerts", f'{{"type": "auth", "access_token": "{new("token in a message")}"}}'),
        ("/ws/alerts", f'{{"type": "auth", "access_token": {new("token in no message")}'),
        ("/agents/ws", encode_msgpack(hello)),
        ("/agents/ws", new("key in no message").encode()),
        ("/agents/ws", new("key as text")),
    ]
    for address, message in messages:
        with connect(base + address, proxy=None, open_timeout=60) as peer:
            peer.send(message)
            running.canaries.answers += _until_closed(peer)


def _until_closed(peer: ClientConnection) -> list[str]:
    """What is said before the end, and why it is the end."""
    said: list[str] = []
    while True:
        try:
            said.append(str(peer.recv(timeout=20)))
        except WebSocketException as closed:
            return [*said, str(closed)]


def _dashboard(running: Running) -> None:
    new, said = running.canaries.new, running.canaries.said
    with _browser(running) as browser:
        browser.get("/login", params={"password": new("password in an address of the dashboard")})
        form = {"csrf": _login_form(browser), "username": "admin"}
        expired = {"csrf": new("form's secret, made up"), "password": new("password in a form that expired")}
        assert said(browser.post("/login", data=form | expired)).status_code == 403
        wrong = form | {"password": new("password to the dashboard, wrong")}
        assert said(browser.post("/login", data=wrong)).status_code == 401
        carl = {"username": "carl", "password": running.canaries.hidden["password beside a second factor"]}
        assert 'name="totp_code"' in said(browser.post("/login", data=form | carl)).text
        said(browser.post("/login", data=form | {"totp_code": new("code to the dashboard, wrong")}))
        entered = browser.post("/login", data=form | {"password": ADMIN_PASSWORD})
        assert entered.status_code == 303
        running.canaries.given("cookie of the dashboard", next(iter(entered.cookies.values())))
        for path in ("/", f"/servers/{new('secret in a path of the dashboard')}", "/_dash-layout"):
            browser.get(path)
        said(browser.post("/_dash-update-component", content=f'{{"output": {new("token in a broken callback")}'))
        said(browser.post("/logout", data={"csrf": new("secret of another form")}))
    with _browser(running) as stranger:
        said(stranger.get("/", headers={"Cookie": f"chatops_session={new('cookie, made up')}"}))


def _browser(running: Running) -> httpx.Client:
    url = running.dashboard_url
    return httpx.Client(base_url=url, headers={"Origin": url}, trust_env=False, timeout=30)


def _login_form(browser: httpx.Client) -> str:
    """The secret that makes a form of the log-in page good."""
    found = re.search(r'name="csrf" value="([^"]+)"', browser.get("/login").text)
    assert found is not None
    return found[1]


def _processes_and_commands(running: Running) -> None:
    new, host = running.canaries.new, running.host
    arguments = [f"--password={new('argument')}", "--token", new("argument after an option")]
    arguments += [f"postgresql://ann:{new('address as an argument')}@db/x"]
    env = {"APP_PASSWORD": new("environment of a process"), "PATH": "/usr/bin:/bin"}
    waiting = [sys.executable, "-c", "import sys; sys.stdin.read()", *arguments]
    with subprocess.Popen(waiting, stdin=subprocess.PIPE, env=env) as process:
        listed = running.call("GET", f"/processes/{host.server_id}").raise_for_status().json()["processes"]
        lines = [entry["command_line"] for entry in listed if entry["pid"] == process.pid]
        assert psutil.Process(process.pid).cmdline()[-4:] == arguments
        assert len(lines) == 1
        assert "--password=***" in lines[0]
    # What an operator has run is kept as it was asked for; the agent's own environment is not his.
    secret = new("argument of a command", kept=True)
    assert secret in host.run("echo", f"--password={secret}")["stdout"]
    assert host.run("no-such-program", secret)["state"] == "failed"
    running.canaries.answers.append(str(host.run("env")))


def _containers(running: Running, engine: TestEngine) -> None:
    name, server_id = f"canary-{secrets.token_hex(4)}", running.host.server_id
    engine.create(name, "true", environment={"API_TOKEN": running.canaries.new("environment of a container")})
    try:
        inspected = running.call("GET", f"/docker/{server_id}/containers/{name}").raise_for_status()
        assert inspected.json()["environment"]["API_TOKEN"] == "***"
        running.call("GET", f"/docker/{server_id}/containers").raise_for_status()
        running.call("POST", f"/docker/{server_id}/containers/{name}/start", params={"wait_s": 20}).raise_for_status()
    finally:
        engine.remove(name)


def _what_is_kept(running: Running) -> None:
    new, server_id = running.canaries.new, running.host.server_id
    value = {"name": "orders", "value": 1.0, "labels": {"shop": new("label of an import", kept=True)}}
    running.backend.call("POST", "/metrics/custom", params={"server_id": server_id}, json=[value]).raise_for_status()
    window = {"metric": "custom.value", "format": "csv", "start": "2020-01-01T00:00:00Z", "end": "2100-01-01T00:00:00Z"}
    running.call("GET", "/metrics/export", params=window)
    for content_type in ("application/vnd.apache.arrow.stream", "application/json"):
        body = new(f"import of {content_type} that is none").encode()
        refused = httpx.post(
            f"{running.backend.url}/api/v1/metrics/import",
            params={"measurement": "custom"},
            content=body,
            headers=running.backend.headers() | {"Content-Type": content_type},
            trust_env=False,
        )
        assert running.canaries.said(refused).status_code == 400


def _forgeries(running: Running) -> None:
    """A hundred texts that would be a line of a log, or drive a terminal, if they were written as they are."""
    ends = itertools.cycle(("\n", "\r\n", "\r", "\x1b[2K\x1b[1A", "\u2028", "\x85", "\x0b"))
    forgeries = (f"x{next(ends)}{FORGED} forged-{number:03} {chr(27)}[31mred" for number in range(FORGERIES))
    url, server_id = running.backend.url, running.host.server_id

    def take(count: int) -> list[str]:
        return list(itertools.islice(forgeries, count))

    with _browser(running) as browser:
        form = {"csrf": _login_form(browser), "username": "admin", "password": ADMIN_PASSWORD}
        assert browser.post("/login", data=form).status_code == 303
        for text in take(10):
            browser.get(f"/_dash-component-suites/{quote(text, safe='')}/x.js")
    for text in take(15):
        running.post("/auth/login", {"username": text, "password": "of nobody"})
    for text in take(10):
        running.call("POST", "/servers", {"name": text})
    for text in take(10):
        running.call("POST", "/users", {"username": text, "password": "long enough for one", "role": "viewer"})
    for text in take(5):
        channel = {"name": text, "type": "webhook", "url": f"http://127.0.0.1:{free_port()}/"}
        running.call("POST", "/alerts/channels", channel)
    for text in take(10):
        head = f"GET /api/v1/servers HTTP/1.1\r\nHost: x\r\nUser-Agent: {text}\r\n"
        _raw(running, f"{head}Connection: close\r\n\r\n".encode())
    for text in take(10):
        running.call("GET", f"/docker/{server_id}/containers/{quote(text, safe='')}")
    for text in take(10):
        body = b'{"username": "\xff"}'
        httpx.post(f"{url}/api/v1/auth/login/{quote(text, safe='')}", content=body, trust_env=False)
    for text in take(5):
        httpx.post(f"{url}/api/v1/auth/login", params={"x": text}, content=b'{"username": "\xff"}', trust_env=False)
    for text in take(5):
        running.host.run("sh", "-c", "exit 1", text)
    for text in take(10):
        socket_url = running.backend.agents_url
        with connect(socket_url, proxy=None, open_timeout=60) as peer, contextlib.suppress(WebSocketException):
            peer.send(encode_msgpack(Authenticate(text, text, {1: LAYOUT}, agent_version=text, platform=text)))
            peer.recv(timeout=20)
    assert next(forgeries, None) is None


def _audit_log(backend: Backend) -> str:
    texts, cursor = [], None
    while True:
        params = {"limit": 500} | ({"cursor": cursor} if cursor else {})
        page = backend.call("GET", "/audit", params=params).raise_for_status()
        texts.append(page.text)
        cursor = page.json().get("next_cursor")
        if cursor is None:
            return "".join(texts)
