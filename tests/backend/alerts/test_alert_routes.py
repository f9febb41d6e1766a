"""Alerts through the API: read with filters, acknowledged and resolved by people, and ended with their rule."""

import asyncio
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from chatops_backend.alerts.alert_change import AlertChange
from chatops_backend.alerts.outbox import enqueue
from chatops_protocol.alert_resources import Threshold
from tests.backend.alerts.rules import alerts_app, rule

pytestmark = pytest.mark.anyio

MISSING = 2_000_000_000
STARTED = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)


@pytest.fixture
def app(build_app, database, settings):
    return alerts_app(build_app, database, settings)


class Scene:
    """A rule, a server, a channel; alerts as the evaluator stores them."""

    def __init__(self, database: Any, api: Any) -> None:
        self.database, self.api = database, api

    async def prepare(self) -> "Scene":
        self.server_id = await self.database.fetchval(
            "INSERT INTO chatops.servers (name) VALUES ($1) RETURNING id", f"server {secrets.token_hex(6)}"
        )
        self.channel_id = await self.database.fetchval(
            "INSERT INTO chatops.channels (name, type, url) VALUES ($1, 'webhook', 'http://192.0.2.1') RETURNING id",
            f"channel {secrets.token_hex(6)}",
        )
        self.body = rule(channel_ids=[self.channel_id], runbook_url="https://runbooks.example/cpu")
        self.rule = (await self.api.post("/alerts/thresholds", json=self.body)).json()
        return self

    async def alert(self, state: str = "firing", level: str = "warning", labels: str = "{}", bound: str = "80") -> int:
        alert_id = await self.database.fetchval(
            "INSERT INTO chatops.alerts (threshold_id, server_id, labels, state, level, value, bound, window_s,"
            " pending_at, started_at) VALUES ($1, $2, $3::jsonb, $4, $5, 91.5, $6::jsonb, 300, $7, $7) RETURNING id",
            self.rule["id"], self.server_id, labels, state, level, bound, STARTED,
        )  # fmt: skip
        await self.database.execute(
            "INSERT INTO chatops.alert_events (time, alert_id, threshold_id, server_id, transition, level, value,"
            " bound, window_s) VALUES ($1, $2, $3, $4, 'fired', $5, 91.5, $6::jsonb, 300)",
            STARTED, alert_id, self.rule["id"], self.server_id, level, bound,
        )  # fmt: skip
        if state != "resolved":
            await self.database.execute(
                "INSERT INTO chatops.alert_states (threshold_id, server_id, labels, status, level, since, alert_id)"
                " VALUES ($1, $2, $3::jsonb, $4, $5, $6, $7)",
                self.rule["id"], self.server_id, labels, "pending" if state == "pending" else "firing", level, STARTED,
                alert_id,
            )  # fmt: skip
        return int(alert_id)

    async def tell(self, alert_id: int) -> None:
        """People were told that the alert fires."""
        change = AlertChange(
            alert_id=alert_id,
            threshold_id=self.rule["id"],
            threshold=msgspec.convert(self.rule["threshold"], Threshold),
            server_id=self.server_id,
            server_name="x",
            server_tags=[],
            labels={},
            transition="fired",
            level="warning",
            value=91.5,
            bound=80.0,
            window_s=300,
            started_at=STARTED.timestamp(),
            at=STARTED.timestamp(),
        )
        async with self.database.transaction() as transaction:
            await enqueue(transaction, [change], clock=STARTED.timestamp)

    async def told(self, alert_id: int) -> list[str]:
        rows = await self.database.fetch(
            "SELECT payload FROM chatops.notifications WHERE $1 = ANY(alert_ids) ORDER BY id", alert_id
        )
        return [change["transition"] for row in rows for change in msgspec.json.decode(row["payload"])["changes"]]

    async def states(self) -> int:
        count: int = await self.database.fetchval(
            "SELECT count(*) FROM chatops.alert_states WHERE threshold_id = $1", self.rule["id"]
        )
        return count


@pytest.fixture
async def scene(database, operator) -> Scene:
    return await Scene(database, operator.api).prepare()


async def test_an_alert_is_read_with_its_rule_its_server_and_what_decided_it(scene, viewer) -> None:
    alert_id = await scene.alert(labels='{"mountpoint": "/"}', bound="[5, 80]")
    detail = (await viewer.api.get(f"/alerts/{alert_id}")).json()
    alert = detail["alert"]
    assert (alert["threshold_name"], alert["metric"]) == (scene.body["name"], "host.cpu_percent")
    assert (alert["labels"], alert["value"], alert["bound"]) == ({"mountpoint": "/"}, 91.5, [5, 80])
    assert alert["runbook_url"] == "https://runbooks.example/cpu"
    assert alert["started_at"] == "2026-03-29T01:30:00Z"
    (event,) = detail["events"]
    assert (event["transition"], event["value"], event["bound"], event["actor"]) == ("fired", 91.5, [5, 80], None)
    assert (await viewer.api.get(f"/alerts/{MISSING}")).status_code == 404


async def test_alerts_are_listed_newest_first_by_pages_and_filters(scene, viewer) -> None:
    ids = [await scene.alert("resolved") for _ in range(3)] + [await scene.alert("firing", "critical")]
    other = await Scene(scene.database, scene.api).prepare()
    await other.alert()
    mine = {"threshold_id": scene.rule["id"]}

    async def found(**filters: Any) -> list[int]:
        answer = await viewer.api.get("/alerts", params=mine | filters)
        assert answer.status_code == 200, answer.text
        return [alert["id"] for alert in answer.json()["items"]]

    assert await found() == ids[::-1]
    assert await found(state="firing") == ids[3:]
    assert await found(state=["firing", "resolved"], level="warning") == ids[2::-1]
    assert await found(server_id=other.server_id) == []
    first = (await viewer.api.get("/alerts", params=mine | {"limit": 3})).json()
    rest = (await viewer.api.get("/alerts", params=mine | {"limit": 3, "cursor": first["next_cursor"]})).json()
    assert [alert["id"] for page in (first, rest) for alert in page["items"]] == ids[::-1]
    assert rest["next_cursor"] is None


async def test_a_range_holds_what_fired_within_it_if_only_for_a_part(scene, viewer) -> None:
    async def fired(began: int | None, over: int | None, pending: int = 0) -> int:
        alert_id = await scene.alert("resolved")
        moments = [None if at is None else STARTED + timedelta(minutes=at) for at in (pending, began, over)]
        await scene.database.execute(
            "UPDATE chatops.alerts SET pending_at = $2, started_at = $3, resolved_at = $4 WHERE id = $1",
            alert_id, *moments,
        )  # fmt: skip
        return alert_id

    before, into, within = await fired(0, 9), await fired(0, 10), await fired(12, 15)
    out_of, pending, after = await fired(19, None, -5), await fired(None, None, 11), await fired(20, 21, 11)

    async def found(start: int | None, end: int | None) -> list[int]:
        params = {"server_id": scene.server_id} | {
            name: (STARTED + timedelta(minutes=at)).isoformat()
            for name, at in (("start", start), ("end", end))
            if at is not None
        }
        return [alert["id"] for alert in (await viewer.api.get("/alerts", params=params)).json()["items"]][::-1]

    assert await found(10, 20) == [into, within, out_of, pending]
    assert await found(10, None) == [into, within, out_of, pending, after]
    assert await found(None, 10) == [before, into]
    assert await found(-20, -10) == []


@pytest.mark.parametrize(
    "query",
    [
        *("state=open", "level=high", "limit=0", "cursor=x", "server_id=x", "threshold_id=-1"),
        *("start=yesterday", "start=2026-11-24T10:00:00Z&end=2026-11-24T10:00:00Z"),
    ],
)
async def test_a_filter_that_cannot_be_is_refused(viewer, query) -> None:
    assert (await viewer.api.get(f"/alerts?{query}")).status_code == 400


async def test_acknowledging_is_kept_with_who_and_why_and_the_first_one_counts(scene, new_person) -> None:
    alert_id = await scene.alert()
    first, second = await new_person("operator"), await new_person("operator")
    answer = await first.api.post(f"/alerts/{alert_id}/acknowledge", json={"comment": "disk is on its way"})
    assert answer.status_code == 200, answer.text
    alert = answer.json()["alert"]
    assert (alert["state"], alert["acknowledged_by"]) == ("acknowledged", first.username)
    assert (alert["comment"], alert["acknowledged_at"] is not None) == ("disk is on its way", True)
    event = answer.json()["events"][-1]
    assert (event["transition"], event["actor"], event["comment"]) == (
        "acknowledged",
        first.username,
        "disk is on its way",
    )
    again = await second.api.post(f"/alerts/{alert_id}/acknowledge", json={"comment": "me too"})
    assert (again.status_code, again.json()) == (200, answer.json())
    assert await scene.states() == 1


@pytest.mark.parametrize("state", ["pending", "resolved"])
async def test_what_does_not_fire_can_be_neither_acknowledged_nor_resolved(scene, state) -> None:
    alert_id = await scene.alert(state)
    for act in ("acknowledge", "resolve"):
        answer = await scene.api.post(f"/alerts/{alert_id}/{act}", json={})
        assert answer.status_code == 409
        assert str(alert_id) in answer.json()["detail"]
        assert (await scene.api.post(f"/alerts/{MISSING}/{act}", json={})).status_code == 404
    detail = (await scene.api.get(f"/alerts/{alert_id}")).json()
    assert (detail["alert"]["state"], len(detail["events"])) == (state, 1)


@pytest.mark.parametrize("acknowledged", [False, True])
async def test_resolving_ends_an_alert_tells_who_was_told_and_starts_anew(scene, operator, acknowledged) -> None:
    alert_id = await scene.alert()
    await scene.tell(alert_id)
    if acknowledged:
        await scene.api.post(f"/alerts/{alert_id}/acknowledge", json={})
    answer = await scene.api.post(f"/alerts/{alert_id}/resolve")
    assert answer.status_code == 200, answer.text
    assert (answer.json()["alert"]["state"], answer.json()["alert"]["resolved_at"] is not None) == ("resolved", True)
    assert (answer.json()["events"][-1]["transition"], answer.json()["events"][-1]["actor"]) == (
        "resolved",
        operator.username,
    )
    assert await scene.states() == 0
    assert await scene.told(alert_id) == ["fired", "resolved"]
    assert (await scene.api.post(f"/alerts/{alert_id}/resolve")).status_code == 409
    await scene.alert()  # the series may fire again


async def test_why_an_alert_was_resolved_is_kept_beside_why_it_was_acknowledged(scene, operator) -> None:
    alert_id = await scene.alert()
    await scene.api.post(f"/alerts/{alert_id}/acknowledge", json={"comment": "looking"})
    too_long = await scene.api.post(f"/alerts/{alert_id}/resolve", json={"comment": "x" * 2001})
    assert (too_long.status_code, too_long.json()["extra"][0]["key"]) == (400, "comment")
    answer = await scene.api.post(f"/alerts/{alert_id}/resolve", json={"comment": "a log grew"})
    assert answer.status_code == 200, answer.text
    acts = [(event["actor"], event["comment"]) for event in answer.json()["events"][1:]]
    assert acts == [(operator.username, "looking"), (operator.username, "a log grew")]
    assert answer.json()["alert"]["comment"] == "looking"


async def test_of_two_who_resolve_at_once_one_is_told_that_it_is_over(scene) -> None:
    alert_id = await scene.alert()
    answers = await asyncio.gather(*(scene.api.post(f"/alerts/{alert_id}/resolve") for _ in range(2)))
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    events = (await scene.api.get(f"/alerts/{alert_id}")).json()["events"]
    assert [event["transition"] for event in events] == ["fired", "resolved"]


async def test_viewers_neither_acknowledge_nor_resolve(scene, viewer) -> None:
    alert_id = await scene.alert()
    for act in ("acknowledge", "resolve"):
        assert (await viewer.api.post(f"/alerts/{alert_id}/{act}", json={})).status_code == 403


@pytest.mark.parametrize(
    "changes",
    [
        {"enabled": False},
        {"metric": "host.load_1m"},
        {"window_s": 600},
        {"all_servers": False, "tag": "others"},
    ],
)
async def test_a_rule_that_is_off_or_watches_otherwise_ends_its_alerts(scene, changes) -> None:
    alert_id, pending = await scene.alert(), await scene.alert("pending", labels='{"a": "b"}')
    await scene.tell(alert_id)
    answer = await scene.api.put(f"/alerts/thresholds/{scene.rule['id']}", json=scene.body | changes)
    assert answer.status_code == 200, answer.text
    assert (await scene.api.get(f"/alerts/{alert_id}")).json()["alert"]["state"] == "resolved"
    assert (await scene.api.get(f"/alerts/{pending}")).status_code == 404
    assert await scene.states() == 0
    assert await scene.told(alert_id) == ["fired", "resolved"]


@pytest.mark.parametrize(
    "changes",
    [{"channel_ids": [], "repeat_s": 600}, {"for_s": 60, "critical": 99}, {"all_servers": False, "server_ids": "its"}],
)
async def test_a_rule_that_still_watches_the_same_of_a_server_keeps_its_alerts(scene, changes) -> None:
    alert_id = await scene.alert()
    changed = scene.body | changes
    if "server_ids" in changed:
        changed["server_ids"] = [scene.server_id]
    assert (await scene.api.put(f"/alerts/thresholds/{scene.rule['id']}", json=changed)).status_code == 200
    assert (await scene.api.get(f"/alerts/{alert_id}")).json()["alert"]["state"] == "firing"
    assert await scene.states() == 1


async def test_who_was_told_hears_of_the_end_when_the_rule_is_deleted(scene) -> None:
    alert_id = await scene.alert()
    await scene.tell(alert_id)
    assert (await scene.api.delete(f"/alerts/thresholds/{scene.rule['id']}")).status_code == 204
    assert await scene.told(alert_id) == ["fired", "resolved"]


async def test_what_a_rule_fired_stays_when_it_is_deleted_and_nothing_else_of_it(scene, operator) -> None:
    past, pending = await scene.alert("resolved"), await scene.alert("pending", labels='{"a": "b"}')
    firing = await scene.alert()
    before = (await scene.api.get(f"/alerts/{past}")).json()["alert"]
    assert before["threshold_deleted"] is False
    address = f"/alerts/thresholds/{scene.rule['id']}"
    assert (await scene.api.delete(address)).status_code == 204
    assert (await scene.api.get(f"/alerts/{past}")).json()["alert"] == before | {"threshold_deleted": True}
    detail = (await scene.api.get(f"/alerts/{firing}")).json()
    assert (detail["alert"]["state"], detail["alert"]["threshold_name"]) == ("resolved", scene.body["name"])
    assert [(event["transition"], event["actor"], event["comment"]) for event in detail["events"]][1:] == [
        ("resolved", operator.username, "the rule was deleted")
    ]
    assert (await scene.api.get(f"/alerts/{pending}")).status_code == 404
    listed = (await scene.api.get("/alerts", params={"threshold_id": scene.rule["id"]})).json()["items"]
    assert [alert["id"] for alert in listed] == [firing, past]
    # The rule itself is gone for everybody, and its name is free.
    assert [(await scene.api.get(address)).status_code, (await scene.api.delete(address)).status_code] == [404, 404]
    assert (await scene.api.put(address, json=scene.body)).status_code == 404
    replay = {"threshold_id": scene.rule["id"], "start": "2026-03-28T00:00:00Z", "end": "2026-03-30T00:00:00Z"}
    assert (await scene.api.post("/alerts/thresholds/backtest", json=replay)).status_code == 404
    answer = await scene.api.get("/alerts/thresholds", params={"limit": 500})
    assert answer.status_code == 200, answer.text
    assert scene.rule["id"] not in [rule["id"] for rule in answer.json()["items"]]
    assert (await scene.api.post("/alerts/thresholds", json=scene.body)).status_code == 201
