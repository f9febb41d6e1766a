"""Rules through the API: what is refused and why, what is kept, and what a change does to open alerts."""

import asyncio
from typing import Any

import msgspec
import pytest

from chatops_backend.alerts.rule_faults import faults_of
from chatops_backend.alerts.starting_set import STARTING_SET, ensure_starting_set
from chatops_backend.database.open import open_database
from chatops_protocol.alert_resources import Threshold
from tests.backend.alerts.rules import alerts_app, rule

pytestmark = pytest.mark.anyio

MISSING = 2_000_000_000
# What is wrong, and which field the refusal names.
WRONG = [
    (rule(metric="host.cpu_percnt"), "metric"),
    (rule(metric="cpu"), "metric"),
    (rule(metric=None), "metric"),
    (rule(labels={"mountpoint": "/"}), "labels"),
    (rule(metric="filesystem.used_percent", labels={"mount": "/"}), "labels"),
    (rule(metric="filesystem.used_percent", labels={"mountpoint": "nul\0"}), "labels"),
    (rule(metric="custom.value", labels={"labels": "no json"}), "labels"),
    (rule(metric="custom.value", labels={"labels": '{"a": "\\u0000"}'}), "labels"),
    (rule(all_servers=None), "server_ids"),
    (rule(all_servers=None, server_ids=[]), "server_ids"),
    (rule(all_servers=True, tag="web"), "server_ids"),
    (rule(all_servers=None, server_ids=[1], tag="web"), "server_ids"),
    (rule(all_servers=None, server_ids=[MISSING]), "server_ids"),
    (rule(all_servers=None, server_ids=[2**40]), "server_ids"),
    (rule(channel_ids=[MISSING]), "channel_ids"),
    (rule(escalate_channel_ids=[MISSING], escalate_after_s=60), "escalate_channel_ids"),
    (rule(escalate_after_s=60), "escalate_channel_ids"),
    (rule(warning=None, critical=None, clear=None), "critical"),
    (rule(warning=None, critical=None), "critical"),
    (rule(warning=96), "warning"),
    (rule(warning=95), "warning"),
    (rule(comparison="lt", clear=99), "warning"),
    (rule(comparison="lte", warning=95, critical=80, clear=99, metric="host.cpu"), "metric"),
    (rule(clear=81), "clear"),
    (rule(warning=None, clear=96), "clear"),
    (rule(comparison="lt", warning=20, critical=10, clear=19), "clear"),
    (rule(comparison="outside"), "warning"),
    (rule(comparison="outside", warning=[10, 90], critical=[5, 95], clear=[5, 90]), "clear"),
    (rule(comparison="outside", warning=[5, 90], critical=[10, 95], clear=None), "warning"),
    (rule(comparison="outside", warning=[90, 10], critical=None, clear=None), "warning"),
    (rule(comparison="outside", warning=[10, 10], critical=None, clear=None), "warning"),
    (rule(warning=[10, 90]), "warning"),
    (rule(clear=[10, 90]), "clear"),
    (rule(window_s=90), "window_s"),
    (rule(window_s=21_660), "window_s"),
    (rule(window_s=25_500), "window_s"),
    (rule(kind="change"), "against_s"),
    (rule(kind="change", against_s=3600, window_s=7200), "window_s"),
    (rule(against_s=3600), "against_s"),
    (rule(within_s=3600), "within_s"),
    (rule(kind="forecast", window_s=3600), "within_s"),
    (rule(kind="forecast", window_s=3600, within_s=0), "within_s"),
    (rule(kind="forecast", within_s=3600, window_s=3540), "window_s"),
    (rule(kind="forecast", within_s=3600, window_s=3600, aggregate="max"), "aggregate"),
    (rule(kind="forecast", within_s=3600, window_s=3600, no_data="fire"), "no_data"),
    (rule(kind="offline"), "metric"),
    (rule(kind="offline", metric=None), "warning"),
    (rule(kind="offline", metric=None, warning=None, critical=None, clear=None, labels={"a": "b"}), "labels"),
    (rule(kind="offline", metric=None, warning=None, critical=None, clear=None, within_s=9), "within_s"),
    (rule(repeat_s=5), "repeat_s"),
]
# What is not even a rule; the refusal comes from decoding.
MALFORMED: list[Any] = [
    {},
    [],
    rule(name=""),
    rule(name=None),
    rule(unknown=1),
    rule(kind="other"),
    rule(comparison="eq"),
    rule(window_s=59),
    rule(window_s=604_801),
    rule(window_s=60.5),
    rule(for_s=-1),
    rule(warning="eighty"),
    rule(comparison="outside", warning=[1, 2, 3]),
    rule(server_ids=["1"]),
    rule(against_s=60),
    rule(runbook_url="javascript:alert(1)"),
]


@pytest.fixture
def app(build_app, database, settings):
    return alerts_app(build_app, database, settings)


@pytest.mark.parametrize(("body", "field"), WRONG, ids=str)
async def test_a_rule_that_cannot_work_is_refused_with_the_field_and_what_to_do(operator, body, field) -> None:
    answer = await operator.api.post("/alerts/thresholds", json=body)
    assert answer.status_code == 400, answer.text
    problem = answer.json()
    assert problem["title"] == "The rule is not valid"
    assert field in {item["key"] for item in problem["extra"]}
    assert f"`{field}`" in problem["detail"]


@pytest.mark.parametrize("body", MALFORMED, ids=str)
async def test_what_is_no_rule_is_refused(operator, body) -> None:
    assert (await operator.api.post("/alerts/thresholds", json=body)).status_code == 400


@pytest.mark.parametrize("number", ["1e999", "NaN", "Infinity"])
async def test_numbers_that_are_not_finite_are_refused(operator, number) -> None:
    body = msgspec.json.encode(rule(warning=None, clear=None)).replace(b"95", number.encode())
    headers = {"Content-Type": "application/json"}
    answer = await operator.api.post("/alerts/thresholds", content=body, headers=headers)
    assert answer.status_code == 400


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_are_a_fault(number) -> None:
    threshold = Threshold(name="x", metric="host.cpu_percent", all_servers=True, critical=number)
    assert [fault.field for fault in faults_of(threshold)] == ["critical"]


async def test_near_names_of_an_unknown_metric_are_told(operator) -> None:
    answer = await operator.api.post("/alerts/thresholds", json=rule(metric="host.cpu_percnt"))
    assert "host.cpu_percent" in answer.json()["detail"]


async def test_every_fault_is_told_at_once(operator) -> None:
    answer = await operator.api.post("/alerts/thresholds", json=rule(all_servers=None, warning=99, window_s=61))
    assert [item["key"] for item in answer.json()["extra"]] == ["server_ids", "window_s", "warning"]


@pytest.mark.parametrize(
    "body",
    [
        rule(),
        rule(warning=None, clear=95),
        rule(comparison="gte", clear=80),
        rule(comparison="lt", warning=20, critical=10, clear=20),
        rule(comparison="outside", warning=[10, 90], critical=[5, 90], clear=[10, 90]),
        rule(all_servers=None, tag="nobody-yet"),
        rule(window_s=21_600),
        rule(window_s=604_800),
        rule(kind="change", against_s=3600, window_s=3600),
        rule(kind="forecast", window_s=3600, within_s=86_400),
        rule(kind="offline", metric=None, warning=None, critical=None, clear=None, window_s=120),
        rule(metric="custom.value", labels={"name": "queue", "labels": '{"b":"1","a":"2"}'}),
    ],
)
async def test_a_good_rule_is_created_read_and_listed(operator, viewer, body) -> None:
    answer = await operator.api.post("/alerts/thresholds", json=body)
    assert answer.status_code == 201, answer.text
    stored = answer.json()
    assert {name: stored["threshold"][name] for name in body if name != "labels"} == {
        name: value for name, value in body.items() if name != "labels"
    }
    assert (await viewer.api.get(f"/alerts/thresholds/{stored['id']}")).json() == stored
    listed = (await viewer.api.get("/alerts/thresholds", params={"limit": 1000})).json()["items"]
    assert stored in listed


async def test_labels_that_are_json_are_kept_as_the_database_writes_them(operator, database) -> None:
    body = rule(metric="custom.value", labels={"labels": '{"bb":"1","a":"2"}'})
    stored = (await operator.api.post("/alerts/thresholds", json=body)).json()
    assert stored["threshold"]["labels"] == {"labels": '{"a": "2", "bb": "1"}'}


async def test_a_name_is_taken_whatever_its_case(operator) -> None:
    first, second = rule(), rule()
    await operator.api.post("/alerts/thresholds", json=first)
    other = (await operator.api.post("/alerts/thresholds", json=second)).json()
    answer = await operator.api.post("/alerts/thresholds", json=rule(name=first["name"].upper()))
    assert (answer.status_code, answer.json()["title"]) == (409, "Name taken")
    answer = await operator.api.put(f"/alerts/thresholds/{other['id']}", json=rule(name=first["name"].upper()))
    assert (answer.status_code, answer.json()["title"]) == (409, "Name taken")
    assert (await operator.api.get(f"/alerts/thresholds/{other['id']}")).json() == other


async def test_a_rule_is_replaced_and_deleted(operator, viewer) -> None:
    stored = (await operator.api.post("/alerts/thresholds", json=rule())).json()
    address = f"/alerts/thresholds/{stored['id']}"
    changed = await operator.api.put(address, json=rule(name=stored["threshold"]["name"], critical=99))
    assert (changed.status_code, changed.json()["threshold"]["critical"]) == (200, 99)
    assert changed.json()["updated_at"] > stored["updated_at"]
    assert (await operator.api.put(address, json=rule(critical=1))).status_code == 400
    assert (await operator.api.delete(address)).status_code == 204
    assert (await viewer.api.get(address)).status_code == 404
    assert (await operator.api.put(address, json=rule())).status_code == 404
    assert (await operator.api.delete(address)).status_code == 404


async def test_viewers_read_rules_and_write_none(operator, viewer) -> None:
    stored = (await operator.api.post("/alerts/thresholds", json=rule())).json()
    assert (await viewer.api.post("/alerts/thresholds", json=rule())).status_code == 403
    assert (await viewer.api.put(f"/alerts/thresholds/{stored['id']}", json=rule())).status_code == 403
    assert (await viewer.api.delete(f"/alerts/thresholds/{stored['id']}")).status_code == 403


async def test_pages_of_rules_follow_each_other(operator) -> None:
    for _ in range(3):
        await operator.api.post("/alerts/thresholds", json=rule())
    seen: list[int] = []
    cursor: str | None = None
    while cursor is not None or not seen:
        params = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        answer = (await operator.api.get("/alerts/thresholds", params=params)).json()
        seen += [item["id"] for item in answer["items"]]
        cursor = answer["next_cursor"]
    assert len(seen) >= 3
    assert seen == sorted(set(seen))


async def test_a_rule_that_cannot_be_read_is_listed_as_broken_saved_anew_and_deleted(operator, database) -> None:
    name = rule()["name"]
    for act in ("PUT", "DELETE"):
        rule_id = await database.fetchval(
            "INSERT INTO chatops.thresholds (name, definition) VALUES ($1, '{\"surprise\": 1}') RETURNING id", name
        )
        address = f"/alerts/thresholds/{rule_id}"
        listed = (await operator.api.get("/alerts/thresholds", params={"limit": 1000})).json()["items"]
        (found,) = (item for item in listed if item["id"] == rule_id)
        assert found == (await operator.api.get(address)).json()
        assert (found["threshold"]["name"], found["threshold"]["enabled"]) == (name, False)
        assert "cannot be read" in found["broken"]
        if act == "PUT":
            saved = await operator.api.put(address, json=rule())
            assert (saved.status_code, saved.json()["broken"]) == (200, None)
        else:
            assert (await operator.api.delete(address)).status_code == 204


def test_the_starting_set_has_no_fault() -> None:
    assert [fault for threshold in STARTING_SET.values() for fault in faults_of(threshold)] == []
    names = [threshold.name for threshold in STARTING_SET.values()]
    assert len(set(names)) == len(names)


async def test_the_starting_set_is_made_once_and_what_was_deleted_or_changed_stays_so(new_settings) -> None:
    async with open_database(await new_settings()) as database:
        await asyncio.gather(ensure_starting_set(database), ensure_starting_set(database))
        rows = await database.fetch("SELECT id, name, enabled FROM chatops.thresholds ORDER BY id")
        assert [row["name"] for row in rows] == [threshold.name for threshold in STARTING_SET.values()]
        assert all(row["enabled"] for row in rows)
        await database.execute("DELETE FROM chatops.thresholds WHERE id = $1", rows[0]["id"])
        await database.execute("UPDATE chatops.thresholds SET name = 'mine' WHERE id = $1", rows[1]["id"])
        await ensure_starting_set(database)
        left = await database.fetch("SELECT name FROM chatops.thresholds ORDER BY id")
        assert [row["name"] for row in left] == ["mine", *(row["name"] for row in rows[2:])]
