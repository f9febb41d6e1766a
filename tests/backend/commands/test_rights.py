"""Whoever loses the right to give commands runs none either, at once."""

import secrets
import time
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.anyio

PASSWORD = "a password that is long enough"


class Operator:
    def __init__(self, backend) -> None:
        self.name = f"operator-{secrets.token_hex(4)}"
        account = {"username": self.name, "password": PASSWORD, "role": "operator"}
        self.id = backend.call("POST", "/users", json=account).raise_for_status().json()["id"]
        self.backend = backend
        self.log_in()

    def log_in(self) -> None:
        tokens = self.post("/auth/login", {"username": self.name, "password": PASSWORD}, token=None).json()
        self.token: str = tokens["access_token"]

    def post(self, path: str, body: Any = None, token: str | None = "own") -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}"} if token else {}
        return httpx.post(f"{self.backend.url}/api/v1{path}", json=body, headers=headers, trust_env=False, timeout=30)


def log_out(person: Operator) -> None:
    assert person.post("/auth/logout").status_code == 204


def change_the_password(person: Operator) -> None:
    """From elsewhere: the session that changes it goes on, others end."""
    elsewhere = Operator.__new__(Operator)
    elsewhere.backend, elsewhere.name = person.backend, person.name
    elsewhere.log_in()
    body = {"current_password": PASSWORD, "new_password": "another one that is long enough"}
    assert elsewhere.post("/auth/change-password", body).status_code == 204


def disable(person: Operator) -> None:
    person.backend.call("PATCH", f"/users/{person.id}", json={"active": False}).raise_for_status()


def demote(person: Operator) -> None:
    person.backend.call("PATCH", f"/users/{person.id}", json={"role": "viewer"}).raise_for_status()


def delete(person: Operator) -> None:
    person.backend.call("DELETE", f"/users/{person.id}").raise_for_status()


@pytest.mark.parametrize("lose", [log_out, change_the_password, disable, demote, delete])
async def test_a_running_command_ends_with_the_right_of_who_gave_it(host, lose) -> None:
    person = Operator(host.backend)
    running = person.post(f"/commands/{host.server_id}", {"argv": ["sleep", "100"], "timeout_s": 200}).json()["id"]
    host.wait(running, "running")
    began = time.monotonic()
    lose(person)
    ended = host.wait(running)
    assert time.monotonic() - began < 5
    assert (ended["state"], "has ended" in ended["detail"]) == ("cancelled", True)


async def test_what_waits_is_not_run_any_more_either(new_host) -> None:
    away = new_host(started=False)
    person = Operator(away.backend)
    waiting = person.post(f"/commands/{away.server_id}", {"argv": ["true"]}).json()["id"]
    disable(person)
    assert away.wait(waiting)["state"] == "cancelled"


async def test_when_the_agents_key_is_revoked_what_it_runs_is_ended_on_the_host(new_host, tmp_path) -> None:
    host = new_host()
    beat = tmp_path / "beat"
    script = f"while true; do date +%s%N > {beat}; sleep 0.05; done"
    host.post(argv=["sh", "-c", script], timeout_s=600)
    host.until(beat.exists)
    (key,) = host.backend.call("GET", "/api-keys", params={"server_id": host.server_id}).json()["items"]
    host.backend.call("POST", f"/api-keys/{key['id']}/deactivate").raise_for_status()
    host.until(lambda: "refuses the API key" in host.log)
    began = time.monotonic()
    while True:
        last = beat.read_text()
        time.sleep(0.3)  # six beats
        if beat.read_text() == last:
            break
        assert time.monotonic() - began < 8


async def test_every_command_leaves_its_beginning_and_its_end_in_the_audit_log(host) -> None:
    command_id = host.run("sh", "-c", "exit 3")["id"]
    found = host.backend.call("GET", "/audit", params={"target_type": "command", "target_id": str(command_id)})
    entries = found.raise_for_status().json()["items"]
    assert [(one["action"], one["result"]) for one in entries] == [
        ("command.run", "failed"),
        ("command.run", "intended"),
    ]
    assert entries[1]["after"]["act"]["argv"] == ["sh", "-c", "exit 3"]
    assert entries[0]["after"] == {"state": "failed", "exit_code": 3}
    refused = host.post(argv=["true"], expires_s=0.001, wait_s=5).json()
    assert refused["state"] in ("expired", "ok")
    assert host.backend.call("GET", "/audit/verify").json()["valid"]
