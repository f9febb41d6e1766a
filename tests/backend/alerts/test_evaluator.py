"""Rules over real roll-ups: what fires, what is stored with it, and that two backends never fire twice."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from chatops_backend.alerts.evaluator import Evaluator
from chatops_backend.alerts.alert_change import AlertChange
from chatops_backend.database.interface import Database, Transaction
from chatops_backend.database.lease import Lease
from chatops_backend.database.open import open_database
from chatops_protocol.alert_resources import Threshold

pytestmark = pytest.mark.anyio


class Told:
    """What would be notified, in place of the outbox."""

    def __init__(self) -> None:
        self.changes: list[AlertChange] = []

    async def __call__(self, transaction: Transaction, changes: Sequence[AlertChange]) -> None:
        assert await transaction.fetchval("SELECT 1") == 1
        self.changes += changes

    def kinds(self) -> list[str]:
        return [change.transition for change in self.changes if change.notify]


class Fleet:
    def __init__(self, database: Database) -> None:
        self.database = database
        self.now = datetime.now(UTC).replace(second=0, microsecond=0)
        self.told = Told()
        self.evaluator = Evaluator(database, self.told)

    async def server(self, *tags: str, seen_ago_s: float | None = 1.0) -> int:
        server_id: int = await self.database.fetchval(
            "INSERT INTO chatops.servers (name, tags) VALUES ($1, $2) RETURNING id", secrets.token_hex(8), list(tags)
        )
        if seen_ago_s is not None:
            await self.seen(server_id, seen_ago_s)
        return server_id

    async def seen(self, server_id: int, ago_s: float) -> None:
        await self.database.execute(
            "INSERT INTO chatops.stream_marks (server_id, stream, last_sequence, received_at) VALUES ($1, 's', 1, $2) "
            "ON CONFLICT (server_id, stream) DO UPDATE SET received_at = excluded.received_at",
            server_id,
            self.now - timedelta(seconds=ago_s),
        )

    async def rule(self, **definition: Any) -> int:
        threshold = Threshold(**({"name": secrets.token_hex(8), "metric": "host.cpu_percent"} | definition))
        rule_id: int = await self.database.fetchval(
            "INSERT INTO chatops.thresholds (name, definition) VALUES ($1, $2::jsonb) RETURNING id",
            threshold.name,
            msgspec.json.encode(threshold).decode(),
        )
        return rule_id

    async def cpu(self, server_id: int, value: float | None, minutes_ago: float = 1, minutes: int = 1) -> None:
        for minute in range(minutes):
            await self.database.execute(
                "INSERT INTO metrics.host (time, server_id, cpu_percent) VALUES ($1, $2, $3)",
                self.now - timedelta(minutes=minutes_ago - minute),
                server_id,
                value,
            )

    async def evaluate(self, after_minutes: float = 0) -> int:
        return await self.evaluator.evaluate((self.now + timedelta(minutes=after_minutes)).timestamp())

    async def alerts(self, server_id: int) -> list[Any]:
        return await self.database.fetch("SELECT * FROM chatops.alerts WHERE server_id = $1 ORDER BY id", server_id)


@pytest.fixture
async def fleet(new_settings) -> AsyncIterator[Fleet]:
    async with open_database(await new_settings()) as database:
        yield Fleet(database)


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
