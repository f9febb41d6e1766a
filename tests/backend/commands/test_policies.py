"""What hosts allow is told of connected agents, to whoever may see their servers."""

import secrets

import httpx

from tests.backend.commands.conftest import NewHost
from tests.hosts import Host
from tests.stack import Backend


def policies(backend: Backend, token: str | None = None) -> dict[int, str]:
    headers = backend.headers() if token is None else {"Authorization": f"Bearer {token}"}
    answer = httpx.get(f"{backend.url}/api/v1/commands/policies", headers=headers, trust_env=False).raise_for_status()
    return {one["server_id"]: one["command_policy"] for one in answer.json()["policies"]}


def test_each_connected_host_says_what_it_allows(backend: Backend, host: Host, new_host: NewHost) -> None:
    off = new_host(CHATOPS_ALLOW_COMMANDS="off")
    known = policies(backend)
    assert (known[host.server_id], known[off.server_id]) == ("shell", "off")
    off.stop()
    off.until(lambda: off.server_id not in policies(backend))


def test_hosts_that_somebody_may_not_see_are_not_told_of(backend: Backend, host: Host, new_host: NewHost) -> None:
    other = new_host()
    login = {"username": f"limited-{secrets.token_hex(4)}", "password": "a password to log in"}
    user = {**login, "role": "viewer", "all_servers": False, "server_ids": [other.server_id]}
    backend.call("POST", "/users", json=user).raise_for_status()
    token = backend.call("POST", "/auth/login", json=login).raise_for_status().json()["access_token"]
    assert host.server_id in policies(backend)
    assert list(policies(backend, token)) == [other.server_id]
