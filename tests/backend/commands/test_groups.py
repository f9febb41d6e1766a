"""Commands on several hosts: who is meant, how many at a time, when it stops."""

import time

import pytest

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def fleet(new_host):
    hosts = [new_host() for _ in range(3)]
    for host in hosts:
        host.backend.call("PATCH", f"/servers/{host.server_id}", json={"tags": ["fleet"]}).raise_for_status()
    return hosts


def members(host, group_id: int) -> list[dict]:
    listed = host.backend.call("GET", "/commands", params={"group_id": group_id}).raise_for_status().json()["items"]
    return sorted(listed, key=lambda one: one["id"])


def ended(host, group_id: int) -> bool:
    return all(one["finished_at"] is not None for one in members(host, group_id))


async def test_all_with_a_tag_run_it(fleet) -> None:
    answer = fleet[0].backend.call("POST", "/commands", json={"tag": "fleet", "argv": ["true"]})
    assert answer.status_code == 202
    group = answer.json()
    assert [one["server_id"] for one in group["commands"]] == [host.server_id for host in fleet]
    fleet[0].until(lambda: ended(fleet[0], group["id"]))
    assert [one["state"] for one in members(fleet[0], group["id"])] == ["ok"] * 3


async def test_no_more_than_asked_for_run_at_a_time(fleet) -> None:
    body = {"server_ids": [host.server_id for host in fleet], "argv": ["sleep", "1.5"], "at_a_time": 1}
    group = fleet[0].backend.call("POST", "/commands", json=body).json()
    most = 0
    deadline = time.monotonic() + 30
    while not ended(fleet[0], group["id"]):
        assert time.monotonic() < deadline
        most = max(most, sum(one["state"] in ("sent", "running") for one in members(fleet[0], group["id"])))
    assert most == 1
    assert [one["state"] for one in members(fleet[0], group["id"])] == ["ok"] * 3


async def test_after_the_first_failure_the_rest_is_not_run(fleet, tmp_path) -> None:
    ran = tmp_path / "ran"
    script = f"echo x >> {ran}; exit 1"
    body = {"tag": "fleet", "argv": ["sh", "-c", script], "stop_after_failures": 1}
    group = fleet[0].backend.call("POST", "/commands", json=body).json()
    fleet[0].until(lambda: ended(fleet[0], group["id"]))
    states = [(one["state"], one["detail"]) for one in members(fleet[0], group["id"])]
    reason = "not run: 1 of the group did not end well"
    assert states == [("failed", ""), ("cancelled", reason), ("cancelled", reason)]
    assert ran.read_text() == "x\n"


async def test_a_cancelled_group_ends_what_runs_and_runs_no_more(fleet) -> None:
    body = {"tag": "fleet", "argv": ["sleep", "100"], "timeout_s": 200, "at_a_time": 2}
    group = fleet[0].backend.call("POST", "/commands", json=body).json()
    fleet[0].until(lambda: sum(one["state"] == "running" for one in members(fleet[0], group["id"])) == 2)
    assert fleet[0].backend.call("POST", f"/commands/groups/{group['id']}/cancel").status_code == 202
    fleet[0].until(lambda: ended(fleet[0], group["id"]))
    assert [one["state"] for one in members(fleet[0], group["id"])] == ["cancelled"] * 3
    assert members(fleet[0], group["id"])[2]["started_at"] is None


@pytest.mark.parametrize(
    "selection",
    [
        {},
        {"server_ids": []},
        {"server_ids": None},
        {"tag": None},
        {"tag": "nobody-has-this"},
        {"tag": ""},
        {"tag": "%"},
        {"server_ids": "all"},
        {"server_ids": ["all"]},
        {"server_ids": [None]},
        {"server_ids": [], "tag": None},
        {"all_servers": True},
        {"server_ids": [2_000_000_000]},
        {"server_ids": [-1]},
    ],
)
async def test_an_empty_or_wrong_selection_runs_nothing_and_is_an_error(fleet, selection, tmp_path) -> None:
    before = fleet[0].backend.call("GET", "/commands", params={"limit": 1}).json()["items"]
    answer = fleet[0].backend.call("POST", "/commands", json={"argv": ["touch", str(tmp_path / "ran")], **selection})
    assert answer.status_code in (400, 404), answer.text
    assert fleet[0].backend.call("GET", "/commands", params={"limit": 1}).json()["items"] == before


async def test_one_unknown_server_among_known_ones_runs_nothing(fleet) -> None:
    before = fleet[0].backend.call("GET", "/commands", params={"limit": 1}).json()["items"]
    body = {"server_ids": [fleet[0].server_id, 2_000_000_000], "argv": ["true"]}
    answer = fleet[0].backend.call("POST", "/commands", json=body)
    assert answer.status_code == 404
    assert "2000000000" in answer.json()["detail"]
    assert fleet[0].backend.call("GET", "/commands", params={"limit": 1}).json()["items"] == before
