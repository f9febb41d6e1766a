"""Rules over real roll-ups: what fires, what is stored with it, and that two backends never fire twice."""

import asyncio
from datetime import timedelta

import msgspec
import pytest

from chatops_backend.alerts.evaluator import Evaluator
from chatops_backend.alerts.late import PATIENCE_S, LateReadings
from chatops_backend.database.lease import Lease
from tests.backend.alerts.fleet import Fleet

pytestmark = pytest.mark.anyio


async def test_a_breach_fires_once_and_resolves_once(fleet: Fleet) -> None:
    server_id = await fleet.server()
    await fleet.rule(server_ids=[server_id], warning=80.0, critical=95.0, window_s=60)
    await fleet.cpu(server_id, 97.0)
    assert await fleet.evaluate() == 1
    assert await fleet.evaluate() == 0
    [alert] = await fleet.alerts(server_id)
    assert (alert["state"], alert["level"], alert["value"], alert["bound"]) == ("firing", "critical", 97.0, "95.0")
    await fleet.cpu(server_id, 10.0, minutes_ago=0)
    assert await fleet.evaluate(after_minutes=1) == 1
    [alert] = await fleet.alerts(server_id)
    assert alert["state"] == "resolved"
    assert fleet.told.kinds() == ["fired", "resolved"]
    events = await fleet.database.fetch("SELECT transition FROM chatops.alert_events ORDER BY time, transition")
    assert [event["transition"] for event in events] == ["fired", "resolved"]


async def test_a_rule_waits_for_its_duration_and_forgets_a_short_breach(fleet: Fleet) -> None:
    server_id = await fleet.server()
    await fleet.rule(server_ids=[server_id], warning=80.0, window_s=60, for_s=120)
    await fleet.cpu(server_id, 90.0)
    await fleet.evaluate()
    assert [alert["state"] for alert in await fleet.alerts(server_id)] == ["pending"]
    await fleet.cpu(server_id, 20.0, minutes_ago=0)
    await fleet.evaluate(after_minutes=1)
    assert await fleet.alerts(server_id) == []
    await fleet.cpu(server_id, 90.0, minutes_ago=-1, minutes=4)
    for minute in (2, 3, 4):
        await fleet.evaluate(after_minutes=minute)
    assert [alert["state"] for alert in await fleet.alerts(server_id)] == ["firing"]
    assert fleet.told.kinds() == ["fired"]


async def test_servers_are_selected_by_id_and_tag_and_an_empty_choice_is_none(fleet: Fleet) -> None:
    chosen, tagged, other = await fleet.server(), await fleet.server("prod"), await fleet.server()
    for server_id in (chosen, tagged, other):
        await fleet.cpu(server_id, 99.0)
    await fleet.rule(server_ids=[chosen], warning=50.0, window_s=60)
    await fleet.rule(tag="prod", warning=50.0, window_s=60)
    await fleet.rule(server_ids=[], warning=50.0, window_s=60)
    await fleet.rule(warning=50.0, window_s=60)
    assert await fleet.evaluate() == 2
    assert [len(await fleet.alerts(server_id)) for server_id in (chosen, tagged, other)] == [1, 1, 0]


async def test_each_label_is_a_series_of_its_own(fleet: Fleet) -> None:
    server_id = await fleet.server()
    for mountpoint, used in (("/", 91.0), ("/data", 97.0), ("/tmp", 10.0)):
        await fleet.database.execute(
            "INSERT INTO metrics.filesystem (time, server_id, mountpoint, device, filesystem_type, used_percent) "
            "VALUES ($1, $2, $3, 'd', 'ext4', $4)",
            fleet.now - timedelta(seconds=30),
            server_id,
            mountpoint,
            used,
        )
    await fleet.rule(all_servers=True, metric="filesystem.used_percent", warning=90.0, critical=95.0)
    await fleet.rule(all_servers=True, metric="filesystem.used_percent", warning=5.0, labels={"mountpoint": "/tmp"})
    await fleet.evaluate()
    found = {
        (msgspec.json.decode(alert["labels"])["mountpoint"], alert["level"]) for alert in await fleet.alerts(server_id)
    }
    assert found == {("/", "warning"), ("/data", "critical"), ("/tmp", "warning")}


@pytest.mark.parametrize(
    ("no_data", "expected"), [("ignore", ["resolved"]), ("keep", ["firing"]), ("fire", ["firing"])]
)
async def test_no_data_follows_the_rules_policy(fleet: Fleet, no_data: str, expected: list[str]) -> None:
    server_id = await fleet.server()
    await fleet.rule(server_ids=[server_id], warning=80.0, window_s=60, no_data=no_data)
    await fleet.cpu(server_id, 90.0)
    await fleet.evaluate()
    await fleet.evaluate(after_minutes=10)
    assert [alert["state"] for alert in await fleet.alerts(server_id)] == expected


async def test_a_silent_server_fires_where_no_data_counts(fleet: Fleet) -> None:
    server_id = await fleet.server()
    await fleet.rule(server_ids=[server_id], critical=80.0, window_s=60, no_data="fire")
    await fleet.evaluate()
    assert [alert["level"] for alert in await fleet.alerts(server_id)] == ["critical"]


async def test_a_host_that_is_down_is_told_once_and_holds_back_its_other_alerts(fleet: Fleet) -> None:
    server_id, never = await fleet.server(seen_ago_s=300), await fleet.server(seen_ago_s=None)
    await fleet.rule(kind="offline", metric=None, all_servers=True, window_s=60)
    await fleet.rule(server_ids=[server_id], warning=80.0, window_s=300)
    await fleet.cpu(server_id, 90.0, minutes_ago=3)
    await fleet.evaluate()
    down, busy = await fleet.alerts(server_id)
    assert (down["held_back_by"], busy["held_back_by"]) == (None, down["id"])
    assert await fleet.alerts(never) == []
    assert [change.alert_id for change in fleet.told.changes if change.notify] == [down["id"]]
    await fleet.seen(server_id, -600)
    await fleet.evaluate(after_minutes=10)
    assert {alert["state"] for alert in await fleet.alerts(server_id)} == {"resolved"}
    assert fleet.told.kinds() == ["fired", "resolved"], "what was never told needs no end"


async def test_the_end_of_what_was_told_is_told_also_when_a_silence_kept_a_later_rise_back(fleet: Fleet) -> None:
    server_id = await fleet.server()
    await fleet.rule(server_ids=[server_id], warning=80.0, window_s=60)
    await fleet.cpu(server_id, 90.0)
    await fleet.evaluate()
    await fleet.database.execute("UPDATE chatops.alerts SET first_notified_at = now(), silenced = true")
    await fleet.cpu(server_id, 10.0, minutes_ago=-4)
    await fleet.evaluate(after_minutes=5)
    assert fleet.told.kinds() == ["fired", "resolved"]


async def test_a_change_rule_compares_with_the_same_window_earlier(fleet: Fleet) -> None:
    steady, jumped = await fleet.server(), await fleet.server()
    for server_id, now_value in ((steady, 52.0), (jumped, 80.0)):
        await fleet.cpu(server_id, 50.0, minutes_ago=61)
        await fleet.cpu(server_id, now_value)
    await fleet.rule(kind="change", all_servers=True, against_s=3600, warning=20.0, window_s=60)
    await fleet.evaluate()
    assert await fleet.alerts(steady) == []
    assert [alert["value"] for alert in await fleet.alerts(jumped)] == [30.0]


async def test_a_forecast_fires_on_a_steady_rise_and_not_on_noise(fleet: Fleet) -> None:
    rising, noisy = await fleet.server(), await fleet.server()
    for minute in range(120):
        await fleet.cpu(rising, 40.0 + minute * 0.25, minutes_ago=120 - minute)
        await fleet.cpu(noisy, 60.0 + (minute * 37 % 31) - 15.0, minutes_ago=120 - minute)
    await fleet.rule(kind="forecast", all_servers=True, window_s=7200, within_s=7200, warning=95.0)
    await fleet.evaluate()
    assert len(await fleet.alerts(rising)) == 1
    assert await fleet.alerts(noisy) == []


async def test_a_rule_that_cannot_be_evaluated_is_shown_as_broken_and_the_others_go_on(fleet: Fleet) -> None:
    server_id = await fleet.server()
    gone = await fleet.rule(metric="host.no_such_field", all_servers=True, warning=1.0)
    unreadable: int = await fleet.database.fetchval(
        "INSERT INTO chatops.thresholds (name, definition) VALUES ('unreadable', '{\"surprise\": 1}') RETURNING id"
    )
    good = await fleet.rule(server_ids=[server_id], warning=80.0, window_s=60)
    await fleet.cpu(server_id, 90.0)
    assert await fleet.evaluate() == 1
    rows = await fleet.database.fetch("SELECT id, broken FROM chatops.thresholds")
    broken = {row["id"]: row["broken"] for row in rows}
    assert "no_such_field" in broken[gone]
    assert "cannot be read" in broken[unreadable]
    assert broken[good] is None


async def test_two_backends_at_once_never_fire_twice(fleet: Fleet) -> None:
    servers = [await fleet.server() for _ in range(20)]
    await fleet.rule(all_servers=True, warning=80.0, window_s=60)
    for server_id in servers:
        await fleet.cpu(server_id, 90.0)
    other = Evaluator(fleet.database, fleet.told)
    at = fleet.now.timestamp()
    await asyncio.gather(fleet.evaluator.evaluate(at), other.evaluate(at))
    assert fleet.told.kinds() == ["fired"] * 20
    assert [len(await fleet.alerts(server_id)) for server_id in servers] == [1] * 20


async def test_one_backend_holds_the_lease_until_it_gives_it_up_or_dies(fleet: Fleet) -> None:
    first, second = Lease(fleet.database, "test", 60), Lease(fleet.database, "test", 60)
    assert await first.hold()
    assert not await second.hold()
    assert await first.hold()
    await first.give_up()
    assert await second.hold()
    await fleet.database.execute("UPDATE chatops.leases SET until = now() - interval '1 second'")
    assert await first.hold(), "the other one died"


async def test_what_late_readings_show_is_recorded_once_and_told_to_nobody(fleet: Fleet) -> None:
    server_id = await fleet.server()
    await fleet.rule(server_ids=[server_id], warning=80.0, window_s=60)
    await fleet.cpu(server_id, 20.0, minutes_ago=60, minutes=20)
    await fleet.cpu(server_id, 95.0, minutes_ago=40, minutes=5)
    await fleet.cpu(server_id, 20.0, minutes_ago=35, minutes=35)
    await fleet.evaluate()
    noted = (
        "INSERT INTO chatops.late_readings (server_id, oldest, newest, noted_at) "
        "VALUES ($1, $2, $3, now() - interval '1 minute')"
    )
    for expected in (1, 0):
        await fleet.database.execute(
            noted, server_id, fleet.now - timedelta(minutes=60), fleet.now - timedelta(minutes=20)
        )
        rules = fleet.evaluator.rules
        assert await LateReadings(fleet.database).replay(rules, fleet.now.timestamp()) == expected
    [alert] = await fleet.alerts(server_id)
    assert (alert["state"], alert["value"]) == ("resolved", 95.0)
    assert alert["started_at"] < fleet.now - timedelta(minutes=34) < alert["learned_at"]
    assert fleet.told.changes == []
    assert await fleet.database.fetchval("SELECT count(*) FROM chatops.late_readings") == 0
    events = await fleet.database.fetch("SELECT transition FROM chatops.alert_events ORDER BY time")
    assert [event["transition"] for event in events] == ["fired", "resolved"]


async def test_late_readings_that_never_end_are_replayed_all_the_same_and_each_alert_is_recorded_whole(
    fleet: Fleet,
) -> None:
    server_id = await fleet.server()
    await fleet.rule(server_ids=[server_id], warning=80.0, window_s=60, for_s=120)
    await fleet.cpu(server_id, 20.0, minutes_ago=60, minutes=10)
    await fleet.cpu(server_id, 95.0, minutes_ago=50, minutes=10)
    await fleet.evaluate()
    late, at, rules = LateReadings(fleet.database), fleet.now.timestamp(), fleet.evaluator.rules

    async def comes_late(oldest: int, newest: int) -> None:
        """What the writer does at each late frame."""
        await fleet.database.execute(
            "INSERT INTO chatops.late_readings (server_id, oldest, newest) VALUES ($1, $2, $3) "
            "ON CONFLICT (server_id) DO UPDATE SET newest = excluded.newest, noted_at = now()",
            server_id,
            fleet.now - timedelta(minutes=oldest),
            fleet.now - timedelta(minutes=newest),
        )

    await comes_late(60, 40)
    assert await late.replay(rules, at) == 0, "it may be a backlog that soon ends"
    assert await late.replay(rules, at + PATIENCE_S + 1) == 0, "the alert still lasts"
    await fleet.cpu(server_id, 95.0, minutes_ago=40, minutes=5)
    await fleet.cpu(server_id, 20.0, minutes_ago=35, minutes=15)
    await comes_late(40, 25)
    assert await late.replay(rules, at + PATIENCE_S + 11) == 0, "it waits its time again"
    assert await late.replay(rules, at + 2 * PATIENCE_S + 2) == 1
    [alert] = await fleet.alerts(server_id)
    assert alert["started_at"] < fleet.now - timedelta(minutes=46), "from its beginning, not from the second turn's"
    assert alert["resolved_at"] < fleet.now - timedelta(minutes=30)
    assert fleet.told.changes == []
    oldest = await fleet.database.fetchval("SELECT oldest FROM chatops.late_readings")
    assert fleet.now - timedelta(minutes=30) < oldest, "what was replayed is not read again and again"


async def test_an_alert_does_not_flap_at_the_turn_of_a_minute(fleet: Fleet) -> None:
    server_id = await fleet.server()
    await fleet.rule(server_ids=[server_id], warning=80.0, window_s=60)
    await fleet.cpu(server_id, 90.0)
    for seconds in (-20, -1, 0, 1, 3):
        await fleet.evaluate(after_minutes=seconds / 60)
    assert fleet.told.kinds() == ["fired"]
    assert [alert["state"] for alert in await fleet.alerts(server_id)] == ["firing"]


async def test_where_missing_readings_fire_a_lost_series_is_over_and_a_server_without_any_fires_once(
    fleet: Fleet,
) -> None:
    server_id = await fleet.server()
    filesystem = (
        "INSERT INTO metrics.filesystem (time, server_id, mountpoint, device, filesystem_type, used_percent) "
        "VALUES ($1, $2, $3, 'd', 'ext4', 97.0)"
    )
    for mountpoint, minutes in (("/", (0, 5)), ("/data", (0,)), ("/", (1,))):
        for minute in minutes:
            await fleet.database.execute(
                filesystem, fleet.now + timedelta(minutes=minute, seconds=30), server_id, mountpoint
            )
    await fleet.rule(
        server_ids=[server_id], metric="filesystem.used_percent", warning=90.0, window_s=60, no_data="fire"
    )

    async def states(after_minutes: int) -> dict[str | None, str]:
        await fleet.evaluate(after_minutes)
        found = await fleet.alerts(server_id)
        return {msgspec.json.decode(alert["labels"]).get("mountpoint"): alert["state"] for alert in found}

    assert await states(1) == {"/": "firing", "/data": "firing"}
    assert await states(2) == {"/": "firing", "/data": "resolved"}
    lost = {"/": "firing", "/data": "resolved", None: "firing"}
    assert [await states(minute) for minute in (3, 4)] == [lost, lost]
    assert await states(6) == {"/": "firing", "/data": "resolved", None: "resolved"}


@pytest.mark.parametrize("gone", ["enabled = false", "enabled = false, deleted_at = now()"])
async def test_a_rule_that_was_switched_off_or_deleted_meanwhile_fires_nothing(
    fleet: Fleet, monkeypatch, gone: str
) -> None:
    server_id = await fleet.server()
    rule_id = await fleet.rule(server_ids=[server_id], warning=80.0, window_s=60)
    await fleet.cpu(server_id, 97.0)
    read = fleet.evaluator._read_servers

    async def after_the_rules_were_read(at: float):
        await fleet.database.execute(f"UPDATE chatops.thresholds SET {gone} WHERE id = $1", rule_id)
        return await read(at)

    monkeypatch.setattr(fleet.evaluator, "_read_servers", after_the_rules_were_read)
    assert await fleet.evaluate() == 0
    assert await fleet.alerts(server_id) == []
    assert fleet.told.kinds() == []
