"""Names that mean something else in an address: none reaches the engine as anything but a name."""

import re
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from chatops_agent.containers.control import Containers
from chatops_agent.containers.engine import Engine, EngineError, Found
from chatops_agent.containers.sampling import Sampler
from chatops_agent.counters import Counters
from chatops_protocol.container_messages import ControlContainer
from tests.engine import Eavesdropper, TestEngine

pytestmark = pytest.mark.anyio

VERBS = ("start", "stop", "restart", "pause", "unpause", "kill")
# All that an agent with every right ever asks of an engine.
EXPECTED = re.compile(
    r"GET /version"
    r"|GET /v1\.\d+/(containers/json\?\S*|events\?\S*"
    r"|containers/[A-Za-z0-9][A-Za-z0-9_.-]*/(json|stats\?\S*|logs\?\S*))"
    r"|POST /v1\.\d+/containers/[0-9a-f]{64}/(start|stop\?t=\d+|restart\?t=\d+|pause|unpause|kill)"
)


def hostile() -> list[str]:
    """More than three hundred."""
    targets = [
        "images/prune",
        "containers/prune",
        "containers/create",
        "volumes/prune",
        "containers/victim/exec",
        "containers/victim?force=1",
        "system/prune",
        "swarm/leave",
        "build",
        "info",
    ]
    steps = ["../", "..%2f", "%2e%2e/", "%2e%2e%2f", "..\\", "./", "/", "//", "victim/../", "victim/../../", ".../"]
    walks = [f"{step * depth}{target}" for step in steps for depth in (1, 2) for target in targets]
    marks = ["victim{}", "{}victim", "vic{}tim"]
    signs = [
        "?", "#", "&", ";", "%00", "%", "\\", " ", "\t", "\n", "\r\n", "\r\nHost: x\r\n\r\n", "\0", "\x7f", "$(id)",
        "`id`", "|", "*", "~", "'", '"', "<script>", "é", "․", "／", "\u202e", "{", "}", "[", "@", ":", "!", "+", ",",
    ]  # fmt: skip
    made = [mark.format(sign) for mark in marks for sign in signs]
    odd = ["", ".", "..", "-", "--help", "_x", ".victim", "-victim", "a" * 129, "f" * 1000, "json", "create", "prune"]
    return [*walks, *made, *odd]


def test_there_are_three_hundred() -> None:
    assert len(set(hostile())) >= 300


async def test_by_the_api_no_hostile_name_reaches_the_engine(new_host, engine: TestEngine, tmp_path: Path) -> None:
    victim = engine.run("victim", "exec sleep 1000")
    ear = Eavesdropper(tmp_path / "ear", engine.socket)
    host = new_host(CHATOPS_DOCKER_SOCKET=str(ear.path))
    backend = httpx.Client(base_url=f"{host.backend.url}/api/v1", headers=host.backend.headers(), trust_env=False)
    for place, name in enumerate(hostile()):
        path = f"/docker/{host.server_id}/containers/{quote(name, safe='')}"
        verb = VERBS[place % len(VERBS)]
        for method, whole in (("POST", f"{path}/{verb}"), ("GET", path), ("GET", f"{path}/logs")):
            answer = backend.request(method, whole, params={"timeout_s": 0} if method == "POST" else None)
            if answer.status_code == 200 and method == "POST":
                assert answer.json()["state"] == "failed", (name, answer.text)
            elif answer.status_code == 200:
                # "" and "." name the list; nothing else may be found.
                assert name in ("", "."), (name, answer.text)
            else:
                assert answer.status_code in (400, 404, 405), (name, answer.status_code, answer.text)
    found = host.backend.call("GET", f"/docker/{host.server_id}/containers/victim").json()
    assert (found["id"], found["state"]) == (victim, "running")
    assert [request for request in ear.requests if request.startswith("POST")] == []
    assert [request for request in ear.requests if not EXPECTED.fullmatch(request)] == []
    backend.close()
    host.stop()
    ear.close()


def test_by_itself_the_agent_lets_no_hostile_name_and_no_other_verb_through(engine: TestEngine, tmp_path: Path) -> None:
    ear = Eavesdropper(tmp_path / "ear", engine.socket)
    ours = Engine(str(ear.path))
    containers = Containers("control", ours, Sampler(ours, Counters()))
    victim = engine.run("victim-too", "exec sleep 1000")
    for place, name in enumerate(hostile()):
        # As a backend could that was taken over: the checks of the messages are left out.
        ending = containers.carry_out(ControlContainer(name, VERBS[place % len(VERBS)], 0))
        assert ending.state == "failed", name
        for ask in (ours.inspect, ours.statistics, lambda name: ours.open_log(name, 1, follow=False)):
            with pytest.raises(EngineError):
                ask(name)
        with pytest.raises(EngineError):
            ours.act("kill", Found(name, "x", {}), 0)
    for verb in ("remove", "exec", "kill?signal=1", "../prune", "", "__class__", "export"):
        with pytest.raises(KeyError):
            containers.carry_out(ControlContainer("victim-too", verb, 0))  # type: ignore[arg-type]
    assert engine.state(victim) == "running"
    assert [request for request in ear.requests if not EXPECTED.fullmatch(request)] == []
    assert not [request for request in ear.requests if request.startswith("POST")]
    for verb in VERBS:
        assert containers.carry_out(ControlContainer("victim-too", verb, 0)).state == "ok", verb
    acts = [request.split("/")[-1] for request in ear.requests if request.startswith("POST")]
    assert acts == ["start", "stop?t=0", "restart?t=0", "pause", "unpause", "kill"]
    ours.close()
    ear.close()
